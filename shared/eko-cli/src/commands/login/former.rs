//! The device that a new one replaces on this machine: what waits for it, and what it has left.

use std::path::Path;

use eko_client::DeviceStore;
use eko_client::store::{DeviceStoreError, FormerDevice, StoreFault};
use eko_protocol::address::Handle;

use super::told::Takeover;
use crate::context::Context;
use crate::failure::CommandFailure;
use crate::home::{AccountFolder, EkoHome};
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
/// replace it. Returns the sentence that tells of the loss if the mailbox cannot be read to its end.
///
/// # Errors
/// What was read cannot be brought over now. After a reset it would be lost, and its senders see it as delivered.
pub(super) async fn read_to_the_end(
    context: &Context,
    account: &AccountFolder,
    actor: &str,
) -> Result<Option<String>, CommandFailure> {
    let Some(former) = context.home.former(account)? else { return Ok(None) };
    let is_lost = is_lost(&former);
    let unread = unread_in(context, &former).await;
    match bring_over(account, &former, actor) {
        Ok(()) => context.home.note_replaced(former.path()).map(|()| unread),
        // That nothing was taken over was told. Nothing is read into such a store either.
        Err(_) if is_lost => Ok(unread),
        Err(failure) => Err(failure),
    }
}

/// Marks the former device as taken over. Before that, what it has got since is brought over if a reset, of this
/// sign-in or of one that has ended before, has replaced it: another process may have read or written something
/// with it until then.
///
/// # Errors
/// Something could not be brought over, or the mark not be made. Then there is no mark.
pub(super) fn settle(
    home: &EkoHome,
    account: &AccountFolder,
    actor: &str,
    is_reset: bool,
) -> Result<(), CommandFailure> {
    let Some(former) = home.former(account)? else { return Ok(()) };
    if is_reset || home.is_replaced(former.path()) {
        bring_over(account, &former, actor)?;
    }
    home.note_carried(former.path())
}

/// Brings over what a former device has got since it was taken over. Of a damaged store, that is what can be read.
fn bring_over(account: &AccountFolder, former: &AccountFolder, actor: &str) -> Result<(), CommandFailure> {
    let store = DeviceStore::open(&account.database())?;
    let bring = |from: &Path| store.bring_over(FormerDevice { store: from, actor, is_reset: true });
    match taken(former, bring) {
        Ok(_) => Ok(()),
        Err(failure) => {
            let failure = explained(former, failure);
            let what = format!("what has come last for the former device was not taken over: {failure}");
            Err(failure.worded(&what))
        }
    }
}

/// True if the store of a former device cannot be opened, and not only now.
fn is_lost(former: &AccountFolder) -> bool {
    let fault = DeviceStore::open(&former.database()).err().map(|error| error.fault());
    fault.is_some_and(|fault| fault != StoreFault::Busy)
}

/// Returns a failure with the name of the store and the account that it is about.
fn explained(account: &AccountFolder, failure: CommandFailure) -> CommandFailure {
    failure.for_account(&account.handle.to_string()).for_store(&account.database())
}

/// Does as [`unread`] for the device of a folder.
async fn unread_in(context: &Context, account: &AccountFolder) -> Option<String> {
    let client = context.client_in(&account.database()).ok()??;
    let looked = Box::pin(listener::look_for_the_last_time(context, account, &client)).await;
    let failure = explained(account, looked.err()?);
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
    Some(match taken(&former, take) {
        Ok(carried) => Takeover::Done(carried),
        Err(failure) => Takeover::Failed(format!(
            "Nothing was taken over from the former device, whose files are in {}: {}",
            former.path().display(),
            explained(&former, failure)
        )),
    })
}

/// Takes something from the store of a former device, or from what can be read of it if it is damaged.
fn taken<T>(
    former: &AccountFolder,
    take: impl Fn(&Path) -> Result<T, DeviceStoreError>,
) -> Result<T, CommandFailure> {
    match take(&former.database()) {
        Err(error) if recovery::is_damaged(&error) => rescued(former, take),
        taken => taken.map_err(CommandFailure::from),
    }
}

/// Takes over what can be read of a damaged store.
fn rescued<T>(
    former: &AccountFolder,
    take: impl Fn(&Path) -> Result<T, DeviceStoreError>,
) -> Result<T, CommandFailure> {
    recovery::recover(former, former)?;
    let taken = take(&former.recovered())?;
    former.end_recovery()?;
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    const BOB: &str = "https://b.example/user/bob";
    const MESSAGE: &str = "INSERT INTO messages (id, actor, device, conversation, outgoing, published, received, stored, \
                           text, attachments, position) VALUES \
                           ('urn:uuid:6f0a8f2e-5d0c-4c8e-9d53-' || lower(hex(randomblob(6))), 'a', 'd', 'a', 0, 1, 1, 1, \
                           'text', '[]', 1)";

    fn run(account: &AccountFolder, sql: &str) {
        Connection::open(account.database()).unwrap().execute_batch(sql).unwrap();
    }

    /// `eko listen` of the former device may read until the reset, and `eko chat` keeps what is typed.
    #[test]
    fn what_a_device_gets_until_it_is_replaced_is_brought_over_before_it_is_marked() {
        let folder = tempfile::tempdir().unwrap();
        let home = EkoHome::locate(Some(&folder.path().join("home"))).unwrap();
        let handle = Handle::parse("@bob@b.example").unwrap();
        let prepared = || {
            let account = home.prepare(&handle).unwrap().account;
            let owner = "INSERT INTO account VALUES ('origin', CAST('https://b.example' AS BLOB)), \
                         ('user', CAST('bob' AS BLOB))";
            run(&account, owner);
            account
        };
        home.set_aside(&prepared(), "1").unwrap();
        let account = prepared();
        let former = home.former(&account).unwrap().unwrap();
        run(&former, MESSAGE);
        settle(&home, &account, BOB, true).unwrap();
        let messages = || DeviceStore::open(&account.database()).unwrap().taken_over().unwrap().messages;
        assert_eq!((messages(), home.former(&account).unwrap()), (1, None));
        // Of a damaged store what can be read is.
        std::fs::remove_file(former.path().join("carried")).unwrap();
        run(&former, &format!("{MESSAGE}; DROP TABLE gaps"));
        settle(&home, &account, BOB, true).unwrap();
        assert_eq!((messages(), home.former(&account).unwrap()), (2, None));
        // So it is if the sign-in that made the reset ended before.
        std::fs::remove_file(former.path().join("carried")).unwrap();
        run(&former, MESSAGE);
        home.note_replaced(former.path()).unwrap();
        settle(&home, &account, BOB, false).unwrap();
        assert_eq!((messages(), home.former(&account).unwrap()), (3, None));
        // What cannot be brought over is not marked as such.
        std::fs::remove_file(former.path().join("carried")).unwrap();
        run(&account, "DROP TABLE messages");
        let failure = settle(&home, &account, BOB, true).unwrap_err();
        assert!(
            failure.to_string().starts_with("what has come last for the former device was not taken over: ")
        );
        assert_eq!(home.former(&account).unwrap(), Some(former));
    }
}
