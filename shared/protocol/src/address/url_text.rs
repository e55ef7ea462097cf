//! The check that an address has one spelling.

use url::Url;

use crate::Invalid;
use crate::limits::MAX_ID_BYTES;

/// Reads an id or address of any server.
///
/// The text must be an http or https URL of at most [`MAX_ID_BYTES`] bytes, written exactly as the
/// WHATWG URL standard serialises it, without credentials, query, fragment or escapes
/// (`docs/protocol.md`, section 1). Two readers of such a text cannot disagree about it. Ownership
/// is checked elsewhere.
///
/// # Errors
/// [`Invalid`] for any other text.
pub(crate) fn check_url(text: &str) -> Result<Url, Invalid> {
    let fault = |detail: &str| Invalid::whole(format!("must be an http or https URL {detail}"));
    if text.len() > MAX_ID_BYTES {
        return Err(fault(&format!("of at most {MAX_ID_BYTES} bytes")));
    }
    if !text.bytes().all(|b| b.is_ascii_graphic()) || text.contains(['%', '?', '#', '\\']) {
        return Err(fault("without query, fragment, escapes or spaces"));
    }
    let url = Url::parse(text).map_err(|_| fault("with a host"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(fault("with a host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(fault("without credentials"));
    }
    if url.as_str() != text || url.host_str().is_some_and(|host| host.ends_with('.')) {
        return Err(fault("in normal form: lower-case host, no default port, no dot segments"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_address_has_512_bytes_at_most() {
        let of_length = |length: usize| format!("https://a.example/{}", "x".repeat(length - 18));
        assert!(check_url(&of_length(512)).is_ok());
        assert!(check_url(&of_length(513)).is_err());
    }

    #[test]
    fn one_spelling_only() {
        for text in [
            "https://a.example/user/bob",
            "http://localhost:8080/user/bob",
            "https://a.example/@bob",
            "https://a.example/~b/x;y=1",
        ] {
            assert!(check_url(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "https://",
            "https:///x",
            "//a.example/x",
            "a.example/x",
            "ftp://a.example/x",
            "urn:uuid:0",
            "javascript:0",
            "https://A.example/x",
            "HTTPS://a.example/x",
            "https://a.example:443/x",
            "https://a.example./x",
            "https://a.example",
            "https://a.example/a/../x",
            "https://a.example/./x",
            "https://a.example/%61",
            "https://a.example\\x",
            "https://u@a.example/x",
            "https://u:p@a.example/x",
            "https://@a.example/x",
            "https://a.example/x?y",
            "https://a.example/x#y",
            "https://a.example/x y",
            "https://a.example/\u{0}",
            "https://a.example/ä",
            "https://ä.example/",
            "https://0x7f.1/x",
            "https://2130706433/x",
            " https://a.example/x",
            "https:/a.example/x",
            "https:a.example/x",
        ] {
            assert!(check_url(text).is_err(), "{text:?}");
        }
        let of_length = |length: usize| format!("https://a.example/{}", "x".repeat(length - 18));
        assert!(check_url(&of_length(MAX_ID_BYTES)).is_ok());
        assert!(check_url(&of_length(MAX_ID_BYTES + 1)).is_err());
    }

    proptest! {
        #[test]
        fn what_passes_is_its_own_normal_form(
            text in r"https?:[/\\]{1,3}[a-zA-Z0-9.@:\[\]%-]{0,12}/[ -~]{0,20}",
        ) {
            if let Ok(url) = check_url(&text) {
                prop_assert_eq!(url.as_str(), text);
            }
        }
    }
}
