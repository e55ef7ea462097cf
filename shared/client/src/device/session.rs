//! The tokens of a signed-in device (section 10).

use eko_protocol::json::shape;
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::Device;
use crate::{Auth, Body, ClientError, Exchange, Transport};

/// The tokens that a device is signed in with.
#[derive(Clone, PartialEq, Eq)]
pub struct DeviceTokens {
    /// The access token. It lives for minutes.
    pub access: String,
    /// The refresh token. It works once, and again if the answer was lost.
    pub refresh: String,
    /// The time at which the access token ends by this device's clock, in epoch milliseconds.
    pub expires_ms: i64,
}

/// Leaves the tokens out, so that they come into no log.
impl std::fmt::Debug for DeviceTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").field("expires_ms", &self.expires_ms).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TokenResponse {
    access_token: String,
    refresh_token: String,
    expires_in: i64,
}

impl<T: Transport> Device<T> {
    /// POST `/auth/refresh`: gets a fresh access token and the next refresh token. If there is no
    /// answer, the call is repeated within a minute, or once in a day later: it gets the same refresh
    /// token.
    ///
    /// # Errors
    /// [`ClientError::Problem`] with status 401 if the refresh token is spent or its family has
    /// ended: the device must sign in again.
    pub async fn refresh(&self) -> Result<(), ClientError> {
        let answer = self.present("/auth/refresh").await?.expect(StatusCode::OK)?;
        self.keep_tokens(&answer)
    }

    /// POST `/auth/logout`: ends the refresh token. The device forgets both tokens.
    ///
    /// # Errors
    /// Those of every call. The device then keeps its tokens.
    pub async fn logout(&self) -> Result<(), ClientError> {
        self.present("/auth/logout").await?.expect(StatusCode::NO_CONTENT)?;
        self.set_tokens(None);
        Ok(())
    }

    async fn present(&self, path: &str) -> Result<Exchange, ClientError> {
        let tokens = self.tokens().ok_or(ClientError::NotSignedIn)?;
        let body = json!({ "refreshToken": tokens.refresh });
        self.call(Method::POST, path, Body::Json(&body), Auth::Nobody).await
    }

    /// Keeps the tokens of an answer.
    pub(super) fn keep_tokens(&self, answer: &Exchange) -> Result<(), ClientError> {
        let wire: TokenResponse =
            shape(&answer.json()?).map_err(|fault| answer.unexpected(fault.to_string()))?;
        let expires_ms = self.environment.now_ms().saturating_add(wire.expires_in.saturating_mul(1000));
        self.set_tokens(Some(DeviceTokens {
            access: wire.access_token,
            refresh: wire.refresh_token,
            expires_ms,
        }));
        Ok(())
    }
}
