//! The keys that follow from the key of one file, by HKDF-SHA-256 (RFC 5869) without a salt:
//!
//! ```text
//! content key = HKDF(eko:key, info "eko-attachment-v1 key", 32 bytes)
//! commitment  = HKDF(eko:key, info "eko-attachment-v1 commitment", 32 bytes)
//! ```
//!
//! AES-GCM alone does not commit to its key: whoever knows two keys can make bytes that both of them
//! open, to two different files. The commitment stands in the sealed bytes, so that they open under
//! one key only. The AWS Encryption SDK commits in the same way.

use aws_lc_rs::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use zeroize::Zeroizing;

use super::{AttachmentError, AttachmentKey};

/// The number of bytes of a commitment.
pub(super) const COMMITMENT_BYTES: usize = 32;

const CONTENT_KEY: &[u8] = b"eko-attachment-v1 key";
const COMMITMENT: &[u8] = b"eko-attachment-v1 commitment";

/// Returns the cipher that seals and opens a file.
pub(super) fn cipher(key: &AttachmentKey) -> Result<LessSafeKey, AttachmentError> {
    let derived = Zeroizing::new(derived(key, CONTENT_KEY)?);
    let key = UnboundKey::new(&AES_256_GCM, &*derived).map_err(|_| AttachmentError::Failed)?;
    Ok(LessSafeKey::new(key))
}

/// Returns the bytes that commit to a key, and say nothing else of it.
pub(super) fn commitment(key: &AttachmentKey) -> Result<[u8; COMMITMENT_BYTES], AttachmentError> {
    derived(key, COMMITMENT)
}

/// True if these bytes commit to the key. Compares in constant time.
pub(super) fn commits_to(bytes: &[u8], key: &AttachmentKey) -> Result<bool, AttachmentError> {
    Ok(verify_slices_are_equal(bytes, &commitment(key)?).is_ok())
}

fn derived(key: &AttachmentKey, info: &[u8]) -> Result<[u8; 32], AttachmentError> {
    let mut bytes = [0; 32];
    Salt::none(HKDF_SHA256)
        .extract(key.as_bytes())
        .expand(&[info], HKDF_SHA256)
        .and_then(|output| output.fill(&mut bytes))
        .map_err(|_| AttachmentError::Failed)?;
    Ok(bytes)
}
