//! Signing in at the server's OpenID Connect issuer: in the person's browser, by the authorization code flow with
//! PKCE (RFC 7636) and a listener on loopback (RFC 8252); or, at a development issuer, by a name alone.
//!
//! The ID token goes to the server, which verifies it. Here only what the server cannot know is checked: that it is
//! the answer to this sign-in.

mod issuer;
mod loopback;
mod token;

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use eko_client::{Environment, Transport, TransportError};
use oauth2::{
    AuthUrl, AuthorizationCode, CsrfToken, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope,
};

pub use issuer::Issuer;
use loopback::{Due, Loopback};
use token::Tokens;

/// What is asked for: who somebody is, and the address that some servers want verified.
const SCOPES: [&str; 3] = ["openid", "email", "profile"];

/// A client of an issuer: what OpenID Connect calls a relying party.
pub struct RelyingParty<'a, T> {
    transport: &'a T,
    environment: &'a Environment,
    issuer: Issuer,
    audience: String,
}

/// How a sign-in in the browser goes.
#[derive(Debug, Clone, Copy)]
pub struct InBrowser<'a> {
    /// Who signs in, for the issuer to fill in.
    pub login_hint: Option<&'a str>,
    /// The port on 127.0.0.1 that the browser comes back to; 0 takes a free one.
    pub port: u16,
    /// How long the person has.
    pub wait: Duration,
}

/// Why there is no ID token.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// The issuer does not answer.
    #[error("{issuer} does not answer: {error}")]
    Unreachable {
        /// The issuer, or its endpoint.
        issuer: String,
        /// Why.
        error: TransportError,
    },
    /// What the issuer says of itself cannot be used.
    #[error("{issuer} cannot be signed in at: {why}")]
    NotAnIssuer {
        /// The issuer.
        issuer: String,
        /// Why.
        why: String,
    },
    /// The issuer refuses, or the person does.
    #[error("the issuer says {error}{}", .description.as_ref().map(|text| format!(": {text}")).unwrap_or_default())]
    Refused {
        /// The error code of RFC 6749.
        error: String,
        /// The same for a person.
        description: Option<String>,
    },
    /// What came back is no answer to this sign-in.
    #[error("the answer is not to be trusted: {0}")]
    Untrusted(&'static str),
    /// Nobody came back from the browser.
    #[error("nobody came back from the browser in {} minutes", .0.as_secs().div_ceil(60))]
    TimedOut(Duration),
    /// This machine does not let anybody listen on that port.
    #[error("cannot listen on 127.0.0.1 for the browser to come back: {0}")]
    Listen(#[from] std::io::Error),
}

impl<'a, T: Transport> RelyingParty<'a, T> {
    /// Reads what the issuer says of itself. `audience` is the client id that its tokens are for.
    ///
    /// # Errors
    /// The issuer does not answer, or what it says cannot be used.
    pub async fn discover(
        transport: &'a T,
        environment: &'a Environment,
        issuer: &str,
        audience: &str,
    ) -> Result<Self, OidcError> {
        let issuer = Issuer::discover(transport, issuer).await?;
        Ok(Self { transport, environment, issuer, audience: audience.to_owned() })
    }

    /// The issuer.
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// Signs in by a name alone, where [`Issuer::asks_for_no_password`]; answers the ID token.
    ///
    /// # Errors
    /// The issuer does not answer, or refuses.
    pub async fn by_name(&self, name: &str) -> Result<String, OidcError> {
        let nonce = self.random();
        let id_token = self.tokens().by_name(name, &nonce).await?;
        token::check(&id_token, &self.issuer.url, &self.audience, &nonce)?;
        Ok(id_token)
    }

    /// Signs in in a browser, which `show` brings to the URL that it is given; answers the ID token.
    ///
    /// # Errors
    /// Nobody comes back in time; the issuer refuses; the answer is none to this sign-in.
    pub async fn in_browser(&self, way: InBrowser<'_>, show: impl FnOnce(&str)) -> Result<String, OidcError> {
        let loopback = Loopback::bind(way.port).await?;
        let redirect_uri = loopback.redirect_uri()?;
        let (state, nonce) = (self.random(), self.random());
        let verifier = PkceCodeVerifier::new(self.random());
        show(&self.authorization_url(&redirect_uri, &state, &nonce, &verifier, way.login_hint)?);
        let due =
            Due { state, issuer: self.issuer.url.clone(), names_itself: self.issuer.names_itself_in_answers };
        let code = loopback.code(due, way.wait).await?;
        let redirect_uri =
            RedirectUrl::new(redirect_uri).map_err(|error| self.unusable(error.to_string()))?;
        let id_token = self.tokens().by_code(AuthorizationCode::new(code), redirect_uri, verifier).await?;
        token::check(&id_token, &self.issuer.url, &self.audience, &nonce)?;
        Ok(id_token)
    }

    fn authorization_url(
        &self,
        redirect_uri: &str,
        state: &str,
        nonce: &str,
        verifier: &PkceCodeVerifier,
        login_hint: Option<&str>,
    ) -> Result<String, OidcError> {
        let unusable = |error: oauth2::url::ParseError| self.unusable(error.to_string());
        let endpoint = AuthUrl::new(self.issuer.authorization_endpoint.clone()).map_err(unusable)?;
        let redirect_uri = RedirectUrl::new(redirect_uri.to_owned()).map_err(unusable)?;
        let client = token::client(&self.audience).set_auth_uri(endpoint).set_redirect_uri(redirect_uri);
        let state = CsrfToken::new(state.to_owned());
        let scopes = SCOPES.iter().filter(|scope| self.issuer.gives(scope));
        let mut request = client
            .authorize_url(|| state)
            .add_scopes(scopes.map(|scope| Scope::new((*scope).to_owned())))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(verifier))
            .add_extra_param("nonce", nonce);
        if let Some(hint) = login_hint {
            request = request.add_extra_param("login_hint", hint);
        }
        let (url, _) = request.url();
        Ok(url.into())
    }

    fn tokens(&self) -> Tokens<'_, T> {
        Tokens { transport: self.transport, audience: &self.audience, issuer: &self.issuer }
    }

    fn unusable(&self, why: String) -> OidcError {
        OidcError::NotAnIssuer { issuer: self.issuer.url.clone(), why }
    }

    /// 32 random bytes in base64url: what PKCE wants at least, and enough for the others.
    fn random(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.environment.bytes::<32>())
    }
}
