//! The source of random bytes for libsignal.

use eko_client::Environment;
use rand_core_09::{CryptoRng, RngCore};

/// The environment's random bytes, behind the traits that libsignal requires.
pub(super) struct EnvironmentRng<'a>(pub(super) &'a Environment);

impl RngCore for EnvironmentRng<'_> {
    fn next_u32(&mut self) -> u32 {
        u32::from_le_bytes(self.0.bytes())
    }

    fn next_u64(&mut self) -> u64 {
        u64::from_le_bytes(self.0.bytes())
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        (self.0.random)(bytes);
    }
}

impl CryptoRng for EnvironmentRng<'_> {}
