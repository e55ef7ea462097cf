//! The examples that the standards print. `eko-federation` verifies their RSA signatures.

use super::*;

/// Returns the request of all examples in draft-cavage-http-signatures-12, appendix C.
fn appendix_c(signature: &str) -> SampleRequest {
    let headers = [
        ("host", "example.com"),
        ("date", "Sun, 05 Jan 2014 21:31:40 GMT"),
        ("content-type", "application/json"),
        ("digest", "SHA-256=X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE="),
        ("content-length", "18"),
        ("signature", signature),
    ];
    let mut sent = super::sent(&headers);
    sent.target = "/foo?param=value&pet=dog".to_owned();
    sent
}

const APPENDIX_C_MS: i64 = 1_388_957_500_000;

/// A signature of the draft. It is printed with the parameters `created` and `expires`, but was
/// made without them.
const ALL_HEADERS: &str = r#"keyId="Test",algorithm="rsa-sha256",headers="(request-target) host date content-type digest content-length",signature="vSdrb+dS3EceC9bcwHSo4MlyKS59iFIrhgYkz8+oVLEEzmYZZvRs8rgOp+63LEM3v+MFHB32NfpB2bEKBIvB1q52LaEUHFv120V01IL+TAD48XaERZFukWgHoBTLMhYS2Gb51gWxpeIq8knRmPnYePbF5MOkR0Zkly4zKH7s1dE=""#;

#[test]
fn draft_cavage_all_headers() {
    let claim = appendix_c(ALL_HEADERS).read_at("https://example.com", APPENDIX_C_MS).unwrap();
    assert_eq!((claim.scheme, claim.key_id.as_str(), claim.signature.len()), (Scheme::Cavage, "Test", 128));
    assert_eq!(
        String::from_utf8(claim.base).unwrap(),
        "(request-target): post /foo?param=value&pet=dog\n\
         host: example.com\n\
         date: Sun, 05 Jan 2014 21:31:40 GMT\n\
         content-type: application/json\n\
         digest: SHA-256=X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=\n\
         content-length: 18"
    );
}

#[test]
fn draft_cavage_all_headers_as_printed() {
    let printed = ALL_HEADERS.replace(
        r#",headers="(request-target) host"#,
        r#",created=1402170695,expires=1402170699,headers="(request-target) (created) (expires) host"#,
    );
    let printed = appendix_c(&printed);
    assert_eq!(
        printed.read_at("https://example.com", APPENDIX_C_MS),
        Err(SignatureFault::OldAlgorithm("(created)".to_owned()))
    );
    // Under the new name it is refused as well: `created` is five months after `date`, so one of
    // them is always outside of the window.
    let printed = printed.replaced("rsa-sha256", "hs2019");
    assert_eq!(printed.read_at("https://example.com", APPENDIX_C_MS), Err(SignatureFault::TooNew));
    assert_eq!(printed.read_at("https://example.com", 1_402_170_695_000), Err(SignatureFault::TooOld));
}

#[test]
fn draft_cavage_basic_and_default_are_too_little_for_a_body() {
    let basic = ALL_HEADERS.replace(" content-type digest content-length", "");
    assert_eq!(
        appendix_c(&basic).read_at("https://example.com", APPENDIX_C_MS),
        Err(SignatureFault::NotCovered("digest"))
    );
    // Without the body, the text is the printed one.
    let mut get = appendix_c(&basic);
    (get.method, get.body) = ("GET", Vec::new());
    let claim = get.read_at("https://example.com", APPENDIX_C_MS).unwrap();
    assert_eq!(
        String::from_utf8(claim.base).unwrap(),
        "(request-target): get /foo?param=value&pet=dog\nhost: example.com\ndate: Sun, 05 Jan 2014 21:31:40 GMT"
    );
    let default = r#"keyId="Test",algorithm="rsa-sha256",signature="AAEC""#;
    assert_eq!(
        appendix_c(default).read_at("https://example.com", APPENDIX_C_MS),
        Err(SignatureFault::ParameterMissing("headers"))
    );
}

const RFC_9421_MS: i64 = 1_618_884_480_000;

/// Returns the request that the proxy forwards in RFC 9421, section 4.3, without the client's
/// signature.
fn section_4_3() -> SampleRequest {
    let input = r#"proxy_sig=("@method" "@authority" "@path" "content-digest" "content-type" "content-length" "forwarded");created=1618884480;keyid="test-key-rsa";alg="rsa-v1_5-sha256";expires=1618884540"#;
    let signature = "proxy_sig=:S6ZzPXSdAMOPjN/6KXfXWNO/f7V6cHm7BXYUh3YD/fRad4BCaRZxP+JH+8XY1I6+8Cy+CM5g92iHgxtRPz+MjniOaYmdkDcnL9cCpXJleXsOckpURl49GwiyUpZ10KHgOEe11sx3G2gxI8S0jnxQB+Pu68U9vVcasqOWAEObtNKKZd8tSFu7LB5YAv0RAGhB8tmpv7sFnIm9y+7X5kXQfi8NMaZaA8i2ZHwpBdg7a6CMfwnnrtflzvZdXAsD3LH2TwevU+/PBPv0B6NMNk93wUs/vfJvye+YuI87HU38lZHowtznbLVdp770I6VHR6WfgS9ddzirrswsE1w5o0LV/g==:";
    let digest =
        "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:";
    let mut sent = super::sent(&[
        ("host", "origin.host.internal.example"),
        ("date", "Tue, 20 Apr 2021 02:07:56 GMT"),
        ("content-type", "application/json"),
        ("content-length", "18"),
        ("forwarded", "for=192.0.2.123;host=example.com;proto=https"),
        ("content-digest", digest),
        ("signature-input", input),
        ("signature", signature),
    ]);
    sent.target = "/foo?param=Value&Pet=dog".to_owned();
    sent
}

#[test]
fn rfc_9421_section_4_3() {
    let at = |sent: &SampleRequest| sent.read_at("https://origin.host.internal.example", RFC_9421_MS);
    // The printed signature does not cover the query, and its digest is SHA-512.
    assert_eq!(at(&section_4_3()), Err(SignatureFault::NotCovered("@query")));
    let mut sent = section_4_3();
    sent.target = "/foo".to_owned();
    assert_eq!(at(&sent), Err(SignatureFault::NoSha256));
    // With the SHA-256 of the body, as in other examples of the RFC, the text is the printed one.
    let claim = at(&sent.with("content-digest", &format!("sha-256=:{HASH}:"))).unwrap();
    assert_eq!((claim.key_id.as_str(), claim.signature.len()), ("test-key-rsa", 256));
    assert_eq!(
        String::from_utf8(claim.base).unwrap(),
        format!(
            r#""@method": POST
"@authority": origin.host.internal.example
"@path": /foo
"content-digest": sha-256=:{HASH}:
"content-type": application/json
"content-length": 18
"forwarded": for=192.0.2.123;host=example.com;proto=https
"@signature-params": ("@method" "@authority" "@path" "content-digest" "content-type" "content-length" "forwarded");created=1618884480;keyid="test-key-rsa";alg="rsa-v1_5-sha256";expires=1618884540"#
        )
    );
}

/// RFC 9421, appendix B.2, signs the same request with other algorithms. Only the signed texts are
/// compared.
#[test]
fn rfc_9421_appendix_b_2() {
    let b_2 = |input: &str| {
        let mut sent = section_4_3()
            .without("forwarded")
            .with("host", "example.com")
            .with("date", "Tue, 20 Apr 2021 02:07:55 GMT")
            .with("signature-input", input)
            .with("signature", &format!("{}=:AAEC:", input.split_once('=').unwrap().0))
            .with("content-digest", &format!("sha-256=:{HASH}:"));
        (sent.method, sent.body) = ("GET", Vec::new());
        sent.target = "/foo?param=Value&Pet=dog".to_owned();
        sent
    };
    let at = |sent: &SampleRequest| sent.read_at("https://example.com", 1_618_884_473_000);
    // B.2.1 covers nothing, B.2.2 no target, B.2.6 no digest of its body.
    let minimal =
        b_2(r#"sig-b21=();created=1618884473;keyid="test-key-rsa-pss";nonce="b3k2pp5k7z-50gnwp.yemd""#);
    assert_eq!(at(&minimal), Err(SignatureFault::NothingCovered));
    let selective = b_2(
        r#"sig-b22=("@authority" "content-digest" "@query-param";name="Pet");created=1618884473;keyid="test-key-rsa-pss";tag="header-example""#,
    );
    assert_eq!(at(&selective), Err(SignatureFault::Unsupported("@query-param;name".to_owned())));
    let ed25519 = r#"sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519""#;
    let mut posted = b_2(ed25519);
    (posted.method, posted.body) = ("POST", BODY.to_vec());
    posted.target = "/foo".to_owned();
    assert_eq!(at(&posted), Err(SignatureFault::NotCovered("content-digest")));
    // B.2.6 as a GET without the query that it does not cover: the printed text with another
    // method.
    let mut get = b_2(ed25519);
    assert_eq!(at(&get), Err(SignatureFault::NotCovered("@query")));
    get.target = "/foo".to_owned();
    assert_eq!(
        String::from_utf8(at(&get).unwrap().base).unwrap(),
        r#""date": Tue, 20 Apr 2021 02:07:55 GMT
"@method": GET
"@path": /foo
"@authority": example.com
"content-type": application/json
"content-length": 18
"@signature-params": ("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519""#
    );
    // B.2.3 as printed, with another digest: every derived component of the request.
    let mut full = b_2(
        r#"sig-b23=("date" "@method" "@path" "@query" "@authority" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-rsa-pss""#,
    );
    (full.method, full.body) = ("POST", BODY.to_vec());
    assert_eq!(
        String::from_utf8(at(&full).unwrap().base).unwrap(),
        format!(
            r#""date": Tue, 20 Apr 2021 02:07:55 GMT
"@method": POST
"@path": /foo
"@query": ?param=Value&Pet=dog
"@authority": example.com
"content-type": application/json
"content-digest": sha-256=:{HASH}:
"content-length": 18
"@signature-params": ("date" "@method" "@path" "@query" "@authority" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-rsa-pss""#
        )
    );
}
