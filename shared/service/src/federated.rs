//! The state of functions that talk with other servers, and what the failures of those are to a client.

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRef;
use eko_federation::client::{ClientOptions, GuardedClient, Roots, UrlPolicy};
use eko_federation::network::Network;
use eko_federation::{Federation, FederationSettings};
use eko_protocol::Invalid;
use http::HeaderValue;

use crate::config::{Config, ConfigError};
use crate::{AppState, Problem};

/// [`AppState`] with a way to other servers. Cheap to clone.
#[derive(Clone)]
pub struct Federated {
    app: AppState,
    federation: Option<Arc<Federation>>,
}

impl Federated {
    /// Makes no call. Without a signing key this server is alone.
    ///
    /// `network` resolves and dials, `roots` says whose certificates are good: the system's and the public ones
    /// outside of tests.
    ///
    /// # Errors
    /// The signing key is none, or the origin cannot be named in a header.
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
                let client = client(config, network, roots)?;
                Some(Arc::new(Federation::new(settings, client, app.store().clone())))
            }
            _ => None,
        };
        Ok(Self { app, federation })
    }

    /// The way to other servers, and from them.
    ///
    /// # Errors
    /// 422 at `pointer` where this server is alone.
    pub fn federation(&self, pointer: &str) -> Result<&Federation, Problem> {
        let alone = || Invalid::at(pointer, "is on another server, and this one does not federate");
        self.federates().ok_or_else(|| alone().into())
    }

    /// The way to other servers, where there is one.
    pub fn federates(&self) -> Option<&Federation> {
        self.federation.as_deref()
    }
}

impl Deref for Federated {
    type Target = AppState;

    fn deref(&self) -> &AppState {
        &self.app
    }
}

impl FromRef<Federated> for AppState {
    fn from_ref(state: &Federated) -> Self {
        state.app.clone()
    }
}

/// The guarded client, as the configuration has it: every request of ours to anything but AWS.
///
/// # Errors
/// The origin cannot be named in a header.
pub fn client(
    config: &Config,
    network: Arc<dyn Network>,
    roots: Roots,
) -> Result<GuardedClient, ConfigError> {
    let agent = format!("eko-messages/{} (+{})", env!("CARGO_PKG_VERSION"), config.origin);
    let user_agent = HeaderValue::from_str(&agent)
        .map_err(|error| ConfigError { variable: "ORIGIN", reason: error.to_string() })?;
    let urls = UrlPolicy { danger_allow_loopback_http: config.danger_allow_loopback_http };
    Ok(GuardedClient::new(network, ClientOptions { user_agent, roots, urls }))
}

impl From<ConfigError> for Problem {
    /// For a client: what is wrong with the configuration is in the log alone.
    fn from(error: ConfigError) -> Self {
        Self::Unavailable(error.to_string())
    }
}
