//! Every [`SignatureFault`], with requests that have it.

use super::*;

fn absent(name: &str) -> SignatureFault {
    SignatureFault::Absent(name.to_owned())
}

fn repeated(name: &str) -> SignatureFault {
    SignatureFault::Repeated(name.to_owned())
}

fn unreadable(name: &str) -> SignatureFault {
    SignatureFault::Unreadable(name.to_owned())
}

fn unsupported(name: &str) -> SignatureFault {
    SignatureFault::Unsupported(name.to_owned())
}

fn check(table: Vec<(SampleRequest, SignatureFault)>) {
    for (sent, fault) in table {
        assert_eq!(sent.read(), Err(fault), "{sent:#?}");
    }
}

#[test]
fn in_either_scheme() {
    for sent in [cavage(), rfc_9421()] {
        let with_method = |method| SampleRequest { method, ..sent.clone() };
        let with_target = |target: &str| SampleRequest { target: target.to_owned(), ..sent.clone() };
        let with_body = |body: &[u8]| SampleRequest { body: body.to_vec(), ..sent.clone() };
        check(vec![
            (sent.clone().without("signature").without("signature-input"), SignatureFault::Unsigned),
            (
                sent.clone().without("signature").without("signature-input").and(
                    "authorization",
                    r#"Signature keyId="x",headers="(request-target) host date",signature="AAEC""#,
                ),
                SignatureFault::Unsigned,
            ),
            (with_method("post"), SignatureFault::Method),
            (with_method(""), SignatureFault::Method),
            (with_method("POST\n"), SignatureFault::Method),
            (with_target(""), SignatureFault::Target),
            (with_target("user/bob/inbox"), SignatureFault::Target),
            (with_target("https://a.example/user/bob/inbox"), SignatureFault::Target),
            (with_target("/user/bob\n"), SignatureFault::Target),
            (with_target("/user/b b"), SignatureFault::Target),
            (with_target("/user/bob#x"), SignatureFault::Target),
            (with_target("/user/böb"), SignatureFault::Target),
            (with_body(b""), SignatureFault::OtherBody),
            (with_body(br#"{"hello": "World"}"#), SignatureFault::OtherBody),
        ]);
    }
}

#[test]
fn in_draft_cavage() {
    let long = "x".repeat(513);
    let much: String = (0..33).map(|n| format!(" x-{n}")).collect();
    let many: String = (0..16).map(|n| format!(",x{n}=1")).collect();
    let new = || cavage().replaced("rsa-sha256", "hs2019");
    check(vec![
        // Headers that are missing, repeated or unreadable
        (cavage().without("digest"), absent("digest")),
        (cavage().without("date"), absent("date")),
        (cavage().and("digest", "SHA-256=AAAA"), SignatureFault::Sha256Twice),
        (cavage().and("date", DATE), repeated("date")),
        (cavage().and("host", "a.example"), repeated("host")),
        (cavage().replaced(" digest", " digest x-a"), absent("x-a")),
        (cavage().replaced(" digest", " digest x-a").and("x-a", "1\nhost: b.example"), unreadable("x-a")),
        (cavage().replaced(" digest", " digest x-a").and("x-a", "ä"), unreadable("x-a")),
        // The parameters
        (cavage().with("signature", ""), unreadable("signature")),
        (cavage().with("signature", "sig1=:AAEC:, sig2=:AAEC:"), SignatureFault::ParameterMissing("keyId")),
        (cavage().with("signature", "keyId"), unreadable("signature")),
        (cavage().replaced(r#"",algorithm"#, r#"" algorithm"#), unreadable("signature")),
        (cavage().replaced(r#""AAEC""#, r#""AAEC"#), unreadable("signature")),
        (cavage().replaced(r#""AAEC""#, r#""AAEC","#), unreadable("signature")),
        (cavage().replaced(KEY_ID, r"a\\b"), unreadable("signature")),
        (cavage().replaced(",headers", ",=1,headers"), unreadable("signature")),
        (cavage().replaced(",headers", ",x-y=1,headers"), unreadable("signature")),
        (cavage().replaced(",headers", r",x=a\b,headers"), unreadable("signature")),
        (cavage().replaced(",headers", &format!("{many},headers")), unreadable("signature")),
        (cavage().replaced(r#"keyId="#, r#"keyid="#), SignatureFault::ParameterMissing("keyId")),
        (cavage().replaced("signature=", "sig="), SignatureFault::ParameterMissing("signature")),
        (cavage().replaced("headers=", "header="), SignatureFault::ParameterMissing("headers")),
        (
            cavage().replaced(",headers", r#",keyId="x",headers"#),
            SignatureFault::ParameterTwice("keyId".into()),
        ),
        (
            cavage().replaced(",headers", r#",keyID="x",headers"#),
            SignatureFault::ParameterTwice("keyID".into()),
        ),
        (
            cavage().replaced(",headers", r#",headers="date",headers"#),
            SignatureFault::ParameterTwice("headers".into()),
        ),
        (cavage().replaced(",headers", ",x=1,x=1,headers"), SignatureFault::ParameterTwice("x".into())),
        (cavage().replaced(KEY_ID, ""), SignatureFault::KeyId),
        (cavage().replaced(KEY_ID, &long), SignatureFault::KeyId),
        (cavage().replaced(KEY_ID, "a b"), SignatureFault::KeyId),
        (cavage().replaced("AAEC", ""), SignatureFault::Signature),
        (cavage().replaced("AAEC", "AAE"), SignatureFault::Signature),
        (cavage().replaced("AAEC", "AAE_"), SignatureFault::Signature),
        (cavage().replaced("AAEC", "AAF="), SignatureFault::Signature),
        (cavage().replaced("AAEC", &"AAAA".repeat(342)), SignatureFault::Signature),
        // The algorithm
        (cavage().replaced("rsa-sha256", "rsa-sha1"), SignatureFault::Algorithm),
        (cavage().replaced("rsa-sha256", "hmac-sha256"), SignatureFault::Algorithm),
        (cavage().replaced("rsa-sha256", "ed25519"), SignatureFault::Algorithm),
        (cavage().replaced("rsa-sha256", "RSA-SHA256"), SignatureFault::Algorithm),
        (cavage().replaced("rsa-sha256", ""), SignatureFault::Algorithm),
        (
            cavage().replaced(" date", " (created)").replaced(",headers", ",created=1795392000,headers"),
            SignatureFault::OldAlgorithm("(created)".into()),
        ),
        (
            cavage().replaced(" date", " date (expires)").replaced(",headers", ",expires=1795392000,headers"),
            SignatureFault::OldAlgorithm("(expires)".into()),
        ),
        // Covered components
        (cavage().replaced("(request-target) host date digest", ""), SignatureFault::NothingCovered),
        (cavage().replaced("(request-target) host date digest", " "), SignatureFault::NothingCovered),
        (cavage().replaced(" digest", &format!(" digest{much}")), SignatureFault::TooMuchCovered),
        (cavage().replaced("(request-target) ", ""), SignatureFault::NotCovered("(request-target)")),
        (cavage().replaced(" host", ""), SignatureFault::NotCovered("host")),
        (cavage().replaced(" date", ""), SignatureFault::NotCovered("date")),
        (cavage().replaced(" digest", ""), SignatureFault::NotCovered("digest")),
        (cavage().replaced(" digest", " content-digest"), SignatureFault::NotCovered("digest")),
        (cavage().replaced(" date", " date date"), SignatureFault::CoveredTwice("date".into())),
        (cavage().replaced(" date", " date Date"), SignatureFault::CoveredTwice("date".into())),
        (cavage().replaced(" digest", " digest (key-id)"), unsupported("(key-id)")),
        (cavage().replaced(" digest", " digest @method"), unsupported("@method")),
        (cavage().replaced(" digest", " digest a:b"), unsupported("a:b")),
        (new().replaced(" date", " (created)"), SignatureFault::ParameterMissing("created")),
        (new().replaced(" date", " date (expires)"), SignatureFault::ParameterMissing("expires")),
        // Times
        (cavage().with("date", "Sun, 22 Nov 2026 23:54:59 GMT"), SignatureFault::TooOld),
        (cavage().with("date", "Mon, 23 Nov 2026 00:05:01 GMT"), SignatureFault::TooNew),
        (cavage().with("date", "2026-11-23T00:00:00Z"), unreadable("date")),
        (cavage().replaced(",headers", ",created=1795391699,headers"), SignatureFault::TooOld),
        (cavage().replaced(",headers", ",created=1795392301,headers"), SignatureFault::TooNew),
        (
            cavage().replaced(",headers", ",created=1795392000.5,headers"),
            SignatureFault::Parameter("created"),
        ),
        (cavage().replaced(",headers", ",created=+1795392000,headers"), SignatureFault::Parameter("created")),
        (cavage().replaced(",headers", ",created=01795392000,headers"), SignatureFault::Parameter("created")),
        (cavage().replaced(",headers", r#",created="",headers"#), SignatureFault::Parameter("created")),
        (
            cavage().replaced(",headers", ",created=99999999999999999999,headers"),
            SignatureFault::Parameter("created"),
        ),
        (cavage().replaced(",headers", ",expires=1795391999,headers"), SignatureFault::Expired),
        (cavage().replaced(",headers", ",expires=never,headers"), SignatureFault::Parameter("expires")),
        // The digest
        (cavage().with("digest", "SHA-512=AAAA"), SignatureFault::NoSha256),
        (cavage().with("digest", "MD5=Sd/dVLAcvNLSq16eXua5uQ=="), SignatureFault::NoSha256),
        (cavage().with("digest", &format!("SHA-256={HASH},SHA-256={HASH}")), SignatureFault::Sha256Twice),
        (cavage().with("digest", "SHA-256=AAAA"), SignatureFault::OtherBody),
        (cavage().with("digest", HASH), SignatureFault::NoSha256),
    ]);
}

#[test]
fn in_rfc_9421() {
    let long = "x".repeat(513);
    let much: String = (0..33).map(|n| format!(" \"x-{n}\"")).collect();
    let covering = |names: &str| rfc_9421().replaced(r#""@method" "@target-uri" "content-digest""#, names);
    let and_covering =
        |name: &str| rfc_9421().replaced(r#""content-digest""#, &format!(r#""content-digest" {name}"#));
    check(vec![
        // Headers that are missing, repeated or unreadable
        (rfc_9421().without("signature"), absent("signature")),
        (rfc_9421().without("content-digest"), absent("content-digest")),
        (rfc_9421().and("content-digest", "sha-256=:AAAA:"), SignatureFault::NotCanonical("content-digest")),
        (rfc_9421().and("signature-input", "sig2=()"), SignatureFault::OtherLabel),
        (rfc_9421().and("signature", "sig1=:AAEC:"), SignatureFault::NotCanonical("signature")),
        (and_covering(r#""x-a""#), absent("x-a")),
        (and_covering(r#""x-a""#).and("x-a", "1\r\n\"@method\": GET"), unreadable("x-a")),
        // Several signatures
        (rfc_9421().with("signature-input", ""), SignatureFault::Unsigned),
        (rfc_9421().with("signature", ""), SignatureFault::Unsigned),
        (rfc_9421().replaced("sig1=(", "sig2=()  , sig1=("), SignatureFault::OtherLabel),
        (rfc_9421().with("signature", "sig1=:AAEC:, sig2=:AAEC:"), SignatureFault::OtherLabel),
        (rfc_9421().replaced("sig1=(", "sig1=(), sig1=("), SignatureFault::NotCanonical("signature-input")),
        (rfc_9421().with("signature", "sig1=:AAEC:, sig1=:AAEC:"), SignatureFault::NotCanonical("signature")),
        (rfc_9421().with("signature", "sig2=:AAEC:"), SignatureFault::OtherLabel),
        (rfc_9421().with("signature", "sig1=AAEC"), unreadable("signature")),
        (rfc_9421().with("signature", r#"sig1="AAEC""#), unreadable("signature")),
        (rfc_9421().with("signature", "sig1=:AAEC:;x"), unreadable("signature")),
        (rfc_9421().with("signature", "sig1=(:AAEC:)"), unreadable("signature")),
        (rfc_9421().with("signature", "sig1=:AA:"), SignatureFault::NotCanonical("signature")),
        (rfc_9421().with("signature", "sig1=::"), SignatureFault::Signature),
        (rfc_9421().with("signature", &format!("sig1=:{}:", "AAAA".repeat(342))), SignatureFault::Signature),
        (rfc_9421().replaced("sig1=(", "sig1=(("), unreadable("signature-input")),
        (rfc_9421().with("signature-input", "sig1"), unreadable("signature-input")),
        (rfc_9421().with("signature-input", "sig1=:AAEC:"), unreadable("signature-input")),
        (rfc_9421().with("signature-input", "sig1=(@method)"), unreadable("signature-input")),
        (covering("method"), unreadable("signature-input")),
        (covering("1"), unreadable("signature-input")),
        // The parameters
        (rfc_9421().replaced(";created=1795392000", ""), SignatureFault::ParameterMissing("created")),
        (rfc_9421().replaced(";keyid=", ";tag="), SignatureFault::ParameterMissing("keyid")),
        (
            rfc_9421().replaced(";keyid", ";created=1795392000;keyid"),
            SignatureFault::NotCanonical("signature-input"),
        ),
        (
            rfc_9421().replaced(";keyid=", r#";keyid="x";keyid="#),
            SignatureFault::NotCanonical("signature-input"),
        ),
        (rfc_9421().replaced("=1795392000", "=01795392000"), SignatureFault::NotCanonical("signature-input")),
        (rfc_9421().replaced("=1795392000", "=1795392000.0"), SignatureFault::Parameter("created")),
        (rfc_9421().replaced("=1795392000", r#"="1795392000""#), SignatureFault::Parameter("created")),
        (rfc_9421().replaced("=1795392000", ""), SignatureFault::Parameter("created")),
        (rfc_9421().replaced("=1795392000", "=@1795392000"), unreadable("signature-input")),
        (rfc_9421().replaced(";keyid", ";expires=?1;keyid"), SignatureFault::NotCanonical("signature-input")),
        (rfc_9421().replaced(";keyid", ";expires;keyid"), SignatureFault::Parameter("expires")),
        (rfc_9421().replaced(&format!("\"{KEY_ID}\""), "key"), SignatureFault::Parameter("keyid")),
        (rfc_9421().replaced(";keyid", ";x=1;keyid"), unsupported("x")),
        (rfc_9421().replaced(";keyid", ";nonce=1;keyid"), unsupported("nonce")),
        (rfc_9421().replaced(KEY_ID, ""), SignatureFault::KeyId),
        (rfc_9421().replaced(KEY_ID, &long), SignatureFault::KeyId),
        (rfc_9421().replaced(KEY_ID, "a b"), SignatureFault::KeyId),
        // The algorithm
        (rfc_9421().replaced("rsa-v1_5-sha256", "rsa-pss-sha512"), SignatureFault::Algorithm),
        (rfc_9421().replaced("rsa-v1_5-sha256", "hmac-sha256"), SignatureFault::Algorithm),
        (rfc_9421().replaced("rsa-v1_5-sha256", "ed25519"), SignatureFault::Algorithm),
        (rfc_9421().replaced("rsa-v1_5-sha256", "rsa-sha256"), SignatureFault::Algorithm),
        (rfc_9421().replaced(r#""rsa-v1_5-sha256""#, "rsa-v1_5-sha256"), SignatureFault::Algorithm),
        // Covered components
        (covering(""), SignatureFault::NothingCovered),
        (covering(&much), SignatureFault::TooMuchCovered),
        (covering(r#""@target-uri" "content-digest""#), SignatureFault::NotCovered("@method")),
        (covering(r#""@method" "content-digest""#), SignatureFault::NotCovered("@target-uri")),
        (covering(r#""@method" "@path" "content-digest""#), SignatureFault::NotCovered("@target-uri")),
        (covering(r#""@method" "@path" "host" "content-digest""#), SignatureFault::NotCovered("@target-uri")),
        (covering(r#""@method" "@authority" "content-digest""#), SignatureFault::NotCovered("@path")),
        (covering(r#""@method" "@target-uri""#), SignatureFault::NotCovered("content-digest")),
        (covering(r#""@method" "@target-uri" "digest""#), SignatureFault::NotCovered("content-digest")),
        (and_covering(r#""@method""#), SignatureFault::CoveredTwice("@method".into())),
        (and_covering(r#""content-digest";sf"#), unsupported("content-digest;sf")),
        (and_covering(r#""content-type";bs"#), unsupported("content-type;bs")),
        (and_covering(r#""content-digest";key="sha-256""#), unsupported("content-digest;key")),
        (and_covering(r#""content-type";tr"#), unsupported("content-type;tr")),
        (and_covering(r#""@method";req"#), unsupported("@method;req")),
        (and_covering(r#""@query-param";name="x""#), unsupported("@query-param;name")),
        (and_covering(r#""@query-param""#), unsupported("@query-param")),
        (and_covering(r#""@status""#), unsupported("@status")),
        (and_covering(r#""@signature-params""#), unsupported("@signature-params")),
        (and_covering(r#""@METHOD""#), unsupported("@METHOD")),
        (and_covering(r#""Content-Type""#), unsupported("Content-Type")),
        (and_covering(r#""a\"b""#), unsupported("a\"b")),
        (and_covering(r#""""#), unsupported("")),
        // Times
        (rfc_9421().replaced("=1795392000", "=1795391699"), SignatureFault::TooOld),
        (rfc_9421().replaced("=1795392000", "=1795392301"), SignatureFault::TooNew),
        (rfc_9421().replaced("=1795392000", "=-1"), SignatureFault::TooOld),
        (rfc_9421().replaced(";keyid", ";expires=1795391999;keyid"), SignatureFault::Expired),
        // The digest
        (rfc_9421().with("content-digest", "sha-512=:AAAA:"), SignatureFault::NoSha256),
        (rfc_9421().with("content-digest", "md5=:Sd/dVLAcvNLSq16eXua5uQ==:"), SignatureFault::NoSha256),
        (rfc_9421().with("content-digest", "sha-256=:AAAA:"), SignatureFault::OtherBody),
        (rfc_9421().with("content-digest", &format!("SHA-256={HASH}")), unreadable("content-digest")),
        (
            rfc_9421().with("content-digest", &format!("sha-256=:{HASH}:, sha-256=:{HASH}:")),
            SignatureFault::NotCanonical("content-digest"),
        ),
    ]);
}
