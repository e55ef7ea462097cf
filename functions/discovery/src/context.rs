//! GET `/ns` (`docs/protocol.md`, section 2): the JSON-LD context of the `eko:` terms, for readers; nobody
//! has to fetch it to understand us.

use axum::extract::State;
use axum::response::Response;
use eko_service::{AppState, respond};
use http::StatusCode;
use serde_json::{Map, Value, json};

/// Types of ours.
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

/// Members of ours that hold plain values.
const TERMS: &[&str] = &[
    "messages",
    "from",
    "content",
    "notify",
    "expires",
    "seq",
    "prev",
    "possession",
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

/// Members of ours that hold addresses.
const LINKS: &[&str] = &["device", "keyPackage"];

pub(crate) async fn context(State(state): State<AppState>) -> Response {
    let mut terms = Map::new();
    terms.insert("eko".to_owned(), json!(format!("{}#", state.origin().ns())));
    for name in TYPES.iter().chain(TERMS) {
        terms.insert((*name).to_owned(), json!(format!("eko:{name}")));
    }
    for name in LINKS {
        terms.insert((*name).to_owned(), json!({ "@id": format!("eko:{name}"), "@type": "@id" }));
    }
    let body = json!({ "@context": Value::Object(terms) });
    respond::cached(respond::document(StatusCode::OK, respond::LD_JSON, &body), 3600)
}
