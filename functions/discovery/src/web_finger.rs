//! WebFinger (RFC 7033): from a handle or an actor id to the actor, and from the origin to the
//! server's own actor (FEP-d556).

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use eko_protocol::address::{Handle, Origin, UserName};
use eko_service::{AppState, Problem, respond};
use fluent_uri::Iri;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use url::Url;

use crate::FRESH_SECONDS;

/// The relation from a server to its actor (FEP-d556).
const SERVICE: &str = "https://www.w3.org/ns/activitystreams#Service";

/// The query of a request (RFC 7033, section 4.1). `rel` would only filter the two links of the
/// answer, so it is ignored.
#[derive(Deserialize)]
pub(crate) struct WebFingerQuery {
    resource: Option<String>,
}

/// GET `/.well-known/webfinger?resource=` (`docs/protocol.md`, section 2): returns the links of a
/// user or of the server.
///
/// One GetItem for a user; no call for the server.
pub(crate) async fn find_actor(
    State(state): State<AppState>,
    query: Result<Query<WebFingerQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    const BAD: Problem = Problem::BadRequest("send one resource");
    let origin = state.origin();
    let Query(query) = query.map_err(|_| BAD)?;
    let resource = normal(query.resource.ok_or(BAD)?);
    if is_server(origin, &resource) {
        return Ok(server(origin));
    }
    let user = user_of(&state, &resource).ok_or(Problem::NotFound("resource here"))?;
    state.store().device_set(&user).await?.stored()?;
    let actor = origin.actor(&user);
    let body = json!({
        "subject": state.handle(user).acct(),
        "aliases": [actor],
        "links": [
            { "rel": "self", "type": respond::ACTIVITY_JSON, "href": actor },
            { "rel": "http://webfinger.net/rel/profile-page", "type": "text/html", "href": actor },
        ],
    });
    Ok(respond::cached(respond::document(StatusCode::OK, respond::JRD_JSON, &body), FRESH_SECONDS))
}

/// Returns a resource in the normal form of its syntax (RFC 3986, section 6.2.2): scheme and host in
/// lower case, and nothing percent-encoded that need not be. URIs are compared in this form, as RFC
/// 7565, section 4, has it for `acct`. The host of a URL is written in A-labels. Text that is no URI,
/// such as `@alice@a.example`, is returned as it is.
fn normal(resource: String) -> String {
    let Ok(uri) = Iri::parse(resource.as_str()) else { return resource };
    let uri = uri.normalize().into_string();
    match Url::parse(&uri) {
        Ok(url) if url.has_host() => url.into(),
        _ => uri,
    }
}

/// True if a resource is the server itself: its origin, its actor's id or its actor's handle.
fn is_server(origin: &Origin, resource: &str) -> bool {
    let authority = origin.authority();
    let handle = resource.strip_prefix("acct:").unwrap_or(resource);
    resource.strip_suffix('/').unwrap_or(resource) == origin.as_str()
        || resource == origin.server_actor()
        || handle.eq_ignore_ascii_case(&format!("{authority}@{authority}"))
}

/// Answers with the links of the server's actor.
fn server(origin: &Origin) -> Response {
    let actor = origin.server_actor();
    let authority = origin.authority();
    let body = json!({
        "subject": format!("acct:{authority}@{authority}"),
        "aliases": [origin.as_str(), actor],
        "links": [
            { "rel": "self", "type": respond::ACTIVITY_JSON, "href": actor },
            { "rel": SERVICE, "type": respond::ACTIVITY_JSON, "href": actor },
        ],
    });
    respond::cached(respond::document(StatusCode::OK, respond::JRD_JSON, &body), FRESH_SECONDS)
}

/// Returns the user of a resource, which is an actor id or a handle of this server.
fn user_of(state: &AppState, resource: &str) -> Option<UserName> {
    if let Some(user) = state.origin().parse_actor(resource) {
        return Some(user);
    }
    let handle = Handle::parse(resource).ok()?;
    handle.user().filter(|_| state.is_at_home(&handle))
}
