//! The encryption of a push message for one browser (RFC 8291), by `ece` over AWS-LC.
//!
//! `ece` takes its cryptography from one object for the whole process, and draws salt and ephemeral
//! key from it. Both therefore come from AWS-LC, not from this server's random source.

use std::any::Any;

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{self, ECDH_P256, PrivateKey, UnparsedPublicKey};
use aws_lc_rs::encoding::{AsBigEndian as _, EcPrivateKeyBin};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use ece::crypto::set_cryptographer;
use ece::{Cryptographer, EcKeyComponents, Error, LocalKeyPair, RemotePublicKey, Result};
use eko_protocol::push::PushSubscription;

/// Encrypts a message for the browser of a subscription. `plaintext` is padded, so that its length
/// tells nothing.
///
/// # Errors
/// The [`Error`] of `ece` if the browser's public key is not on the curve, or if `plaintext` is
/// empty.
pub fn encrypt(subscription: &PushSubscription, plaintext: &[u8]) -> Result<Vec<u8>> {
    install();
    ece::encrypt(&subscription.public_key, &subscription.auth, plaintext)
}

/// Gives `ece` its cryptography. Only the first call in a process has an effect.
pub fn install() {
    // An error says that it is there already.
    let _ = set_cryptographer(&AwsLc);
}

/// The cryptography of `ece`, by AWS-LC.
#[derive(Debug)]
struct AwsLc;

/// A key pair of this side.
struct KeyPair(PrivateKey);

/// A public key of the other side, as an uncompressed point.
struct PublicPoint(Vec<u8>);

/// The length of a key that HKDF makes, in bytes.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl LocalKeyPair for KeyPair {
    fn pub_as_raw(&self) -> Result<Vec<u8>> {
        Ok(self.0.compute_public_key().map_err(failed)?.as_ref().to_vec())
    }

    fn raw_components(&self) -> Result<EcKeyComponents> {
        let private: EcPrivateKeyBin<'_> = self.0.as_be_bytes().map_err(failed)?;
        Ok(EcKeyComponents::new(private.as_ref().to_vec(), self.pub_as_raw()?))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl RemotePublicKey for PublicPoint {
    fn as_raw(&self) -> Result<Vec<u8>> {
        Ok(self.0.clone())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Cryptographer for AwsLc {
    fn generate_ephemeral_keypair(&self) -> Result<Box<dyn LocalKeyPair>> {
        Ok(Box::new(KeyPair(PrivateKey::generate(&ECDH_P256).map_err(failed)?)))
    }

    fn import_key_pair(&self, components: &EcKeyComponents) -> Result<Box<dyn LocalKeyPair>> {
        let private = PrivateKey::from_private_key(&ECDH_P256, components.private_key());
        Ok(Box::new(KeyPair(private.map_err(|_| Error::CryptoError)?)))
    }

    fn import_public_key(&self, raw: &[u8]) -> Result<Box<dyn RemotePublicKey>> {
        Ok(Box::new(PublicPoint(raw.to_vec())))
    }

    fn compute_ecdh_secret(&self, remote: &dyn RemotePublicKey, local: &dyn LocalKeyPair) -> Result<Vec<u8>> {
        let local = local.as_any().downcast_ref::<KeyPair>().ok_or(Error::CryptoError)?;
        // A point that is not on the curve is refused here.
        let remote = UnparsedPublicKey::new(&ECDH_P256, remote.as_raw()?);
        agreement::agree(&local.0, remote, Error::CryptoError, |secret| Ok(secret.to_vec()))
    }

    fn hkdf_sha256(&self, salt: &[u8], secret: &[u8], info: &[u8], len: usize) -> Result<Vec<u8>> {
        let mut key = vec![0; len];
        let pseudorandom = Salt::new(HKDF_SHA256, salt).extract(secret);
        let info = [info];
        let expanded = pseudorandom.expand(&info, Length(len)).map_err(failed)?;
        expanded.fill(&mut key).map_err(failed)?;
        Ok(key)
    }

    fn aes_gcm_128_encrypt(&self, key: &[u8], iv: &[u8], data: &[u8]) -> Result<Vec<u8>> {
        let mut sealed = data.to_vec();
        aes(key)?.seal_in_place_append_tag(nonce(iv)?, Aad::empty(), &mut sealed).map_err(failed)?;
        Ok(sealed)
    }

    fn aes_gcm_128_decrypt(&self, key: &[u8], iv: &[u8], ciphertext_and_tag: &[u8]) -> Result<Vec<u8>> {
        let mut sealed = ciphertext_and_tag.to_vec();
        let opened = aes(key)?.open_in_place(nonce(iv)?, Aad::empty(), &mut sealed).map_err(failed)?;
        Ok(opened.to_vec())
    }

    fn random_bytes(&self, dest: &mut [u8]) -> Result<()> {
        aws_lc_rs::rand::fill(dest).map_err(failed)
    }
}

fn aes(key: &[u8]) -> Result<LessSafeKey> {
    Ok(LessSafeKey::new(UnboundKey::new(&AES_128_GCM, key).map_err(failed)?))
}

fn nonce(iv: &[u8]) -> Result<Nonce> {
    Nonce::try_assume_unique_for_key(iv).map_err(failed)
}

fn failed(_: Unspecified) -> Error {
    Error::CryptoError
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_rfc_8291() {
        install();
        ece::crypto::test_cryptographer(AwsLc);
    }

    #[test]
    fn a_browser_reads_what_was_encrypted_for_it() {
        install();
        let (keys, auth) = ece::generate_keypair_and_auth_secret().unwrap();
        let components = keys.raw_components().unwrap();
        let public_key = components.public_key().try_into().unwrap();
        let subscription = PushSubscription { endpoint: String::new(), public_key, auth };
        let [short, long] =
            [b"x".as_slice(), &[b'x'; 100]].map(|text| (text, encrypt(&subscription, text).unwrap()));
        for (text, sealed) in [&short, &long] {
            assert_eq!(ece::decrypt(&components, &auth, sealed).unwrap(), *text);
        }
        assert_eq!(short.1.len(), long.1.len());
        assert_ne!(encrypt(&subscription, b"x").unwrap(), short.1);
    }

    #[test]
    fn a_point_off_the_curve_is_refused() {
        let mut public_key = [7; 65];
        public_key[0] = 4;
        let subscription = PushSubscription { endpoint: String::new(), public_key, auth: [8; 16] };
        assert!(encrypt(&subscription, b"x").is_err());
    }
}
