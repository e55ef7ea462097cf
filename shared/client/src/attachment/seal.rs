//! Sealing and opening: AES-256-GCM under a key that the sealed bytes commit to.
//!
//! ```text
//! nonce, 12 bytes ‖ commitment, 32 bytes ‖ ciphertext ‖ tag, 16 bytes
//! ```

use aws_lc_rs::aead::{Aad, NONCE_LEN, Nonce};
use aws_lc_rs::digest::{SHA256, digest};
use eko_protocol::Invalid;

use super::file_keys::{COMMITMENT_BYTES, cipher, commitment, commits_to};
use super::media_type::media_type;
use super::wire::name as check_name;
use super::{
    Attachment, AttachmentError, AttachmentKey, AttachmentLocation, INLINE_MAX, MAX_BYTES, OVERHEAD,
};
use crate::Environment;

/// A file that is sealed, and has no location yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedFile {
    bytes: Vec<u8>,
    name: String,
    media_type: String,
    size: u64,
    key: AttachmentKey,
    digest: [u8; 32],
}

/// Seals a file under a fresh key.
///
/// # Errors
/// [`AttachmentError::TooLong`] if the file is longer than [`MAX_BYTES`];
/// [`AttachmentError::Invalid`] if its name or media type cannot be sent.
pub fn seal(
    bytes: &[u8],
    name: &str,
    media_type: &str,
    environment: &Environment,
) -> Result<SealedFile, AttachmentError> {
    let size = u64::try_from(bytes.len()).ok().filter(|size| *size <= MAX_BYTES);
    let size = size.ok_or(AttachmentError::TooLong)?;
    let name = check_name(name).map_err(|fault| fault.under("/name"))?;
    let media_type = self::media_type(media_type).map_err(|fault| fault.under("/mediaType"))?;
    let key = AttachmentKey::new(environment.bytes());
    let nonce: [u8; NONCE_LEN] = environment.bytes();
    let mut sealed = Vec::with_capacity(bytes.len().saturating_add(OVERHEAD));
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(&commitment(&key)?);
    sealed.extend_from_slice(bytes);
    let nonce = Nonce::assume_unique_for_key(nonce);
    let (_, in_place) = sealed.split_at_mut(NONCE_LEN + COMMITMENT_BYTES);
    let tag = cipher(&key)?
        .seal_in_place_separate_tag(nonce, Aad::empty(), in_place)
        .map_err(|_| AttachmentError::Failed)?;
    sealed.extend_from_slice(tag.as_ref());
    let digest = sha256(&sealed);
    Ok(SealedFile { bytes: sealed, name, media_type, size, key, digest })
}

impl SealedFile {
    /// Returns the sealed bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the attachment that carries the sealed bytes itself.
    ///
    /// # Errors
    /// [`AttachmentError::NotInline`] if they are more than [`INLINE_MAX`].
    pub fn inline(self) -> Result<Attachment, AttachmentError> {
        if self.bytes.len() > INLINE_MAX {
            return Err(AttachmentError::NotInline);
        }
        Ok(self.finish(AttachmentLocation::Inline))
    }

    /// Returns the attachment whose sealed bytes lie at an https address.
    ///
    /// # Errors
    /// [`AttachmentError::Invalid`] if the address cannot be sent; [`AttachmentLocation::parse`]
    /// says which can.
    pub fn at(self, url: &str) -> Result<Attachment, AttachmentError> {
        match AttachmentLocation::parse(url).map_err(|fault| fault.under("/url"))? {
            AttachmentLocation::Inline(_) => Err(Invalid::at("/url", "must be an https address").into()),
            place @ AttachmentLocation::Https(_) => Ok(self.finish(|_| place)),
        }
    }

    fn finish(self, place: impl FnOnce(Vec<u8>) -> AttachmentLocation) -> Attachment {
        let Self { bytes, name, media_type, size, key, digest } = self;
        Attachment { name, media_type, size, key, digest, url: place(bytes) }
    }
}

/// Opens the sealed bytes of a file.
///
/// # Errors
/// In the order of the checks: [`AttachmentError::OtherBytes`] if the digest differs,
/// [`AttachmentError::WrongKey`] if they commit to another key or cannot be decrypted,
/// [`AttachmentError::OtherSize`] if the file has another length than the message says.
pub fn open(sealed: &[u8], attachment: &Attachment) -> Result<Vec<u8>, AttachmentError> {
    if sha256(sealed) != attachment.digest {
        return Err(AttachmentError::OtherBytes);
    }
    let (nonce, rest) = sealed.split_at_checked(NONCE_LEN).ok_or(AttachmentError::WrongKey)?;
    let (committed, rest) = rest.split_at_checked(COMMITMENT_BYTES).ok_or(AttachmentError::WrongKey)?;
    if !commits_to(committed, &attachment.key)? {
        return Err(AttachmentError::WrongKey);
    }
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| AttachmentError::Failed)?;
    let mut bytes = rest.to_vec();
    let opened = cipher(&attachment.key)?.open_in_place(nonce, Aad::empty(), &mut bytes);
    let length = opened.map_err(|_| AttachmentError::WrongKey)?.len();
    if u64::try_from(length) != Ok(attachment.size) {
        return Err(AttachmentError::OtherSize);
    }
    bytes.truncate(length);
    Ok(bytes)
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.iter_mut().zip(digest(&SHA256, bytes).as_ref()).for_each(|(to, from)| *to = *from);
    hash
}
