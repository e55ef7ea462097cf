//! Files that go with a note: sealed with AES-256-GCM under a key of their own, and described inside the encrypted message
//! (`docs/protocol.md`, section 9). Small ones travel in the message itself; others lie somewhere as bytes that only the
//! message can open.

mod file_name;
mod location;
mod media_type;
mod seal;
mod wire;

use eko_protocol::Invalid;

use crate::secret::Secret;

pub use location::AttachmentLocation;
pub use seal::{SealedFile, open, seal};

/// Bytes of a file before it is sealed.
pub const MAX_BYTES: u64 = 100 * 1024 * 1024;

/// Sealed bytes that may travel in the message itself: 64 KiB of base64, beside which a text of 26 KiB still fits.
pub const INLINE_MAX: usize = 48 * 1024;

/// What sealing adds: a nonce of 12 bytes before, a tag of 16 after.
pub const OVERHEAD: usize = 12 + 16;

/// Characters of a file's name, as its sender has it; the least is 1.
pub const MAX_NAME_CHARS: usize = 255;

/// A file that goes with a note. As it came, nothing of it is proven; [`open`] proves that the bytes are those that the
/// sender meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// The sender's name for it: 1 to [`MAX_NAME_CHARS`] characters, none a control character. It is no path:
    /// [`Attachment::file_name`] makes one.
    pub name: String,
    /// Its media type, as the sender says: `type/subtype` without parameters.
    pub media_type: String,
    /// Its length in bytes, at most [`MAX_BYTES`].
    pub size: u64,
    /// The key it is sealed with.
    pub key: AttachmentKey,
    /// SHA-256 of the sealed bytes.
    pub digest: [u8; 32],
    /// Where the sealed bytes are.
    pub url: AttachmentLocation,
}

/// The key of one file: 32 bytes, wiped when dropped and never shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachmentKey(Secret);

/// Why a file cannot be sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttachmentError {
    /// It is longer than [`MAX_BYTES`].
    #[error("a file may have {MAX_BYTES} bytes at most")]
    TooLong,
    /// It is longer than [`INLINE_MAX`], sealed.
    #[error("a file of more than {INLINE_MAX} bytes, sealed, does not fit into a message")]
    NotInline,
    /// Its name, media type or address cannot be sent.
    #[error("{0}")]
    Invalid(#[from] Invalid),
    /// The sealed bytes are not those that the message names.
    #[error("the file is not the one that was sent")]
    OtherBytes,
    /// The sealed bytes are the right ones, and the key does not open them.
    #[error("the file cannot be decrypted with the key in the message")]
    WrongKey,
    /// The opened bytes are not as many as the message says.
    #[error("the file is not as long as the message says")]
    OtherSize,
    /// The cryptographic library failed.
    #[error("the cryptographic library failed")]
    Failed,
}

impl Attachment {
    /// A name to save it under, made of the sender's: of one path segment, not hidden, no option of a command, no device
    /// of Windows', without characters that some system reserves or that reorder text, and at most 200 bytes.
    pub fn file_name(&self) -> String {
        file_name::file_name(&self.name)
    }
}

#[cfg(test)]
mod tests;
