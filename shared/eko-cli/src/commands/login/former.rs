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
    let client = context.client_of(handle).ok()??;
    let looked = Box::pin(listener::look_for_the_last_time(context, &account, &client)).await;
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
