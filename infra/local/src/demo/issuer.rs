//! ID tokens from the development issuer, which believes anyone who names a user.

use anyhow::{Context as _, ensure};
use eko_client::capabilities::Capabilities;
use eko_client::{Body, Exchange};
use eko_protocol::address::UserName;
use http::{Method, StatusCode};
use serde_json::Value;
use url::form_urlencoded::Serializer;

use super::recording::RecordingTransport;

/// The issuer that a server trusts.
#[derive(Clone)]
pub(super) struct TrustedIssuer {
    transport: RecordingTransport,
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
        Ok(Self { transport, token_endpoint, audience: capabilities.audience.clone() })
    }

    /// Returns an ID token of a user.
    ///
    /// # Errors
    /// The issuer gives none.
    pub(super) async fn id_token(&self, user: &UserName) -> anyhow::Result<String> {
        let form = Serializer::new(String::new())
            .append_pair("grant_type", "password")
            .append_pair("username", user.as_str())
            .append_pair("client_id", &self.audience)
            .finish();
        let body = Body::Raw(Some("application/x-www-form-urlencoded"), form.into());
        let answer = Exchange::send(&self.transport, Method::POST, &self.token_endpoint, body, None).await?;
        let document = answer.expect(StatusCode::OK)?.json()?;
        let token = document.get("id_token").and_then(Value::as_str);
        Ok(token.context("the issuer's answer holds no id_token")?.to_owned())
    }
}
