//! The sign-in at the server's OpenID Connect issuer, which ends with an ID token.
//!
//! There are two ways. In the person's browser it is the authorization code flow with PKCE (RFC
//! 7636) and a listener on the loopback address (RFC 8252). At a development issuer a name alone is
//! enough.
//!
//! This module checks that the answer in the browser belongs to this sign-in and comes from this
//! issuer: by a redirect path of the issuer's own, and by `iss` (RFC 9207). The ID token itself is checked by
//! [`PreparedSignIn`](eko_client::messenger::PreparedSignIn), as far as that is possible without the
//! issuer's keys. The server verifies its signature and times.

mod issuer;
mod loopback;
mod token;

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use eko_client::{Environment, Transport, TransportError, retry_after_s};
use http::{Response, StatusCode};
use oauth2::{
    AuthUrl, AuthorizationCode, CsrfToken, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope,
};

pub use issuer::IssuerMetadata;
use loopback::{ExpectedAnswer, Loopback};
use token::TokenEndpoint;

use crate::counted::span;

/// The scopes that are asked for: the identity, and the e-mail address that some servers want
/// verified.
const SCOPES: [&str; 3] = ["openid", "email", "profile"];

/// A client of an issuer, which OpenID Connect calls a relying party.
pub struct RelyingParty<'a, T> {
    transport: &'a T,
    environment: &'a Environment,
    issuer: IssuerMetadata,
    audience: String,
}

/// The settings of a sign-in in the browser.
#[derive(Debug, Clone, Copy)]
pub struct BrowserSignIn<'a> {
    /// The nonce that the ID token must carry.
    pub nonce: &'a str,
    /// The user's name, which the issuer can fill in.
    pub login_hint: Option<&'a str>,
    /// The port on 127.0.0.1 to which the browser returns; `None` for a free port.
    pub port: Option<u16>,
    /// The time that the person has.
    pub wait: Duration,
    /// The longest time for which the person may have been signed in at the issuer; `None` for any.
    /// With a limit, the ID token states the time (OpenID Connect Core, section 3.1.2.1).
    pub max_age: Option<Duration>,
}

/// The reasons why a sign-in ends without an ID token.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// The issuer does not answer.
    #[error("{issuer} does not answer: {error}")]
    Unreachable {
        /// The URL of the issuer or of its token endpoint.
        issuer: String,
        /// The error of the transport.
        error: TransportError,
    },
    /// The issuer asks to wait, or fails.
    #[error("{issuer} answers {status}{}", match .retry_after_s {
        0 => String::new(),
        seconds => format!(", and asks to wait for {}", span(*seconds)),
    })]
    Busy {
        /// The URL of the issuer or of its token endpoint.
        issuer: String,
        /// The status of the answer.
        status: StatusCode,
        /// The number of seconds to wait, 0 if the issuer names none.
        retry_after_s: u64,
    },
    /// The issuer's discovery document or token answer cannot be used.
    #[error("{issuer} cannot be signed in at: {why}")]
    NotAnIssuer {
        /// The URL of the issuer.
        issuer: String,
        /// The fault, for a person.
        why: String,
    },
    /// The issuer has refused, or the person has declined.
    #[error("the issuer says {error}{}", .description.as_ref().map(|text| format!(": {text}")).unwrap_or_default())]
    Refused {
        /// The error code of RFC 6749.
        error: String,
        /// The explanation for a person, if the issuer gives one.
        description: Option<String>,
    },
    /// The answer does not belong to this sign-in.
    #[error("the answer is not to be trusted: {0}")]
    Untrusted(&'static str),
    /// The browser did not return in time.
    #[error("nobody came back from the browser in {} minutes", .0.as_secs().div_ceil(60))]
    TimedOut(Duration),
    /// The port cannot be listened on.
    #[error("cannot listen on 127.0.0.1 for the browser to come back: {0}")]
    Listen(#[from] std::io::Error),
}

impl OidcError {
    /// Returns the error of an answer by which an issuer asks to wait, or says that it fails.
    fn of_busy<B>(issuer: &str, answer: &Response<B>) -> Option<Self> {
        let status = answer.status();
        let is_busy = status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error();
        let retry_after_s = retry_after_s(answer.headers()).unwrap_or(0);
        is_busy.then(|| Self::Busy { issuer: issuer.to_owned(), status, retry_after_s })
    }
}

impl<'a, T: Transport> RelyingParty<'a, T> {
    /// Fetches the issuer's discovery document. `audience` is the client id that the ID token must
    /// be made for.
    ///
    /// # Errors
    /// [`OidcError::Unreachable`] or [`OidcError::NotAnIssuer`].
    pub async fn discover(
        transport: &'a T,
        environment: &'a Environment,
        issuer: &str,
        audience: &str,
    ) -> Result<Self, OidcError> {
        let issuer = IssuerMetadata::discover(transport, issuer).await?;
        Ok(Self { transport, environment, issuer, audience: audience.to_owned() })
    }

    /// Returns the issuer's metadata.
    pub fn issuer(&self) -> &IssuerMetadata {
        &self.issuer
    }

    /// Signs in by a name alone, and returns the ID token with this nonce. The issuer must be one that [`asks for
    /// no password`](IssuerMetadata::asks_for_no_password).
    ///
    /// # Errors
    /// Any error but [`OidcError::TimedOut`] and [`OidcError::Listen`].
    pub async fn by_name(&self, name: &str, nonce: &str) -> Result<String, OidcError> {
        self.tokens().by_name(name, nonce).await
    }

    /// Signs in in a browser, and returns the ID token. `show` gets the URL that the browser must
    /// open.
    ///
    /// # Errors
    /// Any [`OidcError`].
    pub async fn in_browser(
        &self,
        way: BrowserSignIn<'_>,
        show: impl FnOnce(&str),
    ) -> Result<String, OidcError> {
        let loopback = Loopback::bind(way.port, &self.issuer.url).await?;
        let redirect_uri = loopback.redirect_uri()?;
        let state = self.random();
        let verifier = PkceCodeVerifier::new(self.random());
        show(&self.authorization_url(&redirect_uri, &state, &verifier, way)?);
        let expected = ExpectedAnswer {
            state,
            issuer: self.issuer.url.clone(),
            names_itself: self.issuer.names_itself_in_answers,
        };
        let code = loopback.code(expected, way.wait).await?;
        let redirect_uri =
            RedirectUrl::new(redirect_uri).map_err(|error| self.unusable(error.to_string()))?;
        self.tokens().by_code(AuthorizationCode::new(code), redirect_uri, verifier).await
    }

    fn authorization_url(
        &self,
        redirect_uri: &str,
        state: &str,
        verifier: &PkceCodeVerifier,
        way: BrowserSignIn<'_>,
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
            .add_extra_param("nonce", way.nonce);
        if let Some(hint) = way.login_hint {
            request = request.add_extra_param("login_hint", hint);
        }
        if let Some(max_age) = way.max_age {
            request = request.add_extra_param("max_age", max_age.as_secs().to_string());
        }
        let (url, _) = request.url();
        Ok(url.into())
    }

    fn tokens(&self) -> TokenEndpoint<'_, T> {
        TokenEndpoint { transport: self.transport, audience: &self.audience, issuer: &self.issuer }
    }

    fn unusable(&self, why: String) -> OidcError {
        OidcError::NotAnIssuer { issuer: self.issuer.url.clone(), why }
    }

    /// Returns 32 random bytes in base64url. PKCE requires at least so many; for the state they are
    /// enough.
    fn random(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.environment.bytes::<32>())
    }
}
