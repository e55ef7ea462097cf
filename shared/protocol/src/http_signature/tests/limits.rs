//! The limits of a signature: as much as is allowed, and one more.

use super::*;

#[test]
fn a_key_id_has_512_bytes_at_most() {
    let (longest, longer) = ("x".repeat(512), "x".repeat(513));
    for sent in [cavage(), rfc_9421()] {
        assert_eq!(sent.clone().replaced(KEY_ID, &longest).read().unwrap().key_id, longest);
        assert_eq!(sent.replaced(KEY_ID, &longer).read(), Err(SignatureFault::KeyId));
    }
}

#[test]
fn a_signature_has_1024_bytes_at_most() {
    // 1,024 bytes in base64 end with one byte, 1,025 with two.
    let (longest, longer) = ("AAAA".repeat(341) + "AA==", "AAAA".repeat(341) + "AAA=");
    for sent in [cavage(), rfc_9421()] {
        assert_eq!(sent.clone().replaced("AAEC", &longest).read().unwrap().signature.len(), 1024);
        assert_eq!(sent.replaced("AAEC", &longer).read(), Err(SignatureFault::Signature));
    }
}

#[test]
fn a_signature_covers_32_components_at_most() {
    let with_headers = |sent: SampleRequest, count: usize| {
        (0..count).fold(sent, |sent, number| sent.and(&format!("x-{number}"), "1"))
    };
    let names = |count: usize, quote: &str| {
        (0..count).map(|number| format!(" {quote}x-{number}{quote}")).collect::<String>()
    };
    let cavage = |more: usize| {
        let list = format!("host date digest{}", names(more, ""));
        with_headers(cavage().replaced("host date digest", &list), more)
    };
    let rfc_9421 = |more: usize| {
        let list = format!("\"content-digest\"{}", names(more, "\""));
        with_headers(rfc_9421().replaced("\"content-digest\"", &list), more)
    };
    assert!(cavage(28).read().is_ok() && rfc_9421(29).read().is_ok());
    assert_eq!(cavage(29).read(), Err(SignatureFault::TooMuchCovered));
    assert_eq!(rfc_9421(30).read(), Err(SignatureFault::TooMuchCovered));
}

/// A time that is stated counts, whether the signature covers it or not.
#[test]
fn each_time_is_as_far_off_as_the_window() {
    let created = |seconds: i64| cavage().replaced(",headers", &format!(",created={seconds},headers"));
    let now_s = NOW_MS / 1000;
    assert!(created(now_s - 300).read().is_ok() && created(now_s + 300).read().is_ok());
    assert_eq!(created(now_s - 301).read(), Err(SignatureFault::TooOld));
    assert_eq!(created(now_s + 301).read(), Err(SignatureFault::TooNew));
    let dated = |text: &str| cavage().with("date", text).read().map(drop);
    assert_eq!(dated("Sun, 22 Nov 2026 23:55:00 GMT"), Ok(()));
    assert_eq!(dated("Sun, 22 Nov 2026 23:54:59 GMT"), Err(SignatureFault::TooOld));
    assert_eq!(dated("Mon, 23 Nov 2026 00:05:00 GMT"), Ok(()));
    assert_eq!(dated("Mon, 23 Nov 2026 00:05:01 GMT"), Err(SignatureFault::TooNew));
}
