//! The tokens of a device, and the answer that carries them.

use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use eko_protocol::device_set::DeviceSetRef;
use eko_service::caller::Caller;
use eko_service::config::{ACCESS_TOKEN_SECONDS, REFRESH_TOKEN_SECONDS};
use eko_service::{AppState, Problem, respond};
use eko_store::device::DeviceStatus;
use eko_store::sessions::NewSession;
use http::StatusCode;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// A refresh token: 32 random bytes as text. The device gets the text, the store keeps the hash.
pub(crate) struct RefreshToken {
    pub(crate) text: String,
    pub(crate) hash: String,
}

impl RefreshToken {
    pub(crate) fn new(state: &AppState) -> Self {
        let text = URL_SAFE_NO_PAD.encode(state.random::<32>());
        Self { hash: Self::hash(&text), text }
    }

    /// Returns the SHA-256 of a token's text in lower-case hex.
    pub(crate) fn hash(text: &str) -> String {
        hex::encode(Sha256::digest(text))
    }

    /// Makes a session whose first refresh token is this one. The session begins a new family: the
    /// refresh tokens that follow each other.
    pub(crate) fn session(&self, state: &AppState) -> NewSession {
        let family = URL_SAFE_NO_PAD.encode(state.random::<16>());
        NewSession { token_hash: self.hash.clone(), family, ttl: expires(state) }
    }
}

/// Returns the time when a refresh token that is made now expires, in epoch seconds.
pub(crate) fn expires(state: &AppState) -> i64 {
    state.now_ms().div_euclid(1000).saturating_add(REFRESH_TOKEN_SECONDS)
}

/// The device's status and the user's device set, for the answer to a registration or a sign-in.
pub(crate) struct Standing {
    pub(crate) status: DeviceStatus,
    pub(crate) set: DeviceSetRef,
}

/// Makes the answer with a device's tokens, which nobody may cache.
pub(crate) fn answer(
    state: &AppState,
    status: StatusCode,
    caller: &Caller,
    refresh: &RefreshToken,
    standing: Option<Standing>,
) -> Result<Response, Problem> {
    let origin = state.origin();
    let mut body = Map::new();
    body.insert("actor".to_owned(), json!(origin.actor(&caller.user)));
    body.insert("device".to_owned(), json!(origin.device(&caller.user, &caller.device)));
    if let Some(standing) = standing {
        let active = standing.status == DeviceStatus::Active;
        body.insert("status".to_owned(), json!(if active { "active" } else { "pending" }));
        body.insert("eko:deviceSet".to_owned(), json!(standing.set));
    }
    body.insert("accessToken".to_owned(), json!(state.tokens().issue(caller, state.now_ms())?));
    body.insert("tokenType".to_owned(), json!("Bearer"));
    body.insert("expiresIn".to_owned(), json!(ACCESS_TOKEN_SECONDS));
    body.insert("refreshToken".to_owned(), json!(refresh.text));
    Ok(respond::uncached(respond::document(status, respond::JSON, &Value::Object(body))))
}
