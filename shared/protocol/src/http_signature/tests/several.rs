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
