//! The tokens of a device, and the answer that carries them.

use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use eko_protocol::address::UserName;
use eko_protocol::device_set::DeviceSetRef;
use eko_protocol::id::DeviceId;
use eko_service::caller::Caller;
use eko_service::config::{ACCESS_TOKEN_SECONDS, REFRESH_TOKEN_SECONDS};
use eko_service::{AppState, Problem, respond};
use eko_store::sessions::{NewSession, TokenSalt};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// The body of a refresh and of a logout.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RefreshRequest {
    /// The text of the refresh token.
    pub(crate) refresh_token: String,
}

/// A refresh token: 32 bytes, and the device that they are for. The device gets the text, the store gets
/// the hash.
///
/// ```text
/// ┌───────────────────────────────────────┬───┬──────┬───┬────────┐
/// │ 32 bytes in base64url without padding │ . │ user │ . │ device │
/// └───────────────────────────────────────┴───┴──────┴───┴────────┘
/// ```
pub(crate) struct RefreshToken {
    /// The text of the token.
    pub(crate) text: String,
    /// The SHA-256 of the text, in lower-case hex.
    pub(crate) hash: String,
}

impl RefreshToken {
    /// Draws a token for a device.
    pub(crate) fn new(state: &AppState, caller: &Caller) -> Self {
        Self::of(state.random::<32>(), caller)
    }

    /// Reads the device that the text of a token names. Returns `None` for another text.
    pub(crate) fn device_of(text: &str) -> Option<Caller> {
        let (_, rest) = text.split_once('.')?;
        let (user, device) = rest.split_once('.')?;
        Some(Caller { user: UserName::parse(user).ok()?, device: DeviceId::parse(device).ok()? })
    }

    /// Returns the token that replaces the one with the text `old`. It follows from `old` and from
    /// random bytes, which the store keeps. So it can be given again, though the store has no
    /// token's text, and nobody finds it who has only one of the two.
    pub(crate) fn after(old: &str, caller: &Caller, salt: TokenSalt) -> Self {
        let digest = Sha256::new().chain_update(b"eko-refresh-token-v1\0").chain_update(salt);
        Self::of(digest.chain_update(old).finalize().into(), caller)
    }

    fn of(bytes: [u8; 32], Caller { user, device }: &Caller) -> Self {
        let text = format!("{}.{user}.{device}", URL_SAFE_NO_PAD.encode(bytes));
        Self { hash: Self::hash(&text), text }
    }

    /// Returns the SHA-256 of a token's text, in lower-case hex.
    pub(crate) fn hash(text: &str) -> String {
        hex::encode(Sha256::digest(text))
    }

    /// Returns the session of a new family, which begins with this token.
    pub(crate) fn session(&self, state: &AppState) -> NewSession {
        let family = URL_SAFE_NO_PAD.encode(state.random::<16>());
        NewSession { token_hash: self.hash.clone(), family, ttl: refresh_token_expiry(state) }
    }
}

/// Returns the time at which a refresh token that is made now expires, in epoch seconds.
pub(crate) fn refresh_token_expiry(state: &AppState) -> i64 {
    state.now_ms().div_euclid(1000).saturating_add(REFRESH_TOKEN_SECONDS)
}

/// The status of a device that has registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RegisteredStatus {
    /// The device is in the device set.
    Active,
    /// The device waits for approval.
    Pending,
}

/// The members that the answer to a registration or a repeated sign-in has beside the tokens.
pub(crate) struct DeviceMembership {
    /// The status of the device, `status`.
    pub(crate) status: RegisteredStatus,
    /// The user's device set, `eko:deviceSet`.
    pub(crate) set: DeviceSetRef,
}

/// Answers with a new access token and a refresh token. No cache may keep the answer.
///
/// # Errors
/// [`Problem::Unavailable`] if the function has no token key.
pub(crate) fn answer(
    state: &AppState,
    status: StatusCode,
    caller: &Caller,
    refresh: &RefreshToken,
    membership: Option<DeviceMembership>,
) -> Result<Response, Problem> {
    let origin = state.origin();
    let mut body = Map::new();
    body.insert("actor".to_owned(), json!(origin.actor(&caller.user)));
    body.insert("device".to_owned(), json!(origin.device(&caller.user, &caller.device)));
    if let Some(membership) = membership {
        let status = match membership.status {
            RegisteredStatus::Active => "active",
            RegisteredStatus::Pending => "pending",
        };
        body.insert("status".to_owned(), json!(status));
        body.insert("eko:deviceSet".to_owned(), json!(membership.set));
    }
    body.insert("accessToken".to_owned(), json!(state.tokens().issue(caller, state.now_ms())?));
    body.insert("tokenType".to_owned(), json!("Bearer"));
    body.insert("expiresIn".to_owned(), json!(ACCESS_TOKEN_SECONDS));
    body.insert("refreshToken".to_owned(), json!(refresh.text));
    Ok(respond::uncached(respond::document(status, respond::JSON, &Value::Object(body))))
}
