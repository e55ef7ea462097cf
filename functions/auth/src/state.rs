//! The state of sign-in: the state of every function, and a verifier of ID tokens.

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRef;
use eko_federation::client::{PrivateHosts, Roots};
use eko_federation::network::Network;
use eko_service::config::ConfigError;
use eko_service::{AppState, federated};

use crate::oidc::IdTokenVerifier;

/// [`AppState`] with a verifier of ID tokens. Cheap to clone.
#[derive(Clone)]
pub struct SignInState {
    app: AppState,
    id_tokens: Arc<IdTokenVerifier>,
}

impl SignInState {
    /// Creates the state. Makes no call. The verifier asks the issuer through the guarded client,
    /// which is also the client of other servers.
    ///
    /// # Errors
    /// [`ConfigError`] if the issuer's URL is not allowed, or if the origin cannot stand in a
    /// header.
    pub fn new(app: AppState, network: Arc<dyn Network>, roots: Roots) -> Result<Self, ConfigError> {
        let client = federated::client(app.config(), network, roots, PrivateHosts::default())?;
        let id_tokens = Arc::new(IdTokenVerifier::new(app.config(), client)?);
        Ok(Self { app, id_tokens })
    }

    /// Returns the verifier of ID tokens.
    pub(crate) fn id_tokens(&self) -> &IdTokenVerifier {
        &self.id_tokens
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
