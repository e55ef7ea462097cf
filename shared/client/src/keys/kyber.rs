//! Kyber-1024 prekeys.

use eko_protocol::key::KyberKey;
#[expect(deprecated, reason = "libsignal wants the private half expanded")]
use ml_kem::ExpandedKeyEncoding;
use ml_kem::kem::KeyExport;
use ml_kem::{DecapsulationKey1024, Seed};
use zeroize::Zeroizing;

use crate::Environment;

/// A Kyber-1024 prekey with the seed of its private half.
///
/// The pair is an ML-KEM-1024 pair (FIPS 203). Its encapsulation key has the same 1568 bytes as the
/// Kyber-1024 key.
pub struct KyberPair {
    /// The seed, 64 bytes, from which the private half of 3168 bytes is made when it is needed.
    seed: Zeroizing<[u8; 64]>,
    public: KyberKey,
}

impl KyberPair {
    /// Returns a fresh pair.
    pub fn generate(environment: &Environment) -> Self {
        Self::from_seed(environment.bytes())
    }

    /// Returns the pair of a seed.
    pub fn from_seed(seed: [u8; 64]) -> Self {
        let seed = Zeroizing::new(seed);
        let private = DecapsulationKey1024::from_seed(Seed::from(*seed));
        let public = KyberKey::from_encapsulation_key(&private.encapsulation_key().to_bytes().into());
        Self { seed, public }
    }

    /// Returns the public half.
    pub fn public(&self) -> &KyberKey {
        &self.public
    }

    /// Returns the seed of the private half (FIPS 203: `d` and `z`).
    pub fn seed(&self) -> &[u8; 64] {
        &self.seed
    }

    /// Returns the private half written out, for libraries that take no seed: 3168 bytes (FIPS 203:
    /// `dk`), without a type byte.
    pub fn expanded(&self) -> Zeroizing<Vec<u8>> {
        let private = DecapsulationKey1024::from_seed(Seed::from(*self.seed));
        #[expect(deprecated, reason = "as above")]
        let expanded = private.to_expanded_bytes();
        Zeroizing::new(expanded.to_vec())
    }
}
