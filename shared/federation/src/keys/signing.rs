//! The server's own key.

use std::fmt;

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::{SystemRandom, fill};
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use eko_protocol::franking::FrankingSecret;
use rsa::PrivateKey;
use rsa::pkcs8::EncodePrivateKey as _;
use rsa::rand_core::{TryCryptoRng, TryRng};

use super::{KeyFault, check_numbers, pem};

/// The size of the modulus of a generated key, in bits.
const KEY_BITS: usize = 2048;

/// The server's own RSA key, which signs every request to another server.
///
/// ```
/// use eko_federation::keys::{KeyFault, PublicKey, SigningKey};
///
/// let key = SigningKey::from_pem(&SigningKey::generate()?)?;
/// let signature = key.sign(b"base")?;
/// let public = PublicKey::from_pem(key.public_pem())?;
/// assert!(public.verify(b"base", &signature));
/// assert!(!public.verify(b"another base", &signature));
/// # Ok::<(), KeyFault>(())
/// ```
pub struct SigningKey {
    pair: KeyPair,
    public_pem: String,
    franking: FrankingSecret,
}

impl SigningKey {
    /// Reads one PEM block, `PRIVATE KEY` (PKCS#8) or `RSA PRIVATE KEY` (PKCS#1), not encrypted.
    ///
    /// # Errors
    /// [`KeyFault`] for a text or a key that [`PublicKey::from_pem`](super::PublicKey::from_pem)
    /// would refuse as well; other servers apply similar rules.
    pub fn from_pem(text: &str) -> Result<Self, KeyFault> {
        let (label, der) = pem::read(text)?;
        let pair = match label {
            "PRIVATE KEY" => KeyPair::from_pkcs8(&der),
            "RSA PRIVATE KEY" => KeyPair::from_der(&der),
            _ => return Err(KeyFault::Label),
        };
        let pair = pair.map_err(|_| KeyFault::NotRsa)?;
        let key = pair.public_key();
        check_numbers(
            key.modulus().big_endian_without_leading_zero(),
            key.exponent().big_endian_without_leading_zero(),
        )?;
        let public: PublicKeyX509Der<'_> = key.as_der().map_err(|_| KeyFault::Library)?;
        let public_pem = pem::write("PUBLIC KEY", public.as_ref());
        Ok(Self { pair, public_pem, franking: FrankingSecret::derive(&der) })
    }

    /// Generates a key of 2048 bits from AWS-LC's random numbers and returns it as
    /// PKCS#8 PEM. A local server keeps it in its data folder. It takes a few tenths of a second.
    ///
    /// # Errors
    /// [`KeyFault::Library`] if there are no random numbers.
    pub fn generate() -> Result<String, KeyFault> {
        let key = PrivateKey::new(&mut LibraryRandom, KEY_BITS).map_err(|_| KeyFault::Library)?;
        let der = key.to_pkcs8_der().map_err(|_| KeyFault::Library)?;
        Ok(pem::write("PRIVATE KEY", der.as_bytes()))
    }

    /// Returns the public key in PEM, for the `publicKeyPem` of an actor.
    pub fn public_pem(&self) -> &str {
        &self.public_pem
    }

    /// Returns the key of franking MACs. It is derived from the DER of the private key, so that both are
    /// replaced together.
    pub fn franking(&self) -> &FrankingSecret {
        &self.franking
    }

    /// Signs bytes with RSASSA-PKCS1-v1_5 and SHA-256.
    ///
    /// # Errors
    /// [`KeyFault::Library`] if AWS-LC fails.
    pub fn sign(&self, base: &[u8]) -> Result<Vec<u8>, KeyFault> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        let random = SystemRandom::new();
        let outcome = self.pair.sign(&RSA_PKCS1_SHA256, &random, base, &mut signature);
        outcome.map(|()| signature).map_err(|_| KeyFault::Library)
    }
}

/// AWS-LC's random numbers behind the traits that `rsa` expects.
struct LibraryRandom;

impl TryRng for LibraryRandom {
    type Error = Unspecified;

    fn try_next_u32(&mut self) -> Result<u32, Unspecified> {
        let mut bytes = [0; 4];
        fill(&mut bytes).map(|()| u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Unspecified> {
        let mut bytes = [0; 8];
        fill(&mut bytes).map(|()| u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Unspecified> {
        fill(bytes)
    }
}

impl TryCryptoRng for LibraryRandom {}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").finish_non_exhaustive()
    }
}
