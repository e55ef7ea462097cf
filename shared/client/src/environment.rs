//! Time and randomness. A client takes both from its caller, so that tests can repeat a run.

use std::convert::Infallible;
use std::sync::Arc;

use eko_protocol::address::Origin;
use eko_protocol::id::{DeviceId, EnvelopeId};
use rand_core::{TryCryptoRng, TryRng};

/// A clock that returns the time in epoch milliseconds.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// A source of randomness that fills a buffer with cryptographically secure bytes.
pub type Random = Arc<dyn Fn(&mut [u8]) + Send + Sync>;

/// The sources that a client draws on besides the network. Cheap to clone.
#[derive(Clone)]
pub struct Environment {
    /// The clock.
    pub clock: Clock,
    /// The source of randomness.
    pub random: Random,
}

impl Environment {
    /// Returns the system's clock and source of randomness.
    pub fn system() -> Self {
        Self { clock: Arc::new(system_ms), random: Arc::new(system_random) }
    }

    /// Returns the time in epoch milliseconds.
    pub fn now_ms(&self) -> i64 {
        (self.clock)()
    }

    /// Returns `N` random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        (self.random)(&mut bytes);
        bytes
    }

    /// Returns a fresh device id: a random UUID.
    pub fn device_id(&self) -> DeviceId {
        DeviceId::from_random(self.bytes())
    }

    /// Returns a fresh envelope id for a user of the server at `origin`.
    pub fn envelope_id(&self, origin: &Origin) -> EnvelopeId {
        EnvelopeId::from_random(origin, self.bytes())
    }

    /// Returns the source of randomness behind the traits of `rand_core`.
    pub(crate) fn rng(&self) -> Rng<'_> {
        Rng(&self.random)
    }
}

/// A [`Random`] behind the traits of `rand_core`, which cryptographic crates expect.
pub(crate) struct Rng<'a>(&'a Random);

impl TryRng for Rng<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        (self.0)(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        (self.0)(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        (self.0)(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Rng<'_> {}

fn system_ms() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "the one place where a client's time comes from")]
    let now = std::time::SystemTime::now();
    let since = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn system_random(bytes: &mut [u8]) {
    if aws_lc_rs::rand::fill(bytes).is_err() {
        // The process ends rather than make keys that can be guessed.
        std::process::abort();
    }
}
