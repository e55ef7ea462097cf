//! NodeInfo 2.1, a description of the server in the form that directories of servers read.

use axum::extract::State;
use axum::response::Response;
use eko_service::{AppState, Problem, respond};
use http::StatusCode;
use serde_json::json;

use crate::FRESH_SECONDS;

/// The id of the schema of NodeInfo 2.1.
const SCHEMA: &str = "http://nodeinfo.diaspora.software/ns/schema/2.1";

/// GET `/.well-known/nodeinfo` (`docs/protocol.md`, section 2): returns the link to the NodeInfo
/// document. No call.
pub(crate) async fn node_info_links(State(state): State<AppState>) -> Response {
    let href = format!("{}/nodeinfo/2.1", state.origin().as_str());
    let body = json!({ "links": [{ "rel": SCHEMA, "href": href }] });
    respond::cached(respond::document(StatusCode::OK, respond::JSON, &body), FRESH_SECONDS)
}

/// GET `/nodeinfo/2.1` (`docs/protocol.md`, section 2): returns the NodeInfo document.
///
/// One GetItem.
pub(crate) async fn node_info(State(state): State<AppState>) -> Result<Response, Problem> {
    let users = state.store().count_users().await?;
    let body = json!({
        "version": "2.1",
        "software": {
            "name": "eko-messages",
            "version": env!("CARGO_PKG_VERSION"),
        },
        "protocols": ["activitypub"],
        "services": { "inbound": [], "outbound": [] },
        "openRegistrations": true,
        "usage": { "users": { "total": users } },
        "metadata": {},
    });
    Ok(respond::cached(respond::document(StatusCode::OK, respond::JSON, &body), FRESH_SECONDS))
}
