//! PEM (RFC 7468), read strictly.
//!
//! ```text
//! -----BEGIN {label}-----
//! {base64, in lines of 64 characters}
//! -----END {label}-----
//! ```
//!
//! The readers of others are not used. `pem-rfc7468`, which `rsa` has, refuses base64 in one line, as
//! some servers write it, and skips text before a block. `rustls-pki-types` skips text around a block
//! and further blocks, and does not know the label `RSA PUBLIC KEY`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::KeyFault;

/// The maximum length of a key's text in bytes. A private key of 8192 bits has 6.4 KiB.
const MAX_TEXT_BYTES: usize = 16 * 1024;

/// The length of a line in characters (RFC 7468, section 2).
const LINE: usize = 64;

/// Reads a text that is one block and returns its label and content. White space is allowed around
/// the block and within the base64.
///
/// # Errors
/// [`KeyFault::TooLong`] or [`KeyFault::NotPem`].
pub(super) fn read(text: &str) -> Result<(&str, Vec<u8>), KeyFault> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(KeyFault::TooLong);
    }
    let (label, content) = block(text.trim_ascii()).ok_or(KeyFault::NotPem)?;
    let content: String = content.split_ascii_whitespace().collect();
    let content = STANDARD.decode(content).map_err(|_| KeyFault::NotPem)?;
    Ok((label, content))
}

/// Splits a block into its label and its base64.
fn block(text: &str) -> Option<(&str, &str)> {
    let (label, rest) = text.strip_prefix("-----BEGIN ")?.split_once("-----")?;
    let content = rest.strip_suffix("-----")?.strip_suffix(label)?.strip_suffix("-----END ")?;
    Some((label, content))
}

/// Writes a block.
pub(super) fn write(label: &str, content: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    for (place, character) in STANDARD.encode(content).chars().enumerate() {
        if place > 0 && place % LINE == 0 {
            text.push('\n');
        }
        text.push(character);
    }
    text.push_str(&format!("\n-----END {label}-----\n"));
    text
}
