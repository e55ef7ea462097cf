//! The state of the function `auth`: that of every function, and a verifier of ID tokens.

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRef;
use eko_federation::client::Roots;
use eko_federation::network::Network;
use eko_service::config::ConfigError;
use eko_service::{AppState, federated};

use crate::oidc::Oidc;

/// [`AppState`] with a verifier of ID tokens. Cheap to clone.
#[derive(Clone)]
pub struct SignInState {
    app: AppState,
    oidc: Arc<Oidc>,
}

impl SignInState {
    /// Creates the state. Makes no call. Requests to the issuer go through the guarded client, as
    /// those to other servers do.
    ///
    /// # Errors
    /// The issuer's URL may not be requested.
    pub fn new(app: AppState, network: Arc<dyn Network>, roots: Roots) -> Result<Self, ConfigError> {
        let client = federated::client(app.config(), network, roots)?;
        let oidc = Arc::new(Oidc::new(app.config(), client)?);
        Ok(Self { app, oidc })
    }

    /// Returns the verifier of ID tokens.
    pub(crate) fn oidc(&self) -> &Oidc {
        &self.oidc
    }
}

impl Deref for SignInState {
    type Target = AppState;

    fn deref(&self) -> &AppState {
        &self.app
    }
}

impl FromRef<SignInState> for AppState {
    fn from_ref(state: &SignInState) -> Self {
        state.app.clone()
    }
}

#[cfg(feature = "lambda")]
impl eko_service::shell::FunctionState for SignInState {
    fn of(app: AppState) -> Result<Self, ConfigError> {
        use eko_federation::{client::public_roots, network::SystemNetwork};
        Self::new(app, Arc::new(SystemNetwork), public_roots())
    }
}
