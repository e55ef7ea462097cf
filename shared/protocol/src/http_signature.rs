//! HTTP message signatures (`docs/protocol.md`, section 7), read and written. Two schemes are in
//! use between servers:
//!
//! | | [`Scheme::Cavage`] | [`Scheme::Rfc9421`] |
//! |---|---|---|
//! | text | draft-cavage-http-signatures-12 | RFC 9421, digests by RFC 9530 |
//! | headers | `Signature`, `Digest` | `Signature-Input`, `Signature`, `Content-Digest` |
//! | must be covered | `(request-target)`, `host`, `date` or `(created)` | `@method`, `@target-uri` (or its parts) |
//! | with a body also | `digest` | `content-digest` |
//!
//! ```text
//! Signature: keyId="URL#main-key",algorithm="rsa-sha256",headers="(request-target) host date digest",
//!            signature="<base64>"
//! Digest: SHA-256=<base64>
//!
//! Signature-Input: sig1=("@method" "@target-uri" "content-digest");created=1795392000;
//!                  keyid="URL#main-key";alg="rsa-v1_5-sha256"
//! Signature: sig1=:<base64>:
//! Content-Digest: sha-256=:<base64>:
//! ```
//!
//! [`read_claim`] checks everything but the RSA signature itself, which needs the key: the caller
//! verifies [`SignatureClaim::signature`] over [`SignatureClaim::base`]. [`prepare`] returns the
//! bytes that a request signs, and then its headers. Both schemes sign with RSASSA-PKCS1-v1_5 and
//! SHA-256.
//!
//! ```
//! use eko_protocol::address::Origin;
//! use eko_protocol::http_signature::{
//!     OutgoingRequest, ReceivedRequest, Scheme, SignatureFault, prepare, read_claim,
//! };
//! use url::Url;
//!
//! const NOW_MS: i64 = 1_795_392_000_000;
//! let (url, body) = (Url::parse("https://a.example/inbox")?, b"{}");
//! for scheme in [Scheme::Rfc9421, Scheme::Cavage] {
//!     let key_id = "https://b.example/actor#main-key";
//!     let request = OutgoingRequest { method: "POST", url: &url, body: Some(body), key_id };
//!     let unsigned = prepare(scheme, &request, NOW_MS)?;
//!     let base = unsigned.base().to_vec();
//!     let signature = [7; 256]; // RSA over `base`
//!     let headers = unsigned.into_headers(&signature);
//!
//!     // The other server reads the claim and verifies the signature with the key of that id.
//!     let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
//!     let received = ReceivedRequest { method: "POST", target: "/inbox", headers: &headers, body };
//!     let origin = Origin::parse("https://a.example")?;
//!     let actor = "https://b.example/actor";
//!     let claim = read_claim(&received, &origin, actor, NOW_MS, 300_000)?;
//!     assert_eq!((claim.scheme, claim.key_id.as_str(), claim.base), (scheme, key_id, base));
//!
//!     // A changed body does not match its digest, and an old signature is refused.
//!     let changed = ReceivedRequest { body: b"[]", ..received };
//!     let claim = read_claim(&changed, &origin, actor, NOW_MS, 300_000);
//!     assert_eq!(claim, Err(SignatureFault::OtherBody));
//!     let late = read_claim(&received, &origin, actor, NOW_MS + 300_001, 300_000);
//!     assert_eq!(late, Err(SignatureFault::TooOld));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cavage;
mod choice;
mod clock;
mod digest;
mod fault;
mod incoming;
mod outgoing;
mod requested;
mod rfc9421;

use crate::address::Origin;

use choice::SignatureParts;
use clock::TimeWindow;
use incoming::IncomingRequest;

pub use fault::SignatureFault;
pub use outgoing::{OutgoingRequest, UnsignableRequest, UnsignedRequest, prepare, prepare_requested};
pub use requested::{ACCEPT_SIGNATURE, RequestedSignature};

/// The maximum length of a signature in bytes: RSA with 8192 bits.
const MAX_SIGNATURE_BYTES: usize = 1024;

/// The maximum number of headers and derived components that one signature covers. No server signs
/// as many.
const MAX_COVERED: usize = 32;

/// A way to sign requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// draft-cavage-http-signatures-12, which most servers use.
    Cavage,
    /// HTTP Message Signatures (RFC 9421).
    Rfc9421,
}

impl Scheme {
    /// Returns the scheme for the second knock, after a server refused this one.
    pub fn other(self) -> Self {
        match self {
            Self::Cavage => Self::Rfc9421,
            Self::Rfc9421 => Self::Cavage,
        }
    }
}

/// A request from another server, as it arrived.
#[derive(Debug, Clone, Copy)]
pub struct ReceivedRequest<'a> {
    /// The method in upper case, such as `POST`.
    pub method: &'a str,
    /// The path and query as they were sent, not decoded: `/user/bob/inbox?x=y`.
    pub target: &'a str,
    /// The header lines whose values are text, in order. A name appears as often as it was sent.
    pub headers: &'a [(&'a str, &'a str)],
    /// The content as it was sent; empty if there is none.
    pub body: &'a [u8],
}

/// The statement of a signed request about itself. It is true only if the signature verifies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureClaim {
    /// The scheme that the request is signed with.
    pub scheme: Scheme,
    /// The id of the key: 1 to 512 printable ASCII characters, not necessarily a URL. In
    /// draft-cavage the signature does not cover it.
    pub key_id: String,
    /// The bytes that are signed.
    pub base: Vec<u8>,
    /// The signature over `base`, 1 to 1024 bytes.
    pub signature: Vec<u8>,
}

/// Reads the signature of a request and checks everything that needs no key, the digest of the body
/// included.
///
/// `origin` is the origin of the server that received the request. It stands for the host that was
/// signed, because a gateway may have changed the `Host` header. `actor` is the id of the actor whose
/// signature is wanted: of several signatures, as a proxy adds one, the one with a key of that actor
/// is read. If the actor has signed by both schemes, it is the one by RFC 9421. `now_ms` is the
/// current time and `window_ms` the accepted difference in both directions, in milliseconds.
///
/// # Errors
/// [`SignatureFault`] for the first fault.
pub fn read_claim(
    request: &ReceivedRequest<'_>,
    origin: &Origin,
    actor: &str,
    now_ms: i64,
    window_ms: i64,
) -> Result<SignatureClaim, SignatureFault> {
    let incoming = IncomingRequest::new(request, origin)?;
    let clock = TimeWindow { now_ms, window_ms };
    if !incoming.has("signature-input") {
        return match incoming.has("signature") {
            true => cavage::read(&incoming, incoming.header("signature")?, clock),
            false => Err(SignatureFault::Unsigned),
        };
    }
    let SignatureParts { rfc9421, cavage } = SignatureParts::split(&incoming.list("signature")?);
    match cavage {
        Some(cavage) if cavage::key_place(&cavage, actor) > rfc9421::key_place(&incoming, actor) => {
            cavage::read(&incoming, &cavage, clock)
        }
        _ => rfc9421::read(&incoming, &rfc9421, actor, clock),
    }
}

/// Refuses a key id that is empty, too long or not printable ASCII.
fn check_key_id(key_id: &str) -> Result<(), SignatureFault> {
    let printable = key_id.bytes().all(|b| b.is_ascii_graphic());
    if key_id.is_empty() || key_id.len() > crate::limits::MAX_ID_BYTES || !printable {
        return Err(SignatureFault::KeyId);
    }
    Ok(())
}

/// Refuses a signature that is empty or longer than any RSA key makes it.
fn check_signature(signature: Vec<u8>) -> Result<Vec<u8>, SignatureFault> {
    if signature.is_empty() || signature.len() > MAX_SIGNATURE_BYTES {
        return Err(SignatureFault::Signature);
    }
    Ok(signature)
}

/// Refuses a list of covered components that is empty, too long, or names a component twice.
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
