//! ID tokens from the development issuer, which believes anyone who names a user.

use anyhow::{Context as _, ensure};
use eko_client::capabilities::Capabilities;
use eko_client::{Body, Device, Exchange, IdToken, Transport};
use http::{Method, StatusCode};
use serde_json::Value;
use url::form_urlencoded::Serializer;

use super::recording::RecordingTransport;

/// The issuer that a server trusts.
#[derive(Clone)]
pub(super) struct TrustedIssuer {
    transport: RecordingTransport,
    issuer: String,
    token_endpoint: String,
    audience: String,
}

impl TrustedIssuer {
    /// Reads the issuer's discovery document.
    ///
    /// # Errors
    /// The document cannot be fetched, or the issuer does not give tokens for a name.
    pub(super) async fn discover(
        transport: RecordingTransport,
        capabilities: &Capabilities,
    ) -> anyhow::Result<Self> {
        let issuer = capabilities.issuer.trim_end_matches('/');
        let url = format!("{issuer}/.well-known/openid-configuration");
        let answer = Exchange::send(&transport, Method::GET, &url, Body::Empty, None).await?;
        let document = answer.expect(StatusCode::OK)?.json()?;
        let grants = document.get("grant_types_supported").and_then(Value::as_array);
        ensure!(
            grants.is_some_and(|grants| grants.iter().any(|grant| grant == "password")),
            "{issuer} is a real issuer, where people sign in: the demo needs the local server's own"
        );
        let token_endpoint = document.get("token_endpoint").and_then(Value::as_str);
        let token_endpoint = token_endpoint.context("the issuer names no token endpoint")?.to_owned();
        let Capabilities { issuer, audience, .. } = capabilities.clone();
        Ok(Self { transport, issuer, token_endpoint, audience })
    }

    /// Returns an ID token of a device's user, made for this device.
    ///
    /// # Errors
    /// The issuer gives none.
    pub(super) async fn id_token<T: Transport>(&self, device: &Device<T>) -> anyhow::Result<IdToken> {
        let challenge = device.challenge();
        let form = Serializer::new(String::new())
            .append_pair("grant_type", "password")
            .append_pair("username", device.user().as_str())
            .append_pair("client_id", &self.audience)
            .append_pair("nonce", challenge.nonce())
            .finish();
        let body = Body::Raw(Some("application/x-www-form-urlencoded"), form.into());
        let answer = Exchange::send(&self.transport, Method::POST, &self.token_endpoint, body, None).await?;
        let document = answer.expect(StatusCode::OK)?.json()?;
        let token = document.get("id_token").and_then(Value::as_str);
        let token = token.context("the issuer's answer holds no id_token")?;
        Ok(challenge.accept(token, &self.issuer, &self.audience)?)
    }
}
