//! The actor documents: a user's `Person` and the server's own `Application`.
//!
//! All actors of a server publish the same key, each under a key id of its own. `webfinger` is the
//! member that FEP-2c59 defines.

use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use eko_protocol::address::Handle;
use eko_protocol::vocabulary::actor_context;
use eko_service::caller::PathUser;
use eko_service::negotiate::{self, Representation};
use eko_service::{AppState, Problem, respond, tombstone};
use eko_store::devices::OfUser;
use http::{HeaderMap, HeaderValue, header};
use serde_json::{Value, json};

use crate::FRESH_SECONDS;

/// GET `/user/{name}` (`docs/protocol.md`, section 2): returns the user's actor document, or a page
/// for a person if a browser asks.
///
/// One GetItem. A deleted account answers 410 with a `Tombstone`, also to a browser.
pub(crate) async fn user_actor(
    State(state): State<AppState>,
    PathUser(user): PathUser,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let origin = state.origin();
    let devices = match state.store().device_set(&user).await? {
        OfUser::Stored(devices) => devices,
        OfUser::Absent(absence) => {
            let actor = origin.actor(&user);
            let mut body = tombstone::document(&actor, "Person", absence)?;
            // A `Delete` of the actor can still be verified.
            put_key(&state, &mut body, &actor)?;
            return Ok(tombstone::cached(&headers, &body));
        }
    };
    let handle = state.handle(user.clone());
    if Representation::of_document_and_page(&headers) == Representation::Page {
        return Ok(respond::cached(negotiate::vary(page(&origin.actor(&user), &handle)), FRESH_SECONDS));
    }
    let mut body = json!({
        "@context": actor_context(),
        "type": "Person",
        "id": origin.actor(&user),
        "preferredUsername": user.as_str(),
        "webfinger": handle.to_string().trim_start_matches('@'),
        "url": origin.actor(&user),
        "inbox": origin.inbox(&user),
        "outbox": origin.outbox(&user),
        "endpoints": { "sharedInbox": origin.shared_inbox(), "proxyUrl": origin.proxy(&user) },
        "eko:keyPackages": origin.key_packages(&user),
        "eko:devices": origin.devices(&user),
    });
    if let Some(moved_from) = devices.moved_from {
        body["alsoKnownAs"] = json!([moved_from]);
    }
    if let Some(moved_to) = devices.moved_to {
        body["movedTo"] = json!(moved_to);
    }
    devices.profile.put_into(&mut body);
    put_key(&state, &mut body, &origin.actor(&user))?;
    Ok(respond::cached(negotiate::negotiated(&headers, &body), FRESH_SECONDS))
}

/// GET `/actor` (`docs/protocol.md`, section 2): returns the server's actor document. No call.
pub(crate) async fn server_actor(
    State(state): State<AppState>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let origin = state.origin();
    let authority = origin.authority();
    let mut body = json!({
        "@context": actor_context(),
        "type": "Application",
        "id": origin.server_actor(),
        // The authority, as on other servers. A domain name has a dot, so no user has this name.
        "preferredUsername": authority,
        "webfinger": format!("{authority}@{authority}"),
        "name": format!("Eko Messages at {}", origin.authority()),
        "inbox": origin.shared_inbox(),
        "endpoints": { "sharedInbox": origin.shared_inbox() },
    });
    put_key(&state, &mut body, &origin.server_actor())?;
    Ok(respond::cached(negotiate::negotiated(&headers, &body), FRESH_SECONDS))
}

/// Adds the public key, under the actor's own key id. A server that does not federate has none.
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

/// Answers with the page for a browser. It links the actor document, in a header and in its text.
fn page(actor: &str, handle: &Handle) -> Response {
    // Neither a user name ([a-z0-9_]) nor a domain nor an origin can contain markup, so nothing is escaped.
    let page = PAGE.replace("{handle}", &handle.to_string()).replace("{actor}", actor);
    let mut response = Html(page).into_response();
    let link = format!("<{actor}>; rel=\"alternate\"; type=\"{}\"", respond::ACTIVITY_JSON);
    if let Ok(link) = HeaderValue::from_str(&link) {
        response.headers_mut().insert(header::LINK, link);
    }
    response
}

/// The page for a browser. `{handle}` stands for the user's handle, `{actor}` for the actor's id.
const PAGE: &str = "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width\">
<title>{handle}</title>
<link rel=\"alternate\" type=\"application/activity+json\" href=\"{actor}\">
<style>body{font:1.1rem/1.5 system-ui;max-width:36rem;margin:20vh auto;padding:0 1rem}</style>
<h1>{handle}</h1>
<p>Receives end-to-end encrypted messages here. Write to this handle with an Eko client.</p>
</html>
";
