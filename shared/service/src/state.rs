//! The state that every function has while it runs.

use std::sync::{Arc, OnceLock};

use eko_federation::keys::{KeyFault, SigningKey};
use eko_messaging::Messaging;
use eko_protocol::address::{Handle, Origin, UserName};
use eko_store::Store;
use eko_web_push::{KeyError, VapidKey};

pub use eko_messaging::{Clock, Random};

use crate::access_token::AccessTokens;
use crate::config::{Config, ConfigError, SIGNING_KEY_PARAMETER, VAPID_KEY_PARAMETER};

/// The state that every function has: configuration, messaging, access tokens. Cheap to clone.
///
/// A function that needs more wraps it: [`crate::FederatedState`], or `SignInState` in the function
/// `auth`. So a function that talks to AWS alone links and starts nothing else.
#[derive(Clone)]
pub struct AppState {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    messaging: Messaging,
    tokens: AccessTokens,
    /// The signing key, parsed at its first use: parsing takes longer than the rest of init.
    signing_key: OnceLock<Result<Arc<SigningKey>, KeyFault>>,
    /// The VAPID key, likewise.
    vapid_key: OnceLock<Result<VapidKey, KeyError>>,
}

impl AppState {
    /// Creates a state from its parts. Makes no call.
    pub fn new(config: Config, store: Store, clock: Clock, random: Random) -> Self {
        let tokens = AccessTokens::new(&config);
        let messaging = Messaging::new(config.origin.clone(), store, config.limits.clone(), clock, random);
        let messaging = if config.live_url.is_some() { messaging.with_sockets() } else { messaging };
        let (signing_key, vapid_key) = (OnceLock::new(), OnceLock::new());
        Self { inner: Arc::new(Inner { config, messaging, tokens, signing_key, vapid_key }) }
    }

    /// Returns the configuration.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// Returns the verbs of messaging.
    pub fn messaging(&self) -> &Messaging {
        &self.inner.messaging
    }

    /// Returns the public base URL.
    pub fn origin(&self) -> &Origin {
        self.messaging().origin()
    }

    /// Returns the handle of a user of this server.
    pub fn handle(&self, user: UserName) -> Handle {
        Handle::at(user, &self.config().handle_domain)
    }

    /// True if a handle is at the domain of this server's handles, or at the server's own.
    pub fn is_at_home(&self, handle: &Handle) -> bool {
        [self.origin().authority(), &self.config().handle_domain].contains(&handle.authority())
    }

    /// Returns the table and the queues.
    pub fn store(&self) -> &Store {
        self.messaging().store()
    }

    /// Returns the maker and verifier of access tokens.
    pub fn tokens(&self) -> &AccessTokens {
        &self.inner.tokens
    }

    /// Returns the key that signs requests to other servers, or `None` for a server that does not
    /// federate.
    ///
    /// # Errors
    /// [`ConfigError`] if the configured key is not an RSA key in PKCS#8 PEM.
    pub fn signing_key(&self) -> Result<Option<&Arc<SigningKey>>, ConfigError> {
        let Some(federation) = &self.config().federation else { return Ok(None) };
        let read = || SigningKey::from_pem(&federation.signing_key).map(Arc::new);
        match self.inner.signing_key.get_or_init(read) {
            Ok(key) => Ok(Some(key)),
            Err(fault) => Err(ConfigError { variable: SIGNING_KEY_PARAMETER, reason: fault.to_string() }),
        }
    }

    /// Returns the key with which this server identifies itself to push services, or `None` for a
    /// server that sends no pushes.
    ///
    /// # Errors
    /// [`ConfigError`] if the configured key is not a P-256 key in PKCS#8 PEM.
    pub fn vapid_key(&self) -> Result<Option<&VapidKey>, ConfigError> {
        let Some(text) = &self.config().vapid_key else { return Ok(None) };
        match self.inner.vapid_key.get_or_init(|| VapidKey::from_pem(text)) {
            Ok(key) => Ok(Some(key)),
            Err(error) => Err(ConfigError { variable: VAPID_KEY_PARAMETER, reason: error.to_string() }),
        }
    }

    /// Returns the time now, in epoch milliseconds.
    pub fn now_ms(&self) -> i64 {
        self.messaging().now_ms()
    }

    /// Draws a random UUID (version 4) and returns it as text.
    pub fn random_uuid(&self) -> String {
        self.messaging().random_uuid()
    }

    /// Draws `N` random bytes.
    pub fn random<const N: usize>(&self) -> [u8; N] {
        self.messaging().random()
    }
}

/// Returns the system's clock.
pub fn system_clock() -> Clock {
    Arc::new(|| {
        #[expect(clippy::disallowed_methods, reason = "the one place where a function reads the clock")]
        let now = std::time::SystemTime::now();
        let since = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

/// Returns the system's random source.
pub fn system_random() -> Random {
    Arc::new(|bytes| {
        if aws_lc_rs::rand::fill(bytes).is_err() {
            // A token or an id of weak randomness could be guessed. Better no process at all.
            std::process::abort();
        }
    })
}
