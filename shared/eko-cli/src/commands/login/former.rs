//! The device that a new one replaces on this machine: what waits for it, and what it has left.

use std::path::Path;

use eko_client::DeviceStore;
use eko_client::store::{DeviceStoreError, FormerDevice};
use eko_protocol::address::Handle;

use super::failure::is_lost_store;
use super::told::Takeover;
use crate::context::{Context, HttpMessenger};
use crate::failure::CommandFailure;
use crate::home::{AccountFolder, EkoHome};
use crate::{listener, recovery};

/// A sign-in that has succeeded.
#[derive(Clone, Copy)]
pub(super) struct EndedSignIn<'a> {
    /// The actor id of the account.
    pub(super) actor: &'a str,
    /// True if the device has replaced all others of the account.
    pub(super) is_reset: bool,
    /// True if the device had signed in before.
    pub(super) again: bool,
}

/// Reads what waits in the mailboxes of former devices that may be in use, and with `anew` in that
/// of the device that is here, into their stores: nobody else has their keys. Returns the sentences
/// that tell of a loss if that cannot be done.
///
/// # Errors
/// The folder of former devices cannot be read.
pub(super) async fn unread(
    context: &Context,
    handle: &Handle,
    anew: bool,
) -> Result<Vec<String>, CommandFailure> {
    let account = context.home.folder(handle);
    let mut devices = context.home.former(&account)?;
    if anew {
        devices.insert(0, account);
    }
    let mut unread = Vec::new();
    for device in &devices {
        add_loss(&mut unread, unread_in(context, device).await);
    }
    Ok(unread)
}

/// Reads what has come for the former devices, and brings it over into the store of the new one,
/// which is about to replace them. Returns the sentences that tell of a loss if a mailbox cannot be
/// read to its end.
///
/// # Errors
/// What was read cannot be brought over now. After a reset it would be lost, and its senders see it as delivered.
pub(super) async fn read_to_the_end(
    context: &Context,
    account: &AccountFolder,
    actor: &str,
) -> Result<Vec<String>, CommandFailure> {
    let mut unread = Vec::new();
    for (n, former) in context.home.former(account)?.iter().enumerate() {
        let is_lost = is_lost(former);
        add_loss(&mut unread, unread_in(context, former).await);
        // The last one was taken over as a whole, with what the earlier ones had.
        let sign_in = EndedSignIn { actor, is_reset: false, again: n > 0 };
        match bring_over(account, former, sign_in) {
            // That nothing was taken over was told. Nothing is read into such a store either.
            Err(_) if is_lost => {}
            brought => drop(brought?),
        }
    }
    Ok(unread)
}

fn add_loss(unread: &mut Vec<String>, loss: Option<String>) {
    unread.extend(loss.filter(|loss| !unread.contains(loss)));
}

/// Brings over what the former devices have got since they were taken over, and takes over one of
/// which nothing was. Another process may have read or written something with them until then.
/// Marks those that are of no more use, as all are after a reset. Returns the number of messages.
///
/// # Errors
/// Something could not be brought over, or a mark not be made. Then there is no mark.
pub(super) fn settle(
    home: &EkoHome,
    account: &AccountFolder,
    sign_in: EndedSignIn<'_>,
    has_ended: impl Fn(&AccountFolder) -> bool,
) -> Result<u64, CommandFailure> {
    let (mut brought, mut failed) = (0, None);
    for (n, former) in home.former(account)?.iter().enumerate() {
        let again = sign_in.again || n > 0;
        let is_marked = sign_in.is_reset || has_ended(former);
        let settled = bring_over(account, former, EndedSignIn { again, ..sign_in }).and_then(|count| {
            brought += count;
            if is_marked { home.note_carried(former.path()) } else { Ok(()) }
        });
        failed = failed.or(settled.err());
    }
    failed.map_or(Ok(brought), Err)
}

/// True if nothing comes any more for a former device: no server has registered it, it was revoked
/// or replaced, or the list of this user's devices, as the new device has read it, is without it.
/// While the new device waits for its approval it has read no list.
pub(super) fn has_ended(context: &Context, former: &AccountFolder, device: &HttpMessenger) -> bool {
    let is_ended = |old: &HttpMessenger| -> Result<bool, DeviceStoreError> {
        let is_listed = || device.is_own_device(&old.device().address());
        Ok(old.device_end()?.is_some() || (device.joining_code()?.is_none() && !is_listed()?))
    };
    match context.client_in(&former.database()) {
        Ok(Some(old)) => is_ended(&old).unwrap_or(false),
        Ok(None) => former.database().exists(),
        Err(_) => false,
    }
}

/// Brings over what a former device has got since it was taken over: the messages alone if the new
/// one has signed in before, since its own decisions are newer then. Of a damaged store, that is
/// what can be read. Returns the number of messages.
fn bring_over(
    account: &AccountFolder,
    former: &AccountFolder,
    sign_in: EndedSignIn<'_>,
) -> Result<u64, CommandFailure> {
    let EndedSignIn { actor, is_reset, again } = sign_in;
    let store = DeviceStore::open(&account.database())?;
    let bring = |from: &Path| {
        let former = FormerDevice { store: from, actor, is_reset };
        if again { store.bring_messages_over(former) } else { store.bring_over(former) }
    };
    taken(former, bring).map_err(|failure| {
        let failure = explained(former, failure);
        let what = format!("what has come last for the former device was not taken over: {failure}");
        failure.worded(&what)
    })
}

/// True if the store of a former device cannot be opened, and not only now.
fn is_lost(former: &AccountFolder) -> bool {
    DeviceStore::open(&former.database()).is_err_and(|error| is_lost_store(error.fault()))
}

/// Returns a failure with the name of the store and the account that it is about.
fn explained(account: &AccountFolder, failure: CommandFailure) -> CommandFailure {
    failure.for_account(&account.handle.to_string()).for_store(&account.database())
}

/// Does as [`unread`] for the device of a folder.
async fn unread_in(context: &Context, account: &AccountFolder) -> Option<String> {
    let looked = match context.client_in(&account.database()) {
        Ok(None) => Ok(()),
        Ok(Some(client)) => Box::pin(listener::look_for_the_last_time(context, account, &client)).await,
        Err(failure) => Err(failure),
    };
    let failure = explained(account, looked.err()?);
    Some(format!(
        "What still waits in the mailbox of the device that is here can be lost, and its senders see it as not \
         delivered: the mailbox was not read to the end, because of this: {failure}"
    ))
}

/// Takes over what the device left that was here before, if there was one, and returns the outcome.
/// Whatever becomes of that, the person can sign in. The groups come along: a reset ends them once
/// it is done.
pub(super) fn carry_over(
    context: &Context,
    account: &AccountFolder,
    store: &DeviceStore,
    actor: &str,
) -> Option<Takeover> {
    let former = match context.home.former(account) {
        Ok(former) => former.into_iter().next()?,
        Err(failure) => return Some(Takeover::Failed(failure.to_string())),
    };
    let take = |from: &Path| store.carry_over(FormerDevice { store: from, actor, is_reset: false });
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
    let database = former.database();
    if !database.exists() {
        return Err(CommandFailure::new(format!("its store is missing: {}", database.display()))
            .next(format!("put the file back, or delete the folder {}", former.path().display())));
    }
    match take(&database) {
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
        let [former] = home.former(&account).unwrap().try_into().unwrap();
        let settle = |is_reset, again, has_ended| {
            super::settle(&home, &account, EndedSignIn { actor: BOB, is_reset, again }, |_| has_ended)
        };
        let unmark = || std::fs::remove_file(former.path().join("carried")).unwrap();
        run(&former, MESSAGE);
        settle(true, false, false).unwrap();
        let messages = || DeviceStore::open(&account.database()).unwrap().taken_over().unwrap().messages;
        assert_eq!((messages(), home.former(&account).unwrap()), (1, Vec::new()));
        // Of a damaged store what can be read is.
        unmark();
        run(&former, &format!("{MESSAGE}; DROP TABLE gaps"));
        settle(true, false, false).unwrap();
        assert_eq!((messages(), home.former(&account).unwrap()), (2, Vec::new()));
        // So it is if the sign-in that made the reset ended before, and the device has signed in
        // again.
        unmark();
        run(&former, MESSAGE);
        settle(false, true, true).unwrap();
        assert_eq!((messages(), home.former(&account).unwrap()), (3, Vec::new()));
        // More may come for a device that no reset has replaced.
        unmark();
        for again in [false, true] {
            run(&former, MESSAGE);
            settle(false, again, false).unwrap();
            assert_eq!(home.former(&account).unwrap(), std::slice::from_ref(&former));
        }
        assert_eq!(messages(), 5);
        // What cannot be brought over is not marked as such.
        run(&account, "DROP TABLE messages");
        let failure = settle(true, false, false).unwrap_err();
        assert!(
            failure.to_string().starts_with("what has come last for the former device was not taken over: ")
        );
        assert_eq!(home.former(&account).unwrap(), [former]);
    }
}
