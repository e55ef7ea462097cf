//! The development OIDC issuer. It believes anyone who names a user.
//!
//! A deployment trusts a real issuer (Cognito, Auth0, Zitadel, …). The local server has this one at
//! `/dev/oidc`, so that it needs no other: an OpenID Provider with the authorization code flow,
//! PKCE and ES256 ID tokens, but without passwords. It is part of the local server's package, which
//! no Lambda contains, so a deployment cannot trust it by mistake.
//!
//! ```text
//! GET  /.well-known/openid-configuration   OpenID Connect Discovery 1.0
//! GET  /jwks                               the one public key, RFC 7517
//! GET  /authorize                          the sign-in page (RFC 6749 section 4.1, PKCE by RFC 7636)
//! POST /authorize                          takes a name, redirects to the client with a code
//! POST /token                              takes a code, or from scripts a name; answers an ID token
//! ```
//!
//! No answer has CORS headers: a web page must not be able to fetch tokens from a server that its
//! visitor runs on their own machine.

mod authorize;
mod codes;
mod discovery;
mod key;
mod page;
mod parameters;
mod redirect;
mod subject;
#[cfg(test)]
mod tests;
mod token;

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};

use codes::AuthorizationCodes;
use key::IssuerKey;

/// A clock that returns milliseconds since the Unix epoch.
pub type IssuerClock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The path where the local server mounts [`router`]. The issuer's URL is the server's origin and
/// this path.
pub const PATH: &str = "/dev/oidc";

/// The largest body that is accepted, more than any request needs.
const BODY_LIMIT: usize = 16 * 1024;

/// The issuer's identity and state. Clones are cheap and share it.
#[derive(Clone)]
pub struct DevelopmentIssuer {
    inner: Arc<Inner>,
}

struct Inner {
    url: String,
    audience: String,
    key: IssuerKey,
    codes: AuthorizationCodes,
    clock: IssuerClock,
}

impl DevelopmentIssuer {
    /// Makes an issuer at `url` (origin and [`PATH`]) for one client, `audience`.
    ///
    /// Its key is kept in `key_dir`, so that ID tokens, and keys that servers cache, are valid
    /// after a restart. Without the folder, each issuer has a new key.
    ///
    /// # Errors
    /// The key cannot be made, read or written.
    pub fn new(
        url: &str,
        audience: &str,
        key_dir: Option<&Path>,
        clock: IssuerClock,
    ) -> anyhow::Result<Self> {
        let key = match key_dir {
            Some(dir) => IssuerKey::open(dir)?,
            None => IssuerKey::generate()?,
        };
        let (url, audience) = (url.trim_end_matches('/').to_owned(), audience.to_owned());
        Ok(Self {
            inner: Arc::new(Inner { url, audience, key, codes: AuthorizationCodes::default(), clock }),
        })
    }

    /// Returns the `iss` of its tokens.
    pub fn url(&self) -> &str {
        &self.inner.url
    }
}

impl Inner {
    /// Returns the time in milliseconds since the Unix epoch.
    fn now(&self) -> i64 {
        (self.clock)()
    }
}

/// Returns the router of the issuer's endpoints, to be nested at [`PATH`].
pub fn router(issuer: DevelopmentIssuer) -> Router {
    Router::new()
        .route("/.well-known/openid-configuration", get(discovery::configuration))
        .route("/jwks", get(discovery::jwks))
        .route("/authorize", get(authorize::ask).post(authorize::answer))
        .route("/token", post(token::issue))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(issuer.inner)
}
