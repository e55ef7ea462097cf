//! The device that a new one replaces on this machine: what waits for it, and what it has left.

use std::path::Path;

use eko_client::DeviceStore;
use eko_client::store::{CarriedOver, DeviceStoreError, FormerDevice};
use eko_protocol::address::Handle;

use super::told::Takeover;
use crate::context::Context;
use crate::failure::CommandFailure;
use crate::home::AccountFolder;
use crate::partial_handle::PartialHandle;
use crate::{listener, recovery};

/// Reads what waits in the mailbox of the device that is here into its store: nobody else has its keys. Returns
/// the sentence that tells of the loss if that cannot be done.
pub(super) async fn unread(context: &Context, handle: &Handle) -> Option<String> {
    let who = PartialHandle { user: handle.user()?, host: Some(handle.authority().to_owned()) };
    // Where the store cannot be read, the keys are lost already.
    let account = context.home.choose(Some(&who)).ok()?;
    unread_in(context, &account).await
}

/// Reads what has come for the former device, and brings it over into the store of the new one, which is about to
/// replace it. Returns the sentence that tells of the loss if that cannot be done.
pub(super) async fn read_to_the_end(
    context: &Context,
    account: &AccountFolder,
    actor: &str,
) -> Option<String> {
    // What cannot be taken over was told when that was tried.
    let former = context.home.former(account).ok()??;
    let unread = unread_in(context, &former).await;
    let store = DeviceStore::open(&account.database()).ok()?;
    let database = former.database();
    let brought = store.bring_over(FormerDevice { store: &database, actor, is_reset: true });
    unread.or_else(|| {
        let failure = context.explained(brought.err()?.into());
        Some(format!("What has come last for the former device was not taken over: {failure}"))
    })
}

/// Does as [`unread`] for the device of a folder.
async fn unread_in(context: &Context, account: &AccountFolder) -> Option<String> {
    let client = context.client_in(&account.database()).ok()??;
    let looked = Box::pin(listener::look_for_the_last_time(context, account, &client)).await;
    let failure = context.explained(looked.err()?);
    Some(format!(
        "What still waits in the mailbox of the device that is here can be lost, and its senders see it as not \
         delivered: the mailbox was not read to the end, because of this: {failure}"
    ))
}

/// Takes over what the device left that was here before, if there was one, and returns the outcome. Whatever
/// becomes of that, the person can sign in.
pub(super) fn carry_over(
    context: &Context,
    account: &AccountFolder,
    store: &DeviceStore,
    actor: &str,
    is_reset: bool,
) -> Option<Takeover> {
    let former = match context.home.former(account) {
        Ok(former) => former?,
        Err(failure) => return Some(Takeover::Failed(failure.to_string())),
    };
    let take = |from: &Path| store.carry_over(FormerDevice { store: from, actor, is_reset });
    let taken = match take(&former.database()) {
        Err(error) if recovery::is_damaged(&error) => rescued(&former, take),
        taken => taken.map_err(CommandFailure::from),
    };
    Some(match taken {
        Ok(carried) => Takeover::Done(carried),
        Err(error) => Takeover::Failed(format!(
            "Nothing was taken over from the former device, whose files are in {}: {error}",
            former.path().display()
        )),
    })
}

/// Takes over what can be read of a damaged store.
fn rescued(
    former: &AccountFolder,
    take: impl Fn(&Path) -> Result<CarriedOver, DeviceStoreError>,
) -> Result<CarriedOver, CommandFailure> {
    recovery::recover(former, former)?;
    let carried = take(&former.recovered())?;
    former.end_recovery()?;
    Ok(carried)
}
