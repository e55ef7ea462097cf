//! Requests with several signatures, of which a proxy added one.

use super::*;

/// Returns a request of alice to which a proxy added a signature with its own key: in the same
/// header lines, or in lines of its own.
fn proxied(proxy_key: &str, in_one_line: bool) -> SampleRequest {
    let input = format!(r#"proxy=("@method" "signature";key="sig1");created=1;keyid="{proxy_key}";alg="x""#);
    let signed = rfc_9421();
    if !in_one_line {
        return signed.and("signature-input", &input).and("signature", "proxy=:AQID:");
    }
    let line = |name: &str| signed.headers.iter().find(|(other, _)| other == name).unwrap().1.clone();
    let inputs = format!("{input}, {}", line("signature-input"));
    let signatures = format!("proxy=:AQID:, {}", line("signature"));
    signed.with("signature-input", &inputs).with("signature", &signatures)
}

#[test]
fn the_signature_of_the_actor_counts() {
    let alone = rfc_9421().read();
    assert!(alone.is_ok());
    for proxy_key in ["https://proxy.example/key", "proxy", "", "https://b.example/proxy#key"] {
        for in_one_line in [true, false] {
            assert_eq!(proxied(proxy_key, in_one_line).read(), alone, "{proxy_key} {in_one_line}");
        }
    }
}

#[test]
fn several_signatures_of_the_actor_are_refused() {
    for key in [KEY_ID, "https://b.example/user/alice#other", "https://b.example/user/alice"] {
        assert_eq!(proxied(key, true).read(), Err(SignatureFault::SeveralLabels), "{key}");
    }
    // The actor's key stands in a document of its own, and another on the same server beside it.
    let apart = proxied("https://b.example/proxy", true).replaced(KEY_ID, "https://b.example/keys/1");
    assert_eq!(apart.read(), Err(SignatureFault::SeveralLabels));
}

#[test]
fn a_signature_of_nobody_here_is_refused() {
    let strangers = proxied("https://proxy.example/key", true).replaced(KEY_ID, "https://c.example/key");
    assert_eq!(strangers.read(), Err(SignatureFault::NoLabel));
    let unmatched = rfc_9421().and("signature", "proxy=:AQID:");
    assert_eq!(unmatched.read(), Err(SignatureFault::OtherLabel));
}

/// Returns a request of alice to which a proxy added a signature by the other scheme, in each way in
/// which the lines of `Signature` may stand.
fn proxied_otherwise(signed: &SampleRequest, input: Option<&str>, added: &str) -> Vec<SampleRequest> {
    let own = signed.headers.iter().find(|(name, _)| name == "signature").unwrap().1.clone();
    let signed = input.map_or(signed.clone(), |input| signed.clone().and("signature-input", input));
    vec![
        signed.clone().and("signature", added),
        signed.clone().with("signature", added).and("signature", &own),
        signed.clone().with("signature", &format!("{own}, {added}")),
        signed.with("signature", &format!("{added},{own}")),
    ]
}

#[test]
fn a_proxy_that_signs_by_the_other_scheme_changes_nothing() {
    for proxy_key in ["https://proxy.example/key", "proxy", "https://b.example/proxy#key"] {
        let input = format!(r#"proxy=("@method");created=1;keyid="{proxy_key}""#);
        let alone = cavage().read();
        assert!(alone.is_ok());
        for sent in proxied_otherwise(&cavage(), Some(&input), "proxy=:AQID:") {
            assert_eq!(sent.read(), alone, "{sent:?}");
        }
        // What the proxy adds may be unreadable.
        for sent in proxied_otherwise(&cavage(), Some("proxy=("), "proxy=:AQID:") {
            assert_eq!(sent.read(), alone, "{sent:?}");
        }
        let added = format!(r#"keyId="{proxy_key}",headers="date, \"x",signature="AQID""#);
        let alone = rfc_9421().read();
        for sent in proxied_otherwise(&rfc_9421(), None, &added) {
            assert_eq!(sent.read(), alone, "{sent:?}");
        }
    }
}

#[test]
fn of_both_schemes_of_the_actor_the_newer_counts() {
    let added = format!(r#"keyId="{KEY_ID}",headers="date",signature="AQID""#);
    for sent in proxied_otherwise(&rfc_9421(), None, &added) {
        assert_eq!(sent.read(), rfc_9421().read());
    }
    // A signature whose key is nobody's here is read no more than another one.
    for sent in proxied_otherwise(&cavage(), Some(r#"proxy=("@method");created=1"#), "proxy=:AQID:") {
        let strangers = sent.replaced(KEY_ID, "https://c.example/key");
        assert_eq!(strangers.read(), Err(SignatureFault::ParameterMissing("keyid")));
    }
}
