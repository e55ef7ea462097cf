//! NodeInfo 2.0 and 2.1, a description of the server in the form that directories of servers read.

use axum::extract::State;
use axum::response::Response;
use eko_service::{AppState, Problem, respond};
use http::StatusCode;
use serde_json::json;

use crate::FRESH_SECONDS;

/// The media type of a NodeInfo document names its schema (NodeInfo protocol, section "Server").
const NODE_INFO_2_0: &str = "application/json; profile=\"http://nodeinfo.diaspora.software/ns/schema/2.0#\"";
/// The media type of version 2.1.
const NODE_INFO_2_1: &str = "application/json; profile=\"http://nodeinfo.diaspora.software/ns/schema/2.1#\"";

/// GET `/.well-known/nodeinfo` (`docs/protocol.md`, section 2): returns the links to the NodeInfo
/// documents. No call.
pub(crate) async fn node_info_links(State(state): State<AppState>) -> Response {
    let link = |version: &str| {
        json!({
            "rel": format!("http://nodeinfo.diaspora.software/ns/schema/{version}"),
            "href": format!("{}/nodeinfo/{version}", state.origin()),
        })
    };
    let body = json!({ "links": [link("2.0"), link("2.1")] });
    respond::cached(respond::document(StatusCode::OK, respond::JSON, &body), FRESH_SECONDS)
}

/// GET `/nodeinfo/2.0` (`docs/protocol.md`, section 2): returns the NodeInfo document of version
/// 2.0, which has the same members here.
///
/// One GetItem.
pub(crate) async fn node_info_2_0(State(state): State<AppState>) -> Result<Response, Problem> {
    node_info(&state, "2.0", NODE_INFO_2_0).await
}

/// GET `/nodeinfo/2.1` (`docs/protocol.md`, section 2): returns the NodeInfo document of version
/// 2.1.
///
/// One GetItem.
pub(crate) async fn node_info_2_1(State(state): State<AppState>) -> Result<Response, Problem> {
    node_info(&state, "2.1", NODE_INFO_2_1).await
}

async fn node_info(state: &AppState, version: &str, media_type: &'static str) -> Result<Response, Problem> {
    let users = state.store().count_users().await?;
    let body = json!({
        "version": version,
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
    Ok(respond::cached(respond::document(StatusCode::OK, media_type, &body), FRESH_SECONDS))
}
