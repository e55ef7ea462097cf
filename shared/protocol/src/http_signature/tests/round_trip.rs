//! Requests that this crate prepares and then reads, unchanged and changed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use url::Url;

use super::*;

const SCHEMES: [Scheme; 2] = [Scheme::Cavage, Scheme::Rfc9421];

fn outgoing(scheme: Scheme, url: &Url, body: Option<&[u8]>, now_ms: i64) -> (UnsignedRequest, SampleRequest) {
    let method = if body.is_some() { "POST" } else { "GET" };
    let request = OutgoingRequest { method, url, body, key_id: KEY_ID };
    let unsigned = prepare(scheme, &request, now_ms).unwrap();
    let headers = unsigned.clone().into_headers(&[7; 256]).into_iter();
    let headers = headers.map(|(name, value)| (name.to_owned(), value)).collect();
    let target = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    (unsigned, SampleRequest { method, target, headers, body: body.unwrap_or_default().to_vec() })
}

#[test]
fn what_is_sent() {
    let url = Url::parse("https://a.example/user/bob/inbox").unwrap();
    let headers = |sent: &SampleRequest| {
        let lines = sent.headers.iter().map(|(name, value)| format!("{name}: {value}\n"));
        lines.collect::<String>().replace(&STANDARD.encode([7; 256]), "<signature>")
    };
    let (_, sent) = outgoing(Scheme::Cavage, &url, Some(BODY), NOW_MS);
    insta::assert_snapshot!(headers(&sent), @r#"
    host: a.example
    date: Mon, 23 Nov 2026 00:00:00 GMT
    digest: SHA-256=X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=
    signature: keyId="https://b.example/user/alice#main-key",algorithm="rsa-sha256",headers="(request-target) host date digest",signature="<signature>"
    "#);
    assert_eq!(sent.base(), cavage().base());
    let (_, sent) = outgoing(Scheme::Rfc9421, &url, Some(BODY), NOW_MS);
    insta::assert_snapshot!(headers(&sent), @r#"
    host: a.example
    content-digest: sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:
    signature-input: sig1=("@method" "@target-uri" "content-digest");created=1795392000;keyid="https://b.example/user/alice#main-key";alg="rsa-v1_5-sha256"
    signature: sig1=:<signature>:
    "#);
    assert_eq!(sent.base(), rfc_9421().base());
}

#[test]
fn what_cannot_be_signed() {
    let url = Url::parse("https://a.example/x").unwrap();
    let good = OutgoingRequest { method: "GET", url: &url, body: None, key_id: KEY_ID };
    for scheme in SCHEMES {
        for key_id in ["", "a b", "a\"b", "a\\b", "ä", "a\nb", &"x".repeat(513)] {
            let request = OutgoingRequest { key_id, ..good };
            assert_eq!(prepare(scheme, &request, 0), Err(UnsignableRequest), "{key_id}");
        }
        for method in ["", "get", "G T"] {
            let request = OutgoingRequest { method, ..good };
            assert_eq!(prepare(scheme, &request, 0), Err(UnsignableRequest), "{method}");
        }
        for url in ["https://u@a.example/", "https://:p@a.example/", "ftp://a.example/", "urn:uuid:0"] {
            let url = Url::parse(url).unwrap();
            let request = OutgoingRequest { url: &url, ..good };
            assert_eq!(prepare(scheme, &request, 0), Err(UnsignableRequest), "{url}");
        }
    }
}

fn any_scheme() -> impl Strategy<Value = Scheme> {
    prop::sample::select(&SCHEMES[..])
}

fn any_url() -> impl Strategy<Value = Url> {
    r"https://a\.example/[a-zA-Z0-9/.~:@%_-]{0,20}(\?[a-z0-9=&%?/]{0,12})?(#[a-z\\]{0,3})?"
        .prop_filter_map("a URL", |text| Url::parse(&text).ok())
}

proptest! {
    #[test]
    fn what_is_signed_is_read(
        scheme in any_scheme(),
        url in any_url(),
        body in prop::option::of(prop::collection::vec(any::<u8>(), 0..40)),
        now_ms in 0..253_402_300_000_000_i64,
        off_ms in -299_000..=299_000_i64,
    ) {
        let (unsigned, sent) = outgoing(scheme, &url, body.as_deref(), now_ms);
        let claim = sent.read_at("https://a.example", now_ms + off_ms);
        let base = unsigned.base().to_vec();
        prop_assert_eq!(claim, Ok(SignatureClaim { scheme, key_id: KEY_ID.to_owned(), base, signature: vec![7; 256] }));
    }

    #[test]
    fn what_is_changed_fails_or_reads_otherwise(
        scheme in any_scheme(),
        url in any_url(),
        body in prop::collection::vec(any::<u8>(), 1..40),
        place in any::<prop::sample::Index>(),
        bit in 0..8_u32,
        what in 0..6,
    ) {
        let (unsigned, mut sent) = outgoing(scheme, &url, Some(&body), NOW_MS);
        let mut origin = "https://a.example";
        match what {
            0 => sent.body[place.index(body.len())] ^= 1 << bit,
            1 => sent.method = "PUT",
            2 => {
                let mut bytes = sent.target.clone().into_bytes();
                let at = place.index(bytes.len());
                bytes[at] ^= 1 << bit;
                sent.target = String::from_utf8_lossy(&bytes).into_owned();
            }
            3 => origin = "https://b.example",
            4 => sent.target.push_str(if sent.target.contains('?') { "&" } else { "?" }),
            _ => {
                // Any header but the signature itself, which the RSA check is for, and `host`,
                // which is ours.
                let names = ["date", "digest", "content-digest", "signature-input"];
                let mut headers: Vec<_> =
                    sent.headers.iter_mut().filter(|(name, _)| names.contains(&name.as_str())).collect();
                let count = headers.len();
                let value = &mut headers[place.index(count)].1;
                let mut bytes = value.clone().into_bytes();
                let at = place.index(bytes.len());
                bytes[at] ^= 1 << bit;
                *value = String::from_utf8_lossy(&bytes).into_owned();
            }
        }
        if let Ok(claim) = sent.read_at(origin, NOW_MS) {
            prop_assert_ne!(claim.base, unsigned.base(), "{:?}", sent);
        }
    }

    #[test]
    fn no_text_is_too_strange(
        signature in r#"[ -~]{0,60}|(keyId|headers|signature|created)=("[ -~]{0,20}"|[0-9]{0,20}),?"#,
        input in prop::option::of(r#"sig1=\(("[ -~]{0,8}"(;[a-z]{1,3})? ?){0,3}\)(;[a-z]{1,7}=("[ -~]{0,9}"|[0-9]{1,16})){0,4}|[ -~]{0,60}"#),
        digest in "[ -~]{0,60}",
        date in "[ -~]{0,40}",
    ) {
        let mut sent = cavage().with("signature", &signature).with("digest", &digest).with("date", &date);
        if let Some(input) = input {
            sent = sent.with("signature-input", &input).with("content-digest", &digest);
        }
        let _ = sent.read();
        let _ = cavage().with("digest", &digest).read();
        let _ = cavage().with("date", &date).read();
        let _ = rfc_9421().with("content-digest", &digest).read();
    }
}
