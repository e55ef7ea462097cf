//! Content codings (RFC 9110, section 8.4.1) of the answers of other servers.

use std::io::Read;

use bytes::Bytes;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

use super::FetchError;

/// A content coding that is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// gzip (RFC 1952).
    Gzip,
    /// deflate: a zlib stream (RFC 1950), or the bare DEFLATE data (RFC 1951) that some servers
    /// send under this name.
    Deflate,
}

impl Coding {
    /// Returns the coding with a name in lower case.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "deflate" => Some(Self::Deflate),
            _ => None,
        }
    }

    /// Decodes a body. Decoding ends after `limit` bytes, so a small answer cannot grow large.
    ///
    /// # Errors
    /// [`FetchError::TooLarge`] for more than `limit` bytes, [`FetchError::Encoded`] for a body that
    /// is damaged or cut off.
    pub(super) fn decode(self, host: &str, body: &[u8], limit: usize) -> Result<Bytes, FetchError> {
        let mut decoded = Vec::new();
        let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        let read = match self {
            Self::Gzip => MultiGzDecoder::new(body).take(most).read_to_end(&mut decoded),
            Self::Deflate if is_zlib(body) => ZlibDecoder::new(body).take(most).read_to_end(&mut decoded),
            Self::Deflate => DeflateDecoder::new(body).take(most).read_to_end(&mut decoded),
        };
        match read {
            Ok(_) if decoded.len() > limit => Err(FetchError::TooLarge { host: host.to_owned(), limit }),
            Ok(_) => Ok(decoded.into()),
            Err(_) => Err(FetchError::Encoded { host: host.to_owned(), encoding: self.to_string() }),
        }
    }
}

impl std::fmt::Display for Coding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        })
    }
}

/// True if a body begins with a zlib header (RFC 1950, section 2.2).
fn is_zlib(body: &[u8]) -> bool {
    match body {
        [method, flags, ..] => method & 0x0f == 8 && u16::from_be_bytes([*method, *flags]) % 31 == 0,
        _ => false,
    }
}
