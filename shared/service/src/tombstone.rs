//! The answers at the addresses of a deleted account (`docs/protocol.md`, section 10).

use axum::response::Response;
use eko_protocol::deletion;
use eko_protocol::vocabulary::actor_context;
use eko_store::devices::Absence;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::{Problem, negotiate, respond};

/// The time for which caches may keep a tombstone, in seconds.
const FRESH_SECONDS: u32 = 60;

/// Answers 410 with the tombstone of what was at the address `url`, of this ActivityStreams type.
///
/// # Errors
/// [`Problem::NotFound`] if there never was such a user.
pub fn answer(
    headers: &HeaderMap,
    url: &str,
    former_type: &str,
    absence: Absence,
) -> Result<Response, Problem> {
    Ok(cached(headers, &document(url, former_type, absence)?))
}

/// Returns the tombstone of what was at the address `url`.
///
/// # Errors
/// [`Problem::NotFound`] if there never was such a user.
pub fn document(url: &str, former_type: &str, absence: Absence) -> Result<Value, Problem> {
    match absence {
        Absence::Unknown => Err(absence.into()),
        Absence::Deleted { at_ms } => {
            let mut body = deletion::tombstone(url, former_type, at_ms);
            body["@context"] = actor_context();
            Ok(body)
        }
    }
}

/// Answers 410 with a tombstone, in the representation that the request prefers.
pub fn cached(headers: &HeaderMap, tombstone: &Value) -> Response {
    let mut response = negotiate::negotiated(headers, tombstone);
    *response.status_mut() = StatusCode::GONE;
    respond::cached(response, FRESH_SECONDS)
}
