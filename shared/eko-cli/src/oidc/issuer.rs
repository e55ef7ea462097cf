//! The issuer's discovery document.

use eko_client::transport::Bytes;
use eko_client::{Transport, brief};
use http::{Request, StatusCode, header};
use serde::Deserialize;
use url::{Host, Url};

use super::OidcError;

/// The metadata of an issuer (OpenID Connect Discovery 1.0, section 3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerMetadata {
    /// The issuer identifier, which is the `iss` of its tokens.
    pub url: String,
    /// The URL of the sign-in page.
    pub authorization_endpoint: String,
    /// The URL that exchanges a code for tokens.
    pub token_endpoint: String,
    /// True if the answers that a browser brings back carry `iss` (RFC 9207).
    pub names_itself_in_answers: bool,
    grants: Vec<String>,
    scopes: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct DiscoveryDocument {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    /// The supported grants. The default is that of RFC 8414.
    #[serde(default = "code_grant")]
    grant_types_supported: Vec<String>,
    scopes_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

fn code_grant() -> Vec<String> {
    vec!["authorization_code".to_owned()]
}

impl IssuerMetadata {
    /// Fetches the discovery document of the issuer with this identifier.
    ///
    /// # Errors
    /// [`OidcError::Unreachable`] if there is no answer. [`OidcError::NotAnIssuer`] if the document
    /// cannot be parsed, names another issuer, or has a URL that is not https. An issuer on this
    /// machine may use plain http for URLs on this machine.
    pub async fn discover(transport: &impl Transport, url: &str) -> Result<Self, OidcError> {
        let not_an_issuer = |why: String| OidcError::NotAnIssuer { issuer: url.to_owned(), why };
        let is_here = is_on_this_machine(url);
        let is_safe = |url: &str| url.starts_with("https://") || (is_here && is_on_this_machine(url));
        if !is_safe(url) {
            return Err(not_an_issuer("it is not under https".to_owned()));
        }
        let address = format!("{}/.well-known/openid-configuration", url.trim_end_matches('/'));
        let request = Request::get(&address).header(header::ACCEPT, "application/json").body(Bytes::new());
        let request = request.map_err(|error| not_an_issuer(error.to_string()))?;
        let answer = transport.send(request).await;
        let answer = answer.map_err(|error| OidcError::Unreachable { issuer: url.to_owned(), error })?;
        if let Some(busy) = OidcError::of_busy(url, &answer) {
            return Err(busy);
        }
        if answer.status() != StatusCode::OK {
            return Err(not_an_issuer(format!("{address} answers {}", answer.status())));
        }
        let document: DiscoveryDocument = serde_json::from_slice(answer.body())
            .map_err(|error| not_an_issuer(brief(&format!("{address} is no discovery document: {error}"))))?;
        if document.issuer != url {
            return Err(not_an_issuer(brief(&format!("it calls itself {}", document.issuer))));
        }
        for endpoint in [&document.authorization_endpoint, &document.token_endpoint] {
            if !is_safe(endpoint) {
                return Err(not_an_issuer(format!("{endpoint} is not under https")));
            }
        }
        Ok(Self {
            url: document.issuer,
            authorization_endpoint: document.authorization_endpoint,
            token_endpoint: document.token_endpoint,
            names_itself_in_answers: document.authorization_response_iss_parameter_supported,
            grants: document.grant_types_supported,
            scopes: document.scopes_supported,
        })
    }

    /// True for a development issuer such as the local server's: it is on this machine, uses no
    /// TLS, and gives tokens for a name alone.
    pub fn asks_for_no_password(&self) -> bool {
        is_on_this_machine(&self.url) && self.grants.iter().any(|grant| grant == "password")
    }

    /// True if the issuer supports a scope. An issuer that does not list its scopes counts as
    /// supporting all.
    pub(super) fn gives(&self, scope: &str) -> bool {
        scope == "openid"
            || self.scopes.as_ref().is_none_or(|scopes| scopes.iter().any(|given| given == scope))
    }
}

/// True if a URL is on this machine and uses plain http.
fn is_on_this_machine(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    url.scheme() == "http"
        && match url.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
}
