//! What a function has at hand while it runs.

use std::sync::Arc;

use eko_protocol::address::Origin;
use eko_store::Store;

use crate::access_token::AccessTokens;
use crate::config::Config;
use crate::oidc::Oidc;

/// Tells the time, in epoch milliseconds.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Fills a buffer with cryptographically secure random bytes.
pub type Random = Arc<dyn Fn(&mut [u8]) + Send + Sync>;

/// The state of a function: configuration, store, time, randomness. Cheap to clone.
#[derive(Clone)]
pub struct AppState {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    store: Store,
    tokens: AccessTokens,
    oidc: Oidc,
    clock: Clock,
    random: Random,
}

impl AppState {
    /// A state over these parts. Makes no call.
    pub fn new(config: Config, store: Store, oidc: Oidc, clock: Clock, random: Random) -> Self {
        let tokens = AccessTokens::new(&config);
        Self { inner: Arc::new(Inner { config, store, tokens, oidc, clock, random }) }
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

    /// Verifies ID tokens.
    pub fn oidc(&self) -> &Oidc {
        &self.inner.oidc
    }

    /// Now, in epoch milliseconds.
    pub fn now_ms(&self) -> i64 {
        (self.inner.clock)()
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
