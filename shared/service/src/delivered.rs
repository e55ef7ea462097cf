//! The activity `Delivered`, as a device posts it to its outbox and sends it on its socket.

use eko_protocol::Invalid;
use eko_protocol::activity::DeliveredActivity;
use eko_protocol::id::EntryKey;

use crate::caller::{Caller, check_actor};
use crate::{AppState, Problem};

/// Deletes the entries that a `Delivered` of the caller names, and sends the receipts
/// (`docs/protocol.md`, section 6). `federates` is true if receipts go to other servers.
///
/// The calls are listed at [`acknowledge`](eko_messaging::Messaging::acknowledge).
///
/// # Errors
/// [`Problem::NotYours`]; the problems of
/// [`acknowledge`](eko_messaging::Messaging::acknowledge).
pub async fn acknowledge_entries(
    state: &AppState,
    federates: bool,
    caller: &Caller,
    delivered: &DeliveredActivity,
) -> Result<(), Problem> {
    check_actor(state, caller, delivered.actor.as_deref())?;
    let keys = entry_keys(state, caller, &delivered.entries)?;
    state.messaging().acknowledge(federates, caller.address(), &keys).await?;
    Ok(())
}

/// Reads the keys of the entries and drops repetitions. Their URLs must be in the caller's own
/// inbox.
fn entry_keys(state: &AppState, caller: &Caller, entries: &[String]) -> Result<Vec<EntryKey>, Problem> {
    let mut keys = Vec::with_capacity(entries.len());
    for (index, url) in entries.iter().enumerate() {
        match state.origin().parse_entry(url) {
            Some((user, key)) if user == caller.user => keys.push(key),
            _ => {
                let pointer = format!("/object/{index}");
                let invalid = Invalid::at(pointer, "is not the address of an entry of yours");
                return Err(Problem::NotYours(invalid));
            }
        }
    }
    keys.sort_unstable();
    keys.dedup();
    Ok(keys)
}
