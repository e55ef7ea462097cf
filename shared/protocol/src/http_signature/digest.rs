//! `Digest` and `Content-Digest` headers, with SHA-256.
//!
//! ```text
//! Digest: SHA-256=<base64 of 32 bytes>              RFC 3230
//! Content-Digest: sha-256=:<base64 of 32 bytes>:    RFC 9530
//! ```

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sfv::{BareItem, ListEntry};
use sha2::{Digest as _, Sha256};

use super::SignatureFault;
use super::rfc9421::dictionary;

/// Returns the value of a `Digest` header. The fediverse writes the algorithm in upper case.
pub(super) fn digest(body: &[u8]) -> String {
    format!("SHA-256={}", STANDARD.encode(Sha256::digest(body)))
}

/// Returns the value of a `Content-Digest` header.
pub(super) fn content_digest(body: &[u8]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(body)))
}

/// Compares a `Digest` header with the body. Other algorithms than SHA-256 are ignored.
pub(super) fn check_digest(header: &str, body: &[u8]) -> Result<(), SignatureFault> {
    let fault = || SignatureFault::Unreadable("digest".to_owned());
    let mut sha_256 = None;
    for member in header.split(',') {
        let (name, value) = member.trim_matches([' ', '\t']).split_once('=').ok_or_else(fault)?;
        if name.eq_ignore_ascii_case("sha-256") && sha_256.replace(value).is_some() {
            return Err(SignatureFault::Sha256Twice);
        }
    }
    compare(&STANDARD.decode(sha_256.ok_or(SignatureFault::NoSha256)?).map_err(|_| fault())?, body)
}

/// Compares a `Content-Digest` header with the body. Other algorithms than SHA-256 are ignored.
pub(super) fn check_content_digest(header: &str, body: &[u8]) -> Result<(), SignatureFault> {
    match dictionary("content-digest", header)?.get("sha-256") {
        Some(ListEntry::Item(item)) => match &item.bare_item {
            BareItem::ByteSequence(bytes) => compare(bytes, body),
            _ => Err(SignatureFault::Unreadable("content-digest".to_owned())),
        },
        Some(ListEntry::InnerList(_)) => Err(SignatureFault::Unreadable("content-digest".to_owned())),
        None => Err(SignatureFault::NoSha256),
    }
}

fn compare(expected: &[u8], body: &[u8]) -> Result<(), SignatureFault> {
    if expected == Sha256::digest(body).as_slice() { Ok(()) } else { Err(SignatureFault::OtherBody) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"hello": "world"}"#;
    const HASH: &str = "X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=";
    const OTHER: &str = "RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=";

    #[test]
    fn what_is_written() {
        assert_eq!(digest(BODY), format!("SHA-256={HASH}"));
        assert_eq!(content_digest(BODY), format!("sha-256=:{HASH}:"));
        // RFC 9530, appendix D (the content has a line feed).
        let content = b"{\"hello\": \"world\"}\n";
        assert_eq!(content_digest(content), "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:");
        assert_eq!(check_content_digest(&content_digest(content), content), Ok(()));
    }

    #[test]
    fn digests_are_judged() {
        let unreadable = || Err(SignatureFault::Unreadable("digest".to_owned()));
        for (header, expected) in [
            (format!("SHA-256={HASH}"), Ok(())),
            (format!("sha-256={HASH}"), Ok(())),
            (format!("md5=Sd/dVLAcvNLSq16eXua5uQ==, Sha-256={HASH}"), Ok(())),
            (format!("SHA-256={HASH},SHA-512=AAAA"), Ok(())),
            (format!("SHA-256={OTHER}"), Err(SignatureFault::OtherBody)),
            ("SHA-256=AAAA".to_owned(), Err(SignatureFault::OtherBody)),
            ("SHA-256=".to_owned(), Err(SignatureFault::OtherBody)),
            (format!("SHA-256={HASH},SHA-256={HASH}"), Err(SignatureFault::Sha256Twice)),
            (format!("SHA-256={HASH},sha-256={OTHER}"), Err(SignatureFault::Sha256Twice)),
            ("MD5=Sd/dVLAcvNLSq16eXua5uQ==".to_owned(), Err(SignatureFault::NoSha256)),
            ("SHA-512=AAAA".to_owned(), Err(SignatureFault::NoSha256)),
            (String::new(), unreadable()),
            (HASH.replace('=', ""), unreadable()),
            (format!("SHA-256:{HASH}"), Err(SignatureFault::NoSha256)),
            (format!("SHA-256=:{HASH}:"), unreadable()),
            (format!("SHA-256={}", HASH.replace('=', "")), unreadable()),
            (format!("SHA-256={HASH},"), unreadable()),
        ] {
            assert_eq!(check_digest(&header, BODY), expected, "{header}");
        }
    }

    #[test]
    fn content_digests_are_judged() {
        let unreadable = || Err(SignatureFault::Unreadable("content-digest".to_owned()));
        for (header, expected) in [
            (format!("sha-256=:{HASH}:"), Ok(())),
            (format!("sha-512=:AAAA:,  sha-256=:{HASH}:"), Ok(())),
            (format!("sha-256=:{OTHER}:"), Err(SignatureFault::OtherBody)),
            (format!("sha-256=:{HASH}:, sha-512=:AAAA:"), Ok(())),
            (
                format!("sha-256=:{HASH}:, sha-256=:{HASH}:"),
                Err(SignatureFault::NotCanonical("content-digest")),
            ),
            (
                format!("sha-256=:{OTHER}:, sha-256=:{HASH}:"),
                Err(SignatureFault::NotCanonical("content-digest")),
            ),
            (
                format!("sha-256=:{}:", HASH.replace('=', "")),
                Err(SignatureFault::NotCanonical("content-digest")),
            ),
            ("sha-512=:AAAA:".to_owned(), Err(SignatureFault::NoSha256)),
            ("md5=:Sd/dVLAcvNLSq16eXua5uQ==:".to_owned(), Err(SignatureFault::NoSha256)),
            (String::new(), Err(SignatureFault::NoSha256)),
            (format!("SHA-256=:{HASH}:"), unreadable()),
            (format!("sha-256={HASH}"), unreadable()),
            (format!("sha-256=\"{HASH}\""), unreadable()),
            ("sha-256=()".to_owned(), unreadable()),
            ("sha-256".to_owned(), unreadable()),
        ] {
            assert_eq!(check_content_digest(&header, BODY), expected, "{header}");
        }
    }
}
