//! The state of the functions that talk with other servers.

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRef;
use eko_federation::client::{ClientOptions, GuardedClient, PrivateHosts, Roots, UrlPolicy};
use eko_federation::network::Network;
use eko_federation::{Federation, FederationSettings};
use eko_protocol::Invalid;
use http::HeaderValue;

use crate::config::{Config, ConfigError};
use crate::{AppState, Problem};

/// [`AppState`] with a client of other servers. Cheap to clone.
#[derive(Clone)]
pub struct FederatedState {
    app: AppState,
    federation: Option<Arc<Federation>>,
}

impl FederatedState {
    /// Creates the state. Makes no call. A server without a signing key does not federate.
    ///
    /// `network` resolves names and opens connections, `roots` are the certificates that are
    /// trusted: outside of tests the system's network and the public roots.
    ///
    /// # Errors
    /// [`ConfigError`] if the signing key cannot be read, or if the origin cannot stand in a
    /// header.
    pub fn new(app: AppState, network: Arc<dyn Network>, roots: Roots) -> Result<Self, ConfigError> {
        let config = app.config();
        let federation = match (&config.federation, app.signing_key()?) {
            (Some(settings), Some(key)) => {
                let window_ms =
                    i64::try_from(settings.window_seconds.saturating_mul(1000)).unwrap_or(i64::MAX);
                let settings = FederationSettings {
                    origin: config.origin.clone(),
                    key: Arc::clone(key),
                    policy: settings.policy.clone(),
                    window_ms,
                };
                let client = client(config, network, roots, PrivateHosts::default())?;
                Some(Arc::new(Federation::new(settings, client, app.store().clone())))
            }
            _ => None,
        };
        Ok(Self { app, federation })
    }

    /// Returns the client of other servers, for a request that needs one. `pointer` is the member
    /// of the request that names another server.
    ///
    /// # Errors
    /// [`Problem::Invalid`] at `pointer` if this server does not federate.
    pub fn federation(&self, pointer: &str) -> Result<&Federation, Problem> {
        let invalid = || Invalid::at(pointer, "is on another server, and this one does not federate");
        self.federates().ok_or_else(|| invalid().into())
    }

    /// Returns the client of other servers, or `None` if this server does not federate.
    pub fn federates(&self) -> Option<&Federation> {
        self.federation.as_deref()
    }
}

impl Deref for FederatedState {
    type Target = AppState;

    fn deref(&self) -> &AppState {
        &self.app
    }
}

impl FromRef<FederatedState> for AppState {
    fn from_ref(state: &FederatedState) -> Self {
        state.app.clone()
    }
}

/// Creates the HTTP client with which a function asks other servers and the issuer of ID tokens. It
/// connects to public addresses only, unless the configuration allows loopback or the host is one of
/// `private`.
///
/// # Errors
/// [`ConfigError`] if the origin cannot stand in a header.
pub fn client(
    config: &Config,
    network: Arc<dyn Network>,
    roots: Roots,
    private: PrivateHosts,
) -> Result<GuardedClient, ConfigError> {
    let agent = format!("eko-messages/{} (+{})", env!("CARGO_PKG_VERSION"), config.origin);
    let user_agent = HeaderValue::from_str(&agent)
        .map_err(|error| ConfigError { variable: "ORIGIN", reason: error.to_string() })?;
    let urls = UrlPolicy { danger_allow_loopback_http: config.danger_allow_loopback_http };
    Ok(GuardedClient::new(network, ClientOptions { user_agent, roots, urls, private }))
}

impl From<ConfigError> for Problem {
    /// Maps an error of the configuration. Its text is for the log only.
    fn from(error: ConfigError) -> Self {
        Self::Unavailable(error.to_string())
    }
}
