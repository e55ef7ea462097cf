//! HTTP message signatures (`docs/protocol.md`, section 7): what a signed request claims, and the headers of a
//! request about to be signed. Two schemes are in use between servers:
//!
//! | | [`Scheme::Cavage`] | [`Scheme::Rfc9421`] |
//! |---|---|---|
//! | text | draft-cavage-http-signatures-12 | RFC 9421, digests by RFC 9530 |
//! | headers | `Signature`, `Digest` | `Signature-Input`, `Signature`, `Content-Digest` |
//! | must be covered | `(request-target)`, `host`, `date` or `(created)` | `@method`, `@target-uri` (or its parts) |
//! | with a body also | `digest` | `content-digest` |
//!
//! [`read_claim`] judges all but the RSA signature itself: whoever holds the key named by the [`SignatureClaim`] verifies
//! [`SignatureClaim::signature`] over [`SignatureClaim::base`], RSASSA-PKCS1-v1_5 with SHA-256 in both schemes. [`prepare`] is
//! the other direction.

mod cavage;
mod clock;
mod digest;
mod fault;
mod incoming;
mod outgoing;
mod rfc9421;

use crate::address::Origin;

use clock::TimeWindow;
use incoming::IncomingRequest;

pub use fault::SignatureFault;
pub use outgoing::{OutgoingRequest, UnsignableRequest, UnsignedRequest, prepare};

/// Bytes of a signature: RSA with 8192 bits.
const MAX_SIGNATURE_BYTES: usize = 1024;

/// Headers and derived components that one signature covers: more than any server signs.
const MAX_COVERED: usize = 32;

/// How a request is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// draft-cavage-http-signatures-12, which most servers still speak.
    Cavage,
    /// RFC 9421.
    Rfc9421,
}

impl Scheme {
    /// The one to knock with second.
    pub fn other(self) -> Self {
        match self {
            Self::Cavage => Self::Rfc9421,
            Self::Rfc9421 => Self::Cavage,
        }
    }
}

/// A request as it arrived.
#[derive(Debug, Clone, Copy)]
pub struct ReceivedRequest<'a> {
    /// Upper-case, such as `POST`.
    pub method: &'a str,
    /// Path and query as sent, not decoded: `/user/bob/inbox?x=y`.
    pub target: &'a str,
    /// Every header line that is text, in order; a name stands as often as it was sent.
    pub headers: &'a [(&'a str, &'a str)],
    /// The content as sent, empty where there is none.
    pub body: &'a [u8],
}

/// What a signed request says about itself, true once the signature is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureClaim {
    /// The scheme it is signed by.
    pub scheme: Scheme,
    /// The key it says it is signed with: 1 to 512 printable ASCII characters, not necessarily a URL, and in
    /// draft-cavage not covered by the signature.
    pub key_id: String,
    /// The bytes that were signed.
    pub base: Vec<u8>,
    /// The signature over them, 1 to 1024 bytes.
    pub signature: Vec<u8>,
}

/// Reads a request's signature as of `now_ms`, refusing one made more than `window_ms` before or after.
///
/// The server that was meant is rebuilt from `origin`: a gateway may have changed the host on the way. A body
/// is compared with its digest here.
///
/// # Errors
/// Everything but a wrong RSA signature, see [`SignatureFault`].
pub fn read_claim(
    request: &ReceivedRequest<'_>,
    origin: &Origin,
    now_ms: i64,
    window_ms: i64,
) -> Result<SignatureClaim, SignatureFault> {
    let incoming = IncomingRequest::new(request, origin)?;
    let clock = TimeWindow { now_ms, window_ms };
    if incoming.has("signature-input") {
        rfc9421::read(&incoming, clock)
    } else if incoming.has("signature") {
        cavage::read(&incoming, clock)
    } else {
        Err(SignatureFault::Unsigned)
    }
}

fn check_key_id(key_id: &str) -> Result<(), SignatureFault> {
    let printable = key_id.bytes().all(|b| b.is_ascii_graphic());
    if key_id.is_empty() || key_id.len() > crate::limits::MAX_ID_BYTES || !printable {
        return Err(SignatureFault::KeyId);
    }
    Ok(())
}

fn check_signature(signature: Vec<u8>) -> Result<Vec<u8>, SignatureFault> {
    if signature.is_empty() || signature.len() > MAX_SIGNATURE_BYTES {
        return Err(SignatureFault::Signature);
    }
    Ok(signature)
}

/// Refuses a list that covers nothing, too much, or something twice.
fn check_covered(names: &[String]) -> Result<(), SignatureFault> {
    if names.is_empty() {
        return Err(SignatureFault::NothingCovered);
    }
    if names.len() > MAX_COVERED {
        return Err(SignatureFault::TooMuchCovered);
    }
    let mut sorted: Vec<_> = names.iter().collect();
    sorted.sort();
    match sorted.windows(2).find_map(|pair| match pair {
        [a, b] if a == b => Some((*a).clone()),
        _ => None,
    }) {
        Some(twice) => Err(SignatureFault::CoveredTwice(twice)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
