//! Every [`Fault`], and what earns it.

use super::*;

fn absent(name: &str) -> Fault {
    Fault::Absent(name.to_owned())
}

fn repeated(name: &str) -> Fault {
    Fault::Repeated(name.to_owned())
}

fn unreadable(name: &str) -> Fault {
    Fault::Unreadable(name.to_owned())
}

fn unsupported(name: &str) -> Fault {
    Fault::Unsupported(name.to_owned())
}

fn check(table: Vec<(Sent, Fault)>) {
    for (sent, fault) in table {
        assert_eq!(sent.read(), Err(fault), "{sent:#?}");
    }
}

#[test]
fn in_either_scheme() {
    for sent in [cavage(), rfc_9421()] {
        let with_method = |method| Sent { method, ..sent.clone() };
        let with_target = |target: &str| Sent { target: target.to_owned(), ..sent.clone() };
        let with_body = |body: &[u8]| Sent { body: body.to_vec(), ..sent.clone() };
        check(vec![
            (sent.clone().without("signature").without("signature-input"), Fault::Unsigned),
            (
                sent.clone().without("signature").without("signature-input").and(
                    "authorization",
                    r#"Signature keyId="x",headers="(request-target) host date",signature="AAEC""#,
                ),
                Fault::Unsigned,
            ),
            (sent.clone().and("signature", "sig1=:AAEC:"), repeated("signature")),
            (with_method("post"), Fault::Method),
            (with_method(""), Fault::Method),
            (with_method("POST\n"), Fault::Method),
            (with_target(""), Fault::Target),
            (with_target("user/bob/inbox"), Fault::Target),
            (with_target("https://a.example/user/bob/inbox"), Fault::Target),
            (with_target("/user/bob\n"), Fault::Target),
            (with_target("/user/b b"), Fault::Target),
            (with_target("/user/bob#x"), Fault::Target),
            (with_target("/user/böb"), Fault::Target),
            (with_body(b""), Fault::OtherBody),
            (with_body(br#"{"hello": "World"}"#), Fault::OtherBody),
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
        // What is there
        (cavage().without("digest"), absent("digest")),
        (cavage().without("date"), absent("date")),
        (cavage().and("digest", "SHA-256=AAAA"), repeated("digest")),
        (cavage().and("date", DATE), repeated("date")),
        (cavage().and("host", "a.example"), repeated("host")),
        (cavage().replaced(" digest", " digest x-a"), absent("x-a")),
        (cavage().replaced(" digest", " digest x-a").and("x-a", "1").and("x-a", "2"), repeated("x-a")),
        (cavage().replaced(" digest", " digest x-a").and("x-a", "1\nhost: b.example"), unreadable("x-a")),
        (cavage().replaced(" digest", " digest x-a").and("x-a", "ä"), unreadable("x-a")),
        // Both schemes at once
        (cavage().and("signature-input", "sig1=()"), unreadable("signature")),
        // The parameters
        (cavage().with("signature", ""), unreadable("signature")),
        (cavage().with("signature", "sig1=:AAEC:, sig2=:AAEC:"), Fault::ParameterMissing("keyId")),
        (cavage().with("signature", "keyId"), unreadable("signature")),
        (cavage().replaced(r#"",algorithm"#, r#"" algorithm"#), unreadable("signature")),
        (cavage().replaced(r#""AAEC""#, r#""AAEC"#), unreadable("signature")),
        (cavage().replaced(r#""AAEC""#, r#""AAEC","#), unreadable("signature")),
        (cavage().replaced(KEY_ID, r"a\\b"), unreadable("signature")),
        (cavage().replaced(",headers", &format!("{many},headers")), unreadable("signature")),
        (cavage().replaced(r#"keyId="#, r#"keyid="#), Fault::ParameterMissing("keyId")),
        (cavage().replaced("signature=", "sig="), Fault::ParameterMissing("signature")),
        (cavage().replaced("headers=", "header="), Fault::ParameterMissing("headers")),
        (cavage().replaced(",headers", r#",keyId="x",headers"#), Fault::ParameterTwice("keyId".into())),
        (cavage().replaced(",headers", r#",keyID="x",headers"#), Fault::ParameterTwice("keyID".into())),
        (
            cavage().replaced(",headers", r#",headers="date",headers"#),
            Fault::ParameterTwice("headers".into()),
        ),
        (cavage().replaced(",headers", ",x=1,x=1,headers"), Fault::ParameterTwice("x".into())),
        (cavage().replaced(KEY_ID, ""), Fault::KeyId),
        (cavage().replaced(KEY_ID, &long), Fault::KeyId),
        (cavage().replaced(KEY_ID, "a b"), Fault::KeyId),
        (cavage().replaced("AAEC", ""), Fault::Signature),
        (cavage().replaced("AAEC", "AAE"), Fault::Signature),
        (cavage().replaced("AAEC", "AAE_"), Fault::Signature),
        (cavage().replaced("AAEC", "AAF="), Fault::Signature),
        (cavage().replaced("AAEC", &"AAAA".repeat(342)), Fault::Signature),
        // The algorithm
        (cavage().replaced("rsa-sha256", "rsa-sha1"), Fault::Algorithm),
        (cavage().replaced("rsa-sha256", "hmac-sha256"), Fault::Algorithm),
        (cavage().replaced("rsa-sha256", "ed25519"), Fault::Algorithm),
        (cavage().replaced("rsa-sha256", "RSA-SHA256"), Fault::Algorithm),
        (cavage().replaced("rsa-sha256", ""), Fault::Algorithm),
        (
            cavage().replaced(" date", " (created)").replaced(",headers", ",created=1795392000,headers"),
            Fault::OldAlgorithm("(created)".into()),
        ),
        (
            cavage().replaced(" date", " date (expires)").replaced(",headers", ",expires=1795392000,headers"),
            Fault::OldAlgorithm("(expires)".into()),
        ),
        // What is covered
        (cavage().replaced("(request-target) host date digest", ""), Fault::NothingCovered),
        (cavage().replaced("(request-target) host date digest", " "), Fault::NothingCovered),
        (cavage().replaced(" digest", &format!(" digest{much}")), Fault::TooMuchCovered),
        (cavage().replaced("(request-target) ", ""), Fault::NotCovered("(request-target)")),
        (cavage().replaced(" host", ""), Fault::NotCovered("host")),
        (cavage().replaced(" date", ""), Fault::NotCovered("date")),
        (cavage().replaced(" digest", ""), Fault::NotCovered("digest")),
        (cavage().replaced(" digest", " content-digest"), Fault::NotCovered("digest")),
        (cavage().replaced(" date", " date date"), Fault::CoveredTwice("date".into())),
        (cavage().replaced(" date", " date Date"), Fault::CoveredTwice("date".into())),
        (cavage().replaced(" digest", " digest (key-id)"), unsupported("(key-id)")),
        (cavage().replaced(" digest", " digest @method"), unsupported("@method")),
        (cavage().replaced(" digest", " digest a:b"), unsupported("a:b")),
        (new().replaced(" date", " (created)"), Fault::ParameterMissing("created")),
        (new().replaced(" date", " date (expires)"), Fault::ParameterMissing("expires")),
        // When
        (cavage().with("date", "Sun, 22 Nov 2026 23:54:59 GMT"), Fault::TooOld),
        (cavage().with("date", "Mon, 23 Nov 2026 00:05:01 GMT"), Fault::TooNew),
        (cavage().with("date", "2026-11-23T00:00:00Z"), unreadable("date")),
        (cavage().replaced(",headers", ",created=1795391699,headers"), Fault::TooOld),
        (cavage().replaced(",headers", ",created=1795392301,headers"), Fault::TooNew),
        (cavage().replaced(",headers", ",created=1795392000.5,headers"), Fault::Parameter("created")),
        (cavage().replaced(",headers", ",created=+1795392000,headers"), Fault::Parameter("created")),
        (cavage().replaced(",headers", ",created=01795392000,headers"), Fault::Parameter("created")),
        (cavage().replaced(",headers", r#",created="",headers"#), Fault::Parameter("created")),
        (cavage().replaced(",headers", ",created=99999999999999999999,headers"), Fault::Parameter("created")),
        (cavage().replaced(",headers", ",expires=1795391999,headers"), Fault::Expired),
        (cavage().replaced(",headers", ",expires=never,headers"), Fault::Parameter("expires")),
        // The digest
        (cavage().with("digest", "SHA-512=AAAA"), Fault::NoSha256),
        (cavage().with("digest", "MD5=Sd/dVLAcvNLSq16eXua5uQ=="), Fault::NoSha256),
        (cavage().with("digest", &format!("SHA-256={HASH},SHA-256={HASH}")), Fault::Sha256Twice),
        (cavage().with("digest", "SHA-256=AAAA"), Fault::OtherBody),
        (cavage().with("digest", HASH), Fault::NoSha256),
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
        // What is there
        (rfc_9421().without("signature"), absent("signature")),
        (rfc_9421().without("content-digest"), absent("content-digest")),
        (rfc_9421().and("content-digest", "sha-256=:AAAA:"), repeated("content-digest")),
        (rfc_9421().and("signature-input", "sig2=()"), repeated("signature-input")),
        (and_covering(r#""x-a""#), absent("x-a")),
        (and_covering(r#""x-a""#).and("x-a", "1").and("x-a", "2"), repeated("x-a")),
        (and_covering(r#""x-a""#).and("x-a", "1\r\n\"@method\": GET"), unreadable("x-a")),
        // Which signature
        (rfc_9421().with("signature-input", ""), Fault::Unsigned),
        (rfc_9421().with("signature", ""), Fault::Unsigned),
        (rfc_9421().replaced("sig1=(", "sig2=()  , sig1=("), Fault::SeveralLabels),
        (rfc_9421().with("signature", "sig1=:AAEC:, sig2=:AAEC:"), Fault::SeveralLabels),
        (rfc_9421().replaced("sig1=(", "sig1=(), sig1=("), Fault::NotCanonical("signature-input")),
        (rfc_9421().with("signature", "sig1=:AAEC:, sig1=:AAEC:"), Fault::NotCanonical("signature")),
        (rfc_9421().with("signature", "sig2=:AAEC:"), Fault::OtherLabel),
        (rfc_9421().with("signature", "sig1=AAEC"), unreadable("signature")),
        (rfc_9421().with("signature", r#"sig1="AAEC""#), unreadable("signature")),
        (rfc_9421().with("signature", "sig1=:AAEC:;x"), unreadable("signature")),
        (rfc_9421().with("signature", "sig1=(:AAEC:)"), unreadable("signature")),
        (rfc_9421().with("signature", "sig1=:AA:"), Fault::NotCanonical("signature")),
        (rfc_9421().with("signature", "sig1=::"), Fault::Signature),
        (rfc_9421().with("signature", &format!("sig1=:{}:", "AAAA".repeat(342))), Fault::Signature),
        (rfc_9421().replaced("sig1=(", "sig1=(("), unreadable("signature-input")),
        (rfc_9421().with("signature-input", "sig1"), unreadable("signature-input")),
        (rfc_9421().with("signature-input", "sig1=:AAEC:"), unreadable("signature-input")),
        (rfc_9421().with("signature-input", "sig1=(@method)"), unreadable("signature-input")),
        (covering("method"), unreadable("signature-input")),
        (covering("1"), unreadable("signature-input")),
        // The parameters
        (rfc_9421().replaced(";created=1795392000", ""), Fault::ParameterMissing("created")),
        (rfc_9421().replaced(";keyid=", ";tag="), Fault::ParameterMissing("keyid")),
        (rfc_9421().replaced(";keyid", ";created=1795392000;keyid"), Fault::NotCanonical("signature-input")),
        (rfc_9421().replaced(";keyid=", r#";keyid="x";keyid="#), Fault::NotCanonical("signature-input")),
        (rfc_9421().replaced("=1795392000", "=01795392000"), Fault::NotCanonical("signature-input")),
        (rfc_9421().replaced("=1795392000", "=1795392000.0"), Fault::Parameter("created")),
        (rfc_9421().replaced("=1795392000", r#"="1795392000""#), Fault::Parameter("created")),
        (rfc_9421().replaced("=1795392000", ""), Fault::Parameter("created")),
        (rfc_9421().replaced("=1795392000", "=@1795392000"), unreadable("signature-input")),
        (rfc_9421().replaced(";keyid", ";expires=?1;keyid"), Fault::NotCanonical("signature-input")),
        (rfc_9421().replaced(";keyid", ";expires;keyid"), Fault::Parameter("expires")),
        (rfc_9421().replaced(&format!("\"{KEY_ID}\""), "key"), Fault::Parameter("keyid")),
        (rfc_9421().replaced(";keyid", ";x=1;keyid"), unsupported("x")),
        (rfc_9421().replaced(";keyid", ";nonce=1;keyid"), unsupported("nonce")),
        (rfc_9421().replaced(KEY_ID, ""), Fault::KeyId),
        (rfc_9421().replaced(KEY_ID, &long), Fault::KeyId),
        (rfc_9421().replaced(KEY_ID, "a b"), Fault::KeyId),
        // The algorithm
        (rfc_9421().replaced("rsa-v1_5-sha256", "rsa-pss-sha512"), Fault::Algorithm),
        (rfc_9421().replaced("rsa-v1_5-sha256", "hmac-sha256"), Fault::Algorithm),
        (rfc_9421().replaced("rsa-v1_5-sha256", "ed25519"), Fault::Algorithm),
        (rfc_9421().replaced("rsa-v1_5-sha256", "rsa-sha256"), Fault::Algorithm),
        (rfc_9421().replaced(r#""rsa-v1_5-sha256""#, "rsa-v1_5-sha256"), Fault::Algorithm),
        // What is covered
        (covering(""), Fault::NothingCovered),
        (covering(&much), Fault::TooMuchCovered),
        (covering(r#""@target-uri" "content-digest""#), Fault::NotCovered("@method")),
        (covering(r#""@method" "content-digest""#), Fault::NotCovered("@target-uri")),
        (covering(r#""@method" "@path" "content-digest""#), Fault::NotCovered("@target-uri")),
        (covering(r#""@method" "@path" "host" "content-digest""#), Fault::NotCovered("@target-uri")),
        (covering(r#""@method" "@authority" "content-digest""#), Fault::NotCovered("@path")),
        (covering(r#""@method" "@target-uri""#), Fault::NotCovered("content-digest")),
        (covering(r#""@method" "@target-uri" "digest""#), Fault::NotCovered("content-digest")),
        (and_covering(r#""@method""#), Fault::CoveredTwice("@method".into())),
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
        // When
        (rfc_9421().replaced("=1795392000", "=1795391699"), Fault::TooOld),
        (rfc_9421().replaced("=1795392000", "=1795392301"), Fault::TooNew),
        (rfc_9421().replaced("=1795392000", "=-1"), Fault::TooOld),
        (rfc_9421().replaced(";keyid", ";expires=1795391999;keyid"), Fault::Expired),
        // The digest
        (rfc_9421().with("content-digest", "sha-512=:AAAA:"), Fault::NoSha256),
        (rfc_9421().with("content-digest", "md5=:Sd/dVLAcvNLSq16eXua5uQ==:"), Fault::NoSha256),
        (rfc_9421().with("content-digest", "sha-256=:AAAA:"), Fault::OtherBody),
        (rfc_9421().with("content-digest", &format!("SHA-256={HASH}")), unreadable("content-digest")),
        (
            rfc_9421().with("content-digest", &format!("sha-256=:{HASH}:, sha-256=:{HASH}:")),
            Fault::NotCanonical("content-digest"),
        ),
    ]);
}
