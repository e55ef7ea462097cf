//! The state of the function `push`: the state of every function, and a client of push services.

use std::ops::Deref;
use std::sync::Arc;

use eko_federation::client::Roots;
use eko_federation::network::Network;
use eko_service::config::ConfigError;
use eko_service::{AppState, federated};
use eko_web_push::PushService;

/// [`AppState`] with a client of push services. Cheap to clone.
#[derive(Clone)]
pub struct PushServiceState {
    app: AppState,
    service: Option<Arc<PushService>>,
}

impl PushServiceState {
    /// Creates the state. Makes no call. A server without a VAPID key sends no pushes.
    ///
    /// # Errors
    /// [`ConfigError`] if the origin cannot stand in a header.
    pub fn new(app: AppState, network: Arc<dyn Network>, roots: Roots) -> Result<Self, ConfigError> {
        let config = app.config();
        let service = match (&config.push, &config.vapid_key) {
            (Some(push), Some(key)) => {
                let client = federated::client(config, network, roots, push.private.clone())?;
                Some(Arc::new(PushService::new(client, key.clone(), push.contact.clone())))
            }
            _ => None,
        };
        Ok(Self { app, service })
    }

    /// Returns the client of push services, or `None` if this server sends no pushes.
    pub(crate) fn service(&self) -> Option<&PushService> {
        self.service.as_deref()
    }
}

impl Deref for PushServiceState {
    type Target = AppState;

    fn deref(&self) -> &AppState {
        &self.app
    }
}

#[cfg(feature = "lambda")]
impl eko_service::shell::FunctionState for PushServiceState {
    fn of(app: AppState) -> Result<Self, ConfigError> {
        use eko_federation::{client::public_roots, network::SystemNetwork};
        Self::new(app, Arc::new(SystemNetwork), public_roots())
    }
}
