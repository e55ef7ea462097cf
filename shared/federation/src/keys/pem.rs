//! PEM, read strictly: `rustls-pki-types` skips what it does not know, so that a second block, or a text of any
//! length around the first, would go unnoticed, and it has no name for `RSA PUBLIC KEY`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::KeyFault;

/// Bytes of a key's text: a private key of 8192 bits has 6.4 KiB.
const MAX_TEXT_BYTES: usize = 16 * 1024;

/// Characters of a line (RFC 7468, section 2).
const LINE: usize = 64;

/// The label and content of the only block; white space is allowed around it and within the base64.
pub(super) fn read(text: &str) -> Result<(&str, Vec<u8>), KeyFault> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(KeyFault::TooLong);
    }
    let (label, content) = block(text.trim_ascii()).ok_or(KeyFault::NotPem)?;
    let content: String = content.split_ascii_whitespace().collect();
    let content = STANDARD.decode(content).map_err(|_| KeyFault::NotPem)?;
    Ok((label, content))
}

fn block(text: &str) -> Option<(&str, &str)> {
    let (label, rest) = text.strip_prefix("-----BEGIN ")?.split_once("-----")?;
    let content = rest.strip_suffix("-----")?.strip_suffix(label)?.strip_suffix("-----END ")?;
    Some((label, content))
}

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
