//! The development OIDC issuer: whoever says a name is that person.
//!
//! A real deployment names a real issuer (Cognito, Auth0, Zitadel, …). So that the local server needs none, it
//! has this one under `/dev/oidc`: an OpenID Provider with the authorization code flow and PKCE, ES256 ID
//! tokens, and no passwords at all. It lives in the local server's package, which no Lambda contains, so there
//! is no setting by which a deployment could come to trust it.
//!
//! ```text
//! GET  /.well-known/openid-configuration   OpenID Connect Discovery 1.0
//! GET  /jwks                               the one public key, RFC 7517
//! GET  /authorize                          the sign-in page (RFC 6749 section 4.1, PKCE by RFC 7636)
//! POST /authorize                          a name was given: back to the client with a code
//! POST /token                              a code, or for scripts just a name, becomes an ID token
//! ```
//!
//! No answer carries CORS headers: a web page from elsewhere must not be able to fetch tokens from a server
//! that somebody runs on their own machine.

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

use codes::Codes;
use key::Key;

/// Milliseconds since the Unix epoch.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Where the local server mounts [`router`]; the issuer's URL is the server's origin and this.
pub const PATH: &str = "/dev/oidc";

/// More than any of its requests needs.
const BODY_LIMIT: usize = 16 * 1024;

/// The issuer's identity and state; cheap to clone.
#[derive(Clone)]
pub struct Issuer {
    inner: Arc<Inner>,
}

struct Inner {
    url: String,
    audience: String,
    key: Key,
    codes: Codes,
    clock: Clock,
}

impl Issuer {
    /// An issuer at `url` (origin and [`PATH`]) for the one client `audience`.
    ///
    /// With a `key_dir` its key is kept there, so that ID tokens and the servers' cached keys survive a
    /// restart; without, each start has a new one.
    pub fn new(url: &str, audience: &str, key_dir: Option<&Path>, clock: Clock) -> anyhow::Result<Self> {
        let key = match key_dir {
            Some(dir) => Key::kept_in(dir)?,
            None => Key::generate()?,
        };
        let (url, audience) = (url.trim_end_matches('/').to_owned(), audience.to_owned());
        Ok(Self { inner: Arc::new(Inner { url, audience, key, codes: Codes::default(), clock }) })
    }

    /// The `iss` of its tokens.
    pub fn url(&self) -> &str {
        &self.inner.url
    }
}

impl Inner {
    fn now(&self) -> i64 {
        (self.clock)()
    }
}

/// The issuer's endpoints, to be nested at [`PATH`].
pub fn router(issuer: Issuer) -> Router {
    Router::new()
        .route("/.well-known/openid-configuration", get(discovery::configuration))
        .route("/jwks", get(discovery::jwks))
        .route("/authorize", get(authorize::ask).post(authorize::answer))
        .route("/token", post(token::issue))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(issuer.inner)
}
