//! The way to other servers, made of the configuration, and what its failures are to a client.

use std::sync::Arc;

use eko_federation::client::{Client, Options, UrlPolicy};
use eko_federation::keys::SigningKey;
use eko_federation::network::Network;
use eko_federation::{Federation, RemoteError};
use eko_store::Store;
use http::HeaderValue;
use rustls::RootCertStore;

use crate::Problem;
use crate::config::{Config, ConfigError};

/// Federation as the configuration has it; `None` where it has none. Makes no call.
///
/// `network` resolves and dials, `roots` says whose certificates are good: the system's and the public ones
/// outside of tests.
pub fn federation(
    config: &Config,
    store: &Store,
    network: Arc<dyn Network>,
    roots: RootCertStore,
) -> Result<Option<Federation>, ConfigError> {
    let Some(settings) = &config.federation else { return Ok(None) };
    let error = |reason: String| ConfigError { variable: "SIGNING_KEY", reason };
    let key = SigningKey::from_pem(&settings.signing_key).map_err(|e| error(e.to_string()))?;
    let agent = format!("eko-messages/{} (+{})", env!("CARGO_PKG_VERSION"), config.origin);
    let options = Options {
        user_agent: HeaderValue::from_str(&agent).map_err(|e| error(e.to_string()))?,
        roots,
        urls: UrlPolicy { danger_allow_loopback_http: config.danger_allow_loopback_http },
    };
    let client = Client::new(network, options).map_err(|e| error(e.to_string()))?;
    let window_ms = i64::try_from(settings.window_seconds.saturating_mul(1000)).unwrap_or(i64::MAX);
    Ok(Some(Federation::new(
        config.origin.clone(),
        key,
        client,
        settings.policy.clone(),
        window_ms,
        store.clone(),
    )))
}

impl From<RemoteError> for Problem {
    /// For a client that asked for something on the other server.
    fn from(error: RemoteError) -> Self {
        match error {
            RemoteError::NotFederated(_) => Self::NotFederated(error.to_string()),
            RemoteError::Gone(_) => Self::NotFound("user"),
            RemoteError::Unusable(why) => Self::RemoteFailed(why),
            RemoteError::Unreachable(why) => Self::RemoteUnreachable(why),
            RemoteError::Store(why) => Self::Unavailable(why),
        }
    }
}
