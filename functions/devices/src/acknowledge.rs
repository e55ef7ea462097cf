//! DELETE `/user/{name}/inbox/{key}` (`docs/protocol.md`, section 6): acknowledges one entry of the calling
//! device without a receipt. One DeleteItem; deleting what is not there is no error.

use std::collections::HashMap;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use eko_protocol::id::EntryKey;
use eko_service::caller::Owner;
use eko_service::{AppState, Problem};
use http::StatusCode;

pub(crate) async fn acknowledge(
    State(state): State<AppState>,
    Owner(caller): Owner,
    Path(path): Path<HashMap<String, String>>,
) -> Result<Response, Problem> {
    let key =
        path.get("entry").and_then(|text| EntryKey::parse(text).ok()).ok_or(Problem::NotFound("entry"))?;
    state.store().delete_entry(caller.address(), &key, state.now_ms()).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
