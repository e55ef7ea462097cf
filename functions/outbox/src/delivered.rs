//! `Delivered`: a device acknowledges entries of its mailbox (`docs/protocol.md`, section 6). The calls that it makes
//! are listed at [`Messaging::acknowledge`](eko_messaging::Messaging::acknowledge).

use axum::response::{IntoResponse, Response};
use eko_protocol::Invalid;
use eko_protocol::activity::DeliveredActivity;
use eko_protocol::id::EntryKey;
use eko_service::caller::{Caller, check_actor};
use eko_service::{AppState, Federated, Problem};
use http::StatusCode;
use serde_json::Value;

pub(crate) async fn acknowledge_entries(
    state: &Federated,
    caller: &Caller,
    body: &Value,
) -> Result<Response, Problem> {
    check_actor(state, caller, body)?;
    let keys = entry_keys(state, caller, body)?;
    state.messaging().acknowledge(state.federates(), caller.address(), &keys).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Reads the keys of the entries, each once. Their URLs must be in the caller's own inbox.
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
