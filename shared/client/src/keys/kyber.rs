use eko_protocol::Invalid;
use eko_protocol::key::KyberKey;
#[expect(deprecated, reason = "libsignal wants the private half expanded")]
use ml_kem::ExpandedKeyEncoding;
use ml_kem::kem::KeyExport;
use ml_kem::{DecapsulationKey1024, Seed};
use zeroize::Zeroizing;

use crate::Environment;

/// The type byte of a Kyber-1024 public key, as libsignal writes it.
const TYPE: u8 = 0x08;

/// A Kyber-1024 prekey with the seed of its private half.
///
/// Made as ML-KEM-1024 (FIPS 203): its encapsulation keys and Kyber-1024's are the same 1568 bytes.
pub struct KyberPair {
    /// 64 bytes instead of the private half's 3168: it is made again when it is needed.
    seed: Zeroizing<[u8; 64]>,
    public: KyberKey,
}

impl KyberPair {
    /// A fresh pair.
    ///
    /// # Errors
    /// None that can happen: an encapsulation key has its length.
    pub fn generate(environment: &Environment) -> Result<Self, Invalid> {
        Self::from_seed(environment.bytes())
    }

    /// The pair of a seed.
    ///
    /// # Errors
    /// None that can happen, as above.
    pub fn from_seed(seed: [u8; 64]) -> Result<Self, Invalid> {
        let seed = Zeroizing::new(seed);
        let private = DecapsulationKey1024::from_seed(Seed::from(*seed));
        let mut bytes = vec![TYPE];
        bytes.extend(private.encapsulation_key().to_bytes());
        Ok(Self { seed, public: KyberKey::from_bytes(&bytes)? })
    }

    /// The public half.
    pub fn public(&self) -> &KyberKey {
        &self.public
    }

    /// The seed of the private half (FIPS 203: `d` and `z`), for sessions.
    pub fn seed(&self) -> &[u8; 64] {
        &self.seed
    }

    /// The private half written out, for libraries that take no seed: 3168 bytes (FIPS 203: `dk`), without a
    /// type byte.
    pub fn expanded(&self) -> Zeroizing<Vec<u8>> {
        let private = DecapsulationKey1024::from_seed(Seed::from(*self.seed));
        #[expect(deprecated, reason = "as above")]
        let expanded = private.to_expanded_bytes();
        Zeroizing::new(expanded.to_vec())
    }
}
