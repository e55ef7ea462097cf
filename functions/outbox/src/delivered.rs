//! The activity `Delivered`: a device acknowledges entries of its mailbox.

use axum::response::{IntoResponse, Response};
use eko_protocol::Invalid;
use eko_protocol::activity::DeliveredActivity;
use eko_protocol::id::EntryKey;
use eko_service::caller::{Caller, check_actor};
use eko_service::{AppState, FederatedState, Problem};
use http::StatusCode;
use serde_json::Value;

/// POST `/user/{name}/outbox` with `Delivered` (`docs/protocol.md`, section 6): deletes entries of
/// the calling device's mailbox and sends the receipts. The answer is 204.
///
/// The calls are listed at [`acknowledge`](eko_messaging::Messaging::acknowledge).
pub(crate) async fn acknowledge_entries(
    state: &FederatedState,
    caller: &Caller,
    body: &Value,
) -> Result<Response, Problem> {
    check_actor(state, caller, body)?;
    let keys = entry_keys(state, caller, body)?;
    state.messaging().acknowledge(state.federates(), caller.address(), &keys).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Reads the keys of the entries and drops repetitions. Their URLs must be in the caller's own
/// inbox.
fn entry_keys(state: &AppState, caller: &Caller, body: &Value) -> Result<Vec<EntryKey>, Problem> {
    let delivered = DeliveredActivity::parse(body)?;
    let mut keys = Vec::with_capacity(delivered.entries.len());
    for (index, url) in delivered.entries.iter().enumerate() {
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
