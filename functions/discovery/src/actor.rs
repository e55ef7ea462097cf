//! GET `/user/{name}` and `/actor` (`docs/protocol.md`, section 2): a user's `Person`, the server's own
//! `Application`; a page for browsers. All actors publish one key, each under its own key id; `webfinger` is
//! FEP-2c59's.

use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use eko_protocol::address::Origin;
use eko_service::caller::PathUser;
use eko_service::{AppState, Problem, respond};
use http::HeaderMap;
use serde_json::{Value, json};

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
    let mut body = json!({
        "@context": context(origin),
        "type": "Person",
        "id": origin.actor(&user),
        "preferredUsername": user.as_str(),
        "webfinger": format!("{user}@{}", origin.authority()),
        "url": origin.actor(&user),
        "inbox": origin.inbox(&user),
        "outbox": origin.outbox(&user),
        "endpoints": { "sharedInbox": origin.shared_inbox() },
        "eko:keyPackages": origin.key_packages(&user),
        "eko:devices": origin.devices(&user),
    });
    put_key(&state, &mut body, &origin.actor(&user))?;
    Ok(respond::cached(respond::negotiated(&headers, &body), FRESH_SECONDS))
}

pub(crate) async fn server(State(state): State<AppState>, headers: HeaderMap) -> Result<Response, Problem> {
    let origin = state.origin();
    let authority = origin.authority();
    let mut body = json!({
        "@context": context(origin),
        "type": "Application",
        "id": origin.server_actor(),
        // As other servers have it: a domain is no user name, so nobody can be mistaken for it.
        "preferredUsername": authority,
        "webfinger": format!("{authority}@{authority}"),
        "name": format!("Eko Messages at {}", origin.authority()),
        "inbox": origin.shared_inbox(),
        "endpoints": { "sharedInbox": origin.shared_inbox() },
    });
    put_key(&state, &mut body, &origin.server_actor())?;
    Ok(respond::cached(respond::negotiated(&headers, &body), FRESH_SECONDS))
}

/// With the vocabulary of keys: who reads it as linked data finds no `publicKey` otherwise.
fn context(origin: &Origin) -> Value {
    json!(["https://www.w3.org/ns/activitystreams", "https://w3id.org/security/v1", origin.ns()])
}

/// Adds the key under the actor's own id, where this server federates at all.
fn put_key(state: &AppState, body: &mut Value, actor: &str) -> Result<(), Problem> {
    if let Some(key) = state.signing_key()? {
        body["publicKey"] = json!({
            "id": eko_federation::key_id(actor),
            "owner": actor,
            "publicKeyPem": key.public_pem(),
        });
    }
    Ok(())
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
