//! The JSON-LD context of the `eko:` terms. It serves readers of linked data; no client of this
//! protocol has to fetch it.

use axum::extract::State;
use axum::response::Response;
use eko_service::{AppState, respond};
use http::StatusCode;
use serde_json::{Map, Value, json};

/// The time for which caches may keep the context, in seconds.
const FRESH_SECONDS: u32 = 3600;

/// The types that this protocol defines.
const TYPES: &[&str] = &[
    "SignalEnvelope",
    "KeyPackage",
    "AddDevice",
    "RevokeDevice",
    "ResetDevices",
    "PendingDevice",
    "Take",
    "Delivered",
    "PartialDelivery",
    "Confirm",
];

/// The members whose values the context leaves as plain text or numbers, even if they are URLs.
const TERMS: &[&str] = &[
    "messages",
    "from",
    "content",
    "notify",
    "expires",
    "seq",
    "prev",
    "possession",
    "joiningMac",
    "approvalMac",
    "identityKey",
    "registrationId",
    "signedPreKeyId",
    "signedPreKey",
    "signedPreKeySignature",
    "preKeyId",
    "preKey",
    "kyberPreKeyId",
    "kyberPreKey",
    "kyberPreKeySignature",
    "missingKeyPackages",
    "staleDevices",
];

/// The members whose values the context declares to be ids (`"@type": "@id"`).
const LINKS: &[&str] = &["device", "keyPackage"];

/// GET `/ns` (`docs/protocol.md`, section 2): returns the context. No call.
pub(crate) async fn term_context(State(state): State<AppState>) -> Response {
    let mut terms = Map::new();
    terms.insert("eko".to_owned(), json!(format!("{}#", state.origin().ns())));
    for name in TYPES.iter().chain(TERMS) {
        terms.insert((*name).to_owned(), json!(format!("eko:{name}")));
    }
    for name in LINKS {
        terms.insert((*name).to_owned(), json!({ "@id": format!("eko:{name}"), "@type": "@id" }));
    }
    let body = json!({ "@context": Value::Object(terms) });
    respond::cached(respond::document(StatusCode::OK, respond::LD_JSON, &body), FRESH_SECONDS)
}
