//! Signatures that a server asks for by `Accept-Signature`.

use url::Url;

use super::*;

fn requested(text: &str) -> Option<RequestedSignature> {
    RequestedSignature::read(text, true, KEY_ID)
}

#[test]
fn a_request_is_signed_as_its_server_asked_for() {
    let url = Url::parse("https://a.example/user/bob/inbox?x=1").unwrap();
    let request = OutgoingRequest { method: "POST", url: &url, body: Some(BODY), key_id: KEY_ID };
    for text in [
        r#"sig-b1=("@method" "@authority" "@path" "@query");created;expires;nonce="a\"b\\";tag="app""#,
        r#"x=("@request-target" "@scheme" "host" "date");created;alg="rsa-v1_5-sha256""#,
        // The first one cannot be made.
        r#"x=("@status");created, y=("content-digest" "host");created"#,
        // Nothing is left out that is always covered.
        r#"x=();nonce="1""#,
    ] {
        let unsigned = prepare_requested(&requested(text).unwrap(), &request, NOW_MS).unwrap();
        let base = unsigned.base().to_vec();
        let headers = unsigned.into_headers(&[7; 256]);
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let received =
            ReceivedRequest { method: "POST", target: "/user/bob/inbox?x=1", headers: &headers, body: BODY };
        let origin = Origin::parse("https://a.example").unwrap();
        let claim = read_claim(&received, &origin, ACTOR, NOW_MS, WINDOW_MS).unwrap();
        let signed = String::from_utf8(base.clone()).unwrap();
        assert_eq!(claim.base, base, "{text}");
        for always in ["\"@method\": POST", "\"@target-uri\": https://a.", "\"content-digest\": sha-256"] {
            assert!(signed.contains(always), "{text}: {signed}");
        }
    }
}

#[test]
fn what_cannot_be_signed_is_not_promised() {
    for text in [
        "",
        "x",
        "x=1",
        r#"x=("@method");created;alg="ed25519""#,
        r#"x=("@method" "@status");created"#,
        r#"x=("@method" "content-type");created"#,
        r#"x=("@authority";req);created"#,
        r#"x=("@authority");created=5"#,
        r#"x=("@authority");keyid="https://b.example/other""#,
        r#"x=("@authority");x"#,
        r#"x=("@authority" "@authority")"#,
        r#"x=("@authority"), x=("@path")"#,
        // It asks for nothing beyond the usual.
        ACCEPT_SIGNATURE,
        r#"sig1=("@method");created"#,
    ] {
        assert_eq!(requested(text), None, "{text}");
    }
    let long = format!(r#"x=("@authority");nonce="{}""#, "x".repeat(2048));
    assert_eq!(requested(&long), None);
    assert_eq!(RequestedSignature::read(r#"x=("content-digest" "host")"#, false, KEY_ID), None);
}
