//! Files that go with a note.
//!
//! A file is sealed with AES-256-GCM under a key of its own, which the sealed bytes commit to. The
//! key, the digest and the location of the sealed bytes travel inside the encrypted message
//! (`docs/protocol.md`, section 9). The
//! sealed bytes of a small file travel in the message too; those of a larger one lie at an https
//! address, where nobody can read them without the message.

mod file_keys;
mod file_name;
mod location;
mod media_type;
mod seal;
mod wire;

use eko_protocol::Invalid;

use crate::secret::Secret;

pub use location::AttachmentLocation;
pub use seal::{SealedFile, open, seal};

/// The greatest length of a file before it is sealed, in bytes.
pub const MAX_BYTES: u64 = 100 * 1024 * 1024;

/// The greatest number of sealed bytes that travel in the message itself. They make 64 KiB of
/// base64, and leave room for a text of 26 KiB.
pub const INLINE_MAX: usize = 48 * 1024;

/// The number of bytes that sealing adds: a nonce of 12 and a commitment of 32 before the file, a
/// tag of 16 after it.
pub const OVERHEAD: usize = 12 + 32 + 16;

/// The greatest number of characters of a file's name. The least is 1.
pub const MAX_NAME_CHARS: usize = 255;

/// A file that goes with a note. Nothing in it is proven when it arrives. [`open`] proves that the
/// sealed bytes are those that the sender meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// The sender's name for the file: 1 to [`MAX_NAME_CHARS`] characters, none of them a control
    /// character. It is no path; [`Attachment::file_name`] makes a safe one of it.
    pub name: String,
    /// The media type that the sender states: `type/subtype`, without parameters.
    pub media_type: String,
    /// The length of the file in bytes, at most [`MAX_BYTES`].
    pub size: u64,
    /// The key that the file is sealed with.
    pub key: AttachmentKey,
    /// SHA-256 of the sealed bytes.
    pub digest: [u8; 32],
    /// The location of the sealed bytes.
    pub url: AttachmentLocation,
}

/// The key of one file: 32 bytes, which are wiped when dropped and never shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachmentKey(Secret);

/// An error of sealing or opening a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttachmentError {
    /// The file is longer than [`MAX_BYTES`].
    #[error("a file may have {MAX_BYTES} bytes at most")]
    TooLong,
    /// The sealed file is longer than [`INLINE_MAX`].
    #[error("a file of more than {INLINE_MAX} bytes, sealed, does not fit into a message")]
    NotInline,
    /// The name, media type or address of the file cannot be sent.
    #[error("{}", .0.in_words())]
    Invalid(#[from] Invalid),
    /// The sealed bytes are not those that the message names.
    #[error("the file is not the one that was sent")]
    OtherBytes,
    /// The sealed bytes are the right ones, but the key does not open them.
    #[error("the file cannot be decrypted with the key in the message")]
    WrongKey,
    /// The opened file has another length than the message says.
    #[error("the file is not as long as the message says")]
    OtherSize,
    /// The cryptographic library failed.
    #[error("the cryptographic library failed")]
    Failed,
}

impl Attachment {
    /// Returns a name to save the file under, made from the sender's.
    ///
    /// The name is one path segment of at most 200 bytes. It is not hidden, does not look like an
    /// option of a command, names no device of Windows, and has no characters that some system
    /// reserves or that reorder text.
    pub fn file_name(&self) -> String {
        file_name::file_name(&self.name)
    }
}

#[cfg(test)]
mod tests;
