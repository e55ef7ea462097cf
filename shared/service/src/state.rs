//! What a function has at hand while it runs.

use std::sync::{Arc, OnceLock};

use eko_federation::keys::{KeyFault, SigningKey};
use eko_protocol::address::Origin;
use eko_store::Store;

use crate::access_token::AccessTokens;
use crate::config::{Config, ConfigError, SIGNING_KEY_PARAMETER};

/// Tells the time, in epoch milliseconds.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Fills a buffer with cryptographically secure random bytes.
pub type Random = Arc<dyn Fn(&mut [u8]) + Send + Sync>;

/// What every function has: configuration, store, time, randomness. Cheap to clone.
///
/// What only some need is around it ([`crate::Federated`], sign-in's own), so that a function which talks to AWS
/// alone links and starts nothing else.
#[derive(Clone)]
pub struct AppState {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    store: Store,
    tokens: AccessTokens,
    /// Read when it is first asked for: that takes more than the rest of a function's init.
    signing_key: OnceLock<Result<Arc<SigningKey>, KeyFault>>,
    clock: Clock,
    random: Random,
}

impl AppState {
    /// A state over these parts. Makes no call.
    pub fn new(config: Config, store: Store, clock: Clock, random: Random) -> Self {
        let tokens = AccessTokens::new(&config);
        let signing_key = OnceLock::new();
        Self { inner: Arc::new(Inner { config, store, tokens, signing_key, clock, random }) }
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// The public base URL.
    pub fn origin(&self) -> &Origin {
        &self.inner.config.origin
    }

    /// The table and the queues.
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// Makes and verifies access tokens.
    pub fn tokens(&self) -> &AccessTokens {
        &self.inner.tokens
    }

    /// The key that requests to other servers are signed with; without one this server does not federate.
    ///
    /// # Errors
    /// The configuration's is none.
    pub fn signing_key(&self) -> Result<Option<&Arc<SigningKey>>, ConfigError> {
        let Some(federation) = &self.config().federation else { return Ok(None) };
        let read = || SigningKey::from_pem(&federation.signing_key).map(Arc::new);
        match self.inner.signing_key.get_or_init(read) {
            Ok(key) => Ok(Some(key)),
            Err(fault) => Err(ConfigError { variable: SIGNING_KEY_PARAMETER, reason: fault.to_string() }),
        }
    }

    /// Now, in epoch milliseconds.
    pub fn now_ms(&self) -> i64 {
        (self.inner.clock)()
    }

    /// When what is queued at `now_ms` is of no more use, in epoch seconds: the configured days later.
    pub fn keep_until(&self, now_ms: i64) -> i64 {
        let days = i64::from(self.config().message_ttl_days);
        now_ms.div_euclid(1000).saturating_add(days.saturating_mul(24 * 3600))
    }

    /// A random UUID (version 4) as text.
    pub fn random_uuid(&self) -> String {
        uuid::Builder::from_random_bytes(self.random()).into_uuid().to_string()
    }

    /// `N` random bytes.
    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        (self.inner.random)(&mut bytes);
        bytes
    }
}

/// The system's clock.
pub fn system_clock() -> Clock {
    Arc::new(|| {
        #[expect(clippy::disallowed_methods, reason = "the one place where time comes from")]
        let now = std::time::SystemTime::now();
        let since = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

/// The system's random source.
pub fn system_random() -> Random {
    Arc::new(|bytes| {
        if aws_lc_rs::rand::fill(bytes).is_err() {
            // Without randomness no token and no id may be made: better no process than a weak one.
            std::process::abort();
        }
    })
}
