//! The location of a file's sealed bytes, as the `url` of an attachment writes it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use eko_protocol::Invalid;
use url::Url;

use super::INLINE_MAX;

const INLINE: &str = "data:application/octet-stream;base64,";

/// The greatest length of an address in bytes. A store of files may put a long signature into the
/// query.
const MAX_URL_BYTES: usize = 2048;

/// The location of the sealed bytes of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttachmentLocation {
    /// The message itself, which holds at most [`INLINE_MAX`] of them.
    Inline(Vec<u8>),
    /// An https address. Whoever fetches it tells that host that the message was read, and from
    /// which network.
    Https(String),
}

impl AttachmentLocation {
    /// Reads an https address, or a `data:` address of the form that [`AttachmentLocation::to_url`]
    /// writes.
    ///
    /// # Errors
    /// [`Invalid`] for anything else: more than [`INLINE_MAX`] bytes inline; an https address with
    /// credentials or a fragment, with characters other than printable ASCII, not in normal form,
    /// or of more than 2,048 bytes.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        match text.strip_prefix(INLINE) {
            Some(base64) => inline(base64).map(Self::Inline),
            None => https(text).map(Self::Https),
        }
    }

    /// Returns the address.
    pub fn to_url(&self) -> String {
        match self {
            Self::Inline(sealed) => format!("{INLINE}{}", STANDARD.encode(sealed)),
            Self::Https(url) => url.clone(),
        }
    }
}

fn inline(base64: &str) -> Result<Vec<u8>, Invalid> {
    // Four characters carry three bytes, so a text that is too long is refused without decoding it.
    if base64.len() > INLINE_MAX.div_ceil(3).saturating_mul(4) {
        return Err(Invalid::whole(format!("holds more than {INLINE_MAX} bytes")));
    }
    match STANDARD.decode(base64) {
        Ok(sealed) if sealed.len() <= INLINE_MAX => Ok(sealed),
        _ => Err(Invalid::whole(format!("must hold at most {INLINE_MAX} bytes in base64"))),
    }
}

fn https(text: &str) -> Result<String, Invalid> {
    let plain = text.len() <= MAX_URL_BYTES && text.bytes().all(|byte| byte.is_ascii_graphic());
    let url = plain.then(|| Url::parse(text).ok()).flatten();
    let url = url.filter(|url| {
        let bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        url.scheme() == "https" && url.has_host() && bare && url.as_str() == text
    });
    match url {
        Some(_) => Ok(text.to_owned()),
        None => Err(Invalid::whole(
            "must be an https URL in normal form, without credentials and fragment, or an octet-stream in base64",
        )),
    }
}
