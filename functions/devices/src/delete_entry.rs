//! The deletion of one entry of a mailbox, without a receipt.

use std::collections::HashMap;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use eko_protocol::id::EntryKey;
use eko_service::caller::Owner;
use eko_service::{AppState, Problem};
use http::StatusCode;

/// DELETE `/user/{name}/inbox/{key}` (`docs/protocol.md`, section 6): deletes an entry of the
/// calling device's mailbox. The answer is 204, also if there is no such entry.
///
/// The calls are listed at [`discard_entry`](eko_messaging::Messaging::discard_entry).
pub(crate) async fn delete_entry(
    State(state): State<AppState>,
    Owner(caller): Owner,
    Path(path): Path<HashMap<String, String>>,
) -> Result<Response, Problem> {
    let key =
        path.get("entry").and_then(|text| EntryKey::parse(text).ok()).ok_or(Problem::NotFound("entry"))?;
    state.messaging().discard_entry(caller.address(), &key).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
