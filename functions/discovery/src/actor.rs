//! GET `/user/{name}` and `/actor` (`docs/protocol.md`, section 2): a user's `Person`, the server's own
//! `Application`; a page for browsers.
//!
//! Actors get a `publicKey` with federation, which signs with it; nothing here signs yet.

use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use eko_protocol::activity;
use eko_service::caller::PathUser;
use eko_service::{AppState, Problem, respond};
use http::HeaderMap;
use serde_json::json;

use crate::FRESH_SECONDS;

pub(crate) async fn user(
    State(state): State<AppState>,
    PathUser(user): PathUser,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    state.store().device_set(&user).await?.ok_or(Problem::NotFound("user"))?;
    let origin = state.origin();
    if respond::wants_html(&headers) {
        // A user name is [a-z0-9_] and an authority has no markup: nothing here needs escaping.
        let handle = format!("@{user}@{}", origin.authority());
        return Ok(respond::cached(Html(PAGE.replace("{handle}", &handle)).into_response(), FRESH_SECONDS));
    }
    let body = json!({
        "@context": activity::context(origin),
        "type": "Person",
        "id": origin.actor(&user),
        "preferredUsername": user.as_str(),
        "url": origin.actor(&user),
        "inbox": origin.inbox(&user),
        "outbox": origin.outbox(&user),
        "endpoints": { "sharedInbox": origin.shared_inbox() },
        "eko:keyPackages": origin.key_packages(&user),
        "eko:devices": origin.devices(&user),
    });
    Ok(respond::cached(respond::negotiated(&headers, &body), FRESH_SECONDS))
}

pub(crate) async fn server(State(state): State<AppState>, headers: HeaderMap) -> Response {
    let origin = state.origin();
    let body = json!({
        "@context": activity::context(origin),
        "type": "Application",
        "id": origin.server_actor(),
        "preferredUsername": "actor",
        "name": format!("Eko Messages at {}", origin.authority()),
        "inbox": origin.shared_inbox(),
        "endpoints": { "sharedInbox": origin.shared_inbox() },
    });
    respond::cached(respond::negotiated(&headers, &body), FRESH_SECONDS)
}

const PAGE: &str = "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width\">
<title>{handle}</title>
<style>body{font:1.1rem/1.5 system-ui;max-width:36rem;margin:20vh auto;padding:0 1rem}</style>
<h1>{handle}</h1>
<p>Receives end-to-end encrypted messages here. Write to this handle with an Eko client.</p>
</html>
";
