//! Signatures that leave something out, cover something twice, or cover another value than the
//! request has.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eko_protocol::http_signature::Scheme;
use eko_testkit::World;
use sha2::{Digest as _, Sha256, Sha512};

use crate::draft::{CREATED, DATE, RequestDraft};
use crate::scene::{AttackScene, SCHEMES, like};

/// The name of a case, and the change of the draft before it is signed.
type DraftCase = (&'static str, fn(&mut RequestDraft));

/// Asserts that an envelope is refused with each of these changes, and accepted without any.
async fn assert_refused(scheme: Scheme, cases: &[DraftCase]) {
    let scene = AttackScene::new().await;
    let right = RequestDraft::new(&scene, scheme, like(&scene.eve.actor).to_string());
    assert_eq!(right.send(&scene).await, "202", "the draft is right");
    let envelope = scene.envelope(&scene.eve.actor, 1).to_string();
    for (name, change) in cases {
        let mut draft = RequestDraft::new(&scene, scheme, envelope.clone());
        change(&mut draft);
        assert_eq!(draft.send(&scene).await, "401 bad-signature", "{name}: {draft:?}");
    }
    scene.assert_unchanged("an envelope without a good signature").await;
}

#[tokio::test]
async fn of_draft_cavage() {
    let cases: [DraftCase; 37] = [
        ("no request target", |draft| draft.without("(request-target)")),
        ("no host", |draft| draft.without("host")),
        ("no date", |draft| draft.without("date")),
        ("no digest", |draft| draft.without("digest")),
        ("nothing at all", |draft| draft.covered.clear()),
        ("a header that is not there", |draft| draft.covers("x-not-there", "")),
        ("something unknown", |draft| draft.covers("(response-status)", "200")),
        ("a date twice", |draft| draft.covered.push(("date".into(), DATE.into()))),
        ("two dates", |draft| draft.headers.push(("date".into(), DATE.into()))),
        ("two hosts", |draft| draft.headers.push(("host".into(), "eko.example".into()))),
        ("two digests", |draft| {
            let digest = draft.headers[2].clone();
            draft.headers.push(digest);
        }),
        ("two digests in one", |draft| {
            let digest = draft.headers[2].1.clone();
            draft.says("digest", &format!("{digest},{digest}"));
        }),
        ("a second digest of another body", |draft| {
            let digest = draft.headers[2].1.clone();
            let other = STANDARD.encode(Sha256::digest("x"));
            draft.says("digest", &format!("{digest},sha-256={other}"));
        }),
        ("no digest header", |draft| draft.headers.retain(|(name, _)| name != "digest")),
        ("md5", |draft| draft.says("digest", "md5=XrY7u+Ae7tCTyyK7j1rNww==")),
        ("sha-512", |draft| {
            let digest = STANDARD.encode(Sha512::digest(&draft.body));
            draft.says("digest", &format!("SHA-512={digest}"));
        }),
        ("sha-1", |draft| draft.says("digest", "SHA=Kq5sNclPz7QV2+lfQIuc6R7oRu0=")),
        ("another body", |draft| draft.body = draft.body.replace("c2VjcmV0", "c2VjcmV1")),
        ("one byte more", |draft| draft.body.push(' ')),
        ("a date ahead", |draft| draft.says("date", "Thu, 29 Jan 2026 19:35:01 GMT")),
        ("a date long ago", |draft| draft.says("date", "Thu, 29 Jan 2026 19:24:59 GMT")),
        ("no date at all", |draft| draft.says("date", "now")),
        ("created ahead", |draft| draft.parameters.push_str(",created=1769715301")),
        ("created long ago", |draft| draft.parameters.push_str(",created=1769714699")),
        ("created in no number", |draft| draft.parameters.push_str(r#",created="1e9""#)),
        ("expired", |draft| draft.parameters.push_str(",expires=1769714999")),
        ("created, by the old algorithm", |draft| {
            draft.without("date");
            draft.parameters.push_str(",created=1769715000");
            draft.covers("(created)", "1769715000");
        }),
        ("another host, covered", |draft| draft.covers("host", "other.example")),
        ("another path", |draft| draft.covers("(request-target)", "post /user/bob/inbox")),
        ("another method", |draft| draft.covers("(request-target)", "get /inbox")),
        ("a query", |draft| draft.covers("(request-target)", "post /inbox?x=1")),
        ("rsa-sha512", |draft| draft.replace("rsa-sha256", "rsa-sha512")),
        ("hmac", |draft| draft.replace("rsa-sha256", "hmac-sha256")),
        ("ed25519", |draft| draft.replace("rsa-sha256", "ed25519")),
        ("two key ids", |draft| {
            draft.parameters.push_str(r#",keyId="https://c.example/users/eve#main-key""#)
        }),
        ("two lists", |draft| draft.parameters.push_str(r#",headers="date""#)),
        ("no key id", |draft| draft.parameters = r#"algorithm="rsa-sha256""#.to_owned()),
    ];
    assert_refused(Scheme::Cavage, &cases).await;
}

#[tokio::test]
async fn of_rfc_9421() {
    let cases: [DraftCase; 34] = [
        ("no method", |draft| draft.without("@method")),
        ("no target", |draft| draft.without("@target-uri")),
        ("no digest", |draft| draft.without("content-digest")),
        ("nothing at all", |draft| draft.covered.clear()),
        ("a method twice", |draft| draft.covered.push(("@method".into(), "POST".into()))),
        ("a path without its server", |draft| {
            draft.without("@target-uri");
            draft.covers("@path", "/inbox");
        }),
        ("a server without a path", |draft| {
            draft.without("@target-uri");
            draft.covers("@authority", "eko.example");
        }),
        ("something unknown", |draft| draft.covers("@status", "200")),
        ("a header that is not there", |draft| draft.covers("x-not-there", "")),
        ("two digests", |draft| {
            let digest = draft.headers[2].clone();
            draft.headers.push(digest);
        }),
        ("two digests in one", |draft| {
            let digest = draft.headers[2].1.clone();
            draft.says("content-digest", &format!("{digest}, {digest}"));
        }),
        ("no digest header", |draft| draft.headers.retain(|(name, _)| name != "content-digest")),
        ("another scheme's digest", |draft| {
            let digest = STANDARD.encode(Sha256::digest(&draft.body));
            draft.without("content-digest");
            draft.headers.push(("digest".into(), format!("SHA-256={digest}")));
            draft.covers("digest", &format!("SHA-256={digest}"));
        }),
        ("md5", |draft| draft.says("content-digest", "md5=:XrY7u+Ae7tCTyyK7j1rNww==:")),
        ("sha-512", |draft| {
            let digest = STANDARD.encode(Sha512::digest(&draft.body));
            draft.says("content-digest", &format!("sha-512=:{digest}:"));
        }),
        ("another body", |draft| draft.body = draft.body.replace("c2VjcmV0", "c2VjcmV1")),
        ("created ahead", |draft| draft.replace("1769715000", "1769715301")),
        ("created long ago", |draft| draft.replace("1769715000", "1769714699")),
        ("created in no number", |draft| draft.replace("1769715000", "1769715000.5")),
        ("created never", |draft| draft.replace(";created=1769715000", "")),
        ("expired", |draft| draft.parameters.push_str(";expires=1769714999")),
        ("another server", |draft| draft.covers("@target-uri", "https://other.example/inbox")),
        ("the stage of the gateway", |draft| {
            let stage = "x1y2.execute-api.eu-central-1.amazonaws.com";
            draft.says("host", stage);
            draft.covers("@target-uri", &format!("https://{stage}/prod/inbox"));
        }),
        ("not https", |draft| draft.covers("@target-uri", "http://eko.example/inbox")),
        ("another path", |draft| draft.covers("@target-uri", "https://eko.example/user/bob/inbox")),
        ("another method", |draft| draft.covers("@method", "GET")),
        ("another algorithm of the key", |draft| draft.replace("rsa-v1_5-sha256", "rsa-pss-sha512")),
        ("ed25519", |draft| draft.replace("rsa-v1_5-sha256", "ed25519")),
        ("hmac", |draft| draft.replace("rsa-v1_5-sha256", "hmac-sha256")),
        ("an algorithm that is no text", |draft| draft.replace("\"rsa-v1_5-sha256\"", "1")),
        ("two key ids", |draft| {
            draft.parameters.push_str(r#";keyid="https://c.example/users/eve#main-key""#)
        }),
        ("no key id", |draft| draft.parameters = format!(";created={CREATED}")),
        ("something of a response", |draft| draft.covers("@request-response", "x")),
        ("an unknown parameter", |draft| draft.parameters.push_str(";evil=1")),
    ];
    assert_refused(Scheme::Rfc9421, &cases).await;
}

/// The name of a case, the scheme, and the change of the signature's headers after the draft is
/// signed.
type HeaderCase = (&'static str, Scheme, fn(&mut Vec<(&'static str, String)>));

#[tokio::test]
async fn with_other_headers() {
    let scene = AttackScene::new().await;
    let cases: [HeaderCase; 18] = [
        ("none", Scheme::Cavage, |headers| headers.clear()),
        ("two signatures", Scheme::Cavage, |headers| headers.push(headers[0].clone())),
        ("a second, empty", Scheme::Cavage, |headers| headers.push(("signature", String::new()))),
        ("of zero bytes", Scheme::Cavage, |headers| cut(&mut headers[0].1, "signature=\"", "\"")),
        ("in another header", Scheme::Cavage, |headers| {
            headers[0] = ("authorization", format!("Signature {}", headers[0].1));
        }),
        ("not base64", Scheme::Cavage, |headers| {
            headers[0].1 = headers[0].1.replace("signature=\"", "signature=\"!")
        }),
        ("half of it", Scheme::Cavage, |headers| {
            let half = headers[0].1.len() - 200;
            headers[0].1.truncate(half);
        }),
        ("no input", Scheme::Rfc9421, |headers| drop(headers.remove(0))),
        ("no signature", Scheme::Rfc9421, |headers| drop(headers.remove(1))),
        ("two inputs", Scheme::Rfc9421, |headers| headers.push(headers[0].clone())),
        ("two signatures, 9421", Scheme::Rfc9421, |headers| headers.push(headers[1].clone())),
        ("two labels", Scheme::Rfc9421, |headers| {
            let (input, signature) = (headers[0].1.clone(), headers[1].1.clone());
            headers[0].1 = format!("{input}, {}", input.replace("sig1=", "sig2="));
            headers[1].1 = format!("{signature}, {}", signature.replace("sig1=", "sig2="));
        }),
        ("one label twice", Scheme::Rfc9421, |headers| headers[0].1 = format!("{0}, {0}", headers[0].1)),
        ("another label", Scheme::Rfc9421, |headers| headers[0].1 = headers[0].1.replace("sig1", "sig2")),
        ("an empty list", Scheme::Rfc9421, |headers| cut(&mut headers[0].1, "(", ")")),
        ("of no bytes", Scheme::Rfc9421, |headers| headers[1].1 = "sig1=::".to_owned()),
        ("a text", Scheme::Rfc9421, |headers| headers[1].1 = "sig1=\"x\"".to_owned()),
        ("a component with a parameter", Scheme::Rfc9421, |headers| {
            headers[0].1 = headers[0].1.replace("\"content-digest\"", "\"content-digest\";req");
        }),
    ];
    let body = scene.envelope(&scene.eve.actor, 1).to_string();
    for (name, scheme, change) in cases {
        let request = RequestDraft::new(&scene, scheme, body.clone()).request(&scene, change);
        assert_eq!(scene.send(request).await, "401 bad-signature", "{name}");
    }
    // A request may carry both schemes of its actor. The newer one must be right, whatever the other
    // is.
    let mut request = RequestDraft::new(&scene, Scheme::Cavage, body.clone()).request(&scene, |_| {});
    let input = format!(r#"sig1=("@method");created=1;keyid="{}""#, scene.eve.key_id());
    request.headers_mut().insert("signature-input", input.parse().unwrap());
    assert_eq!(scene.send(request).await, "401 bad-signature");
    scene.assert_unchanged("an envelope without a good signature").await;
}

/// A proxy adds a signature with a key of its own. That of the actor counts, and one that only names
/// a key of the actor is no help.
#[tokio::test]
async fn a_second_signature_by_a_proxy() {
    let scene = AttackScene::new().await;
    let proxied = |number: usize, key: &str| {
        let body = scene.envelope(&scene.eve.actor, number).to_string();
        RequestDraft::new(&scene, Scheme::Rfc9421, body).request(&scene, |headers| {
            headers.push(("signature-input", format!(r#"proxy=("@method");created=1;keyid="{key}""#)));
            headers.push(("signature", "proxy=:AQID:".to_owned()));
        })
    };
    assert_eq!(scene.send(proxied(1, "https://proxy.example/key")).await, "202");
    assert_eq!(scene.send(proxied(2, "proxy")).await, "202");
    // The proxy may sign by the other scheme.
    let body = scene.envelope(&scene.eve.actor, 4).to_string();
    let draft = RequestDraft::new(&scene, Scheme::Cavage, body).request(&scene, |headers| {
        headers.push(("signature-input", r#"proxy=("@method");created=1;keyid="proxy""#.to_owned()));
        headers.push(("signature", "proxy=:AQID:".to_owned()));
    });
    assert_eq!(scene.send(draft).await, "202");
    scene.world.deliver().await;
    let before = scene.world.stored().await;
    for key in [format!("{}#main-key", scene.eve.actor), format!("{}#other", scene.eve.actor)] {
        assert_eq!(scene.send(proxied(3, &key)).await, "401 bad-signature", "{key}");
    }
    assert_eq!(scene.world.stored().await.difference(&before), []);
}

/// Removes the text between two marks.
fn cut(text: &mut String, from: &str, to: &str) {
    let start = text.find(from).unwrap() + from.len();
    let end = start + text[start..].find(to).unwrap();
    text.replace_range(start..end, "");
}

#[tokio::test]
async fn made_for_another_request() {
    let scene = AttackScene::new().await;
    let body = scene.envelope(&scene.eve.actor, 1).to_string();
    for scheme in SCHEMES {
        for (name, signed_for, path) in [
            ("personal at shared", "/user/bob/inbox", "/inbox"),
            ("shared at personal", "/inbox", "/user/bob/inbox"),
            ("another user's", "/user/alice/inbox", "/user/bob/inbox"),
            ("of key packages", "/user/bob/keyPackages", "/inbox"),
            ("upper case", "/user/BOB/inbox", "/user/bob/inbox"),
            ("escaped", "/user/%62ob/inbox", "/user/bob/inbox"),
            ("a query", "/inbox", "/inbox?x=1"),
        ] {
            let mut request = scene.signed_bytes(scheme, signed_for, &scene.eve.actor, body.clone());
            *request.uri_mut() = path.parse().unwrap();
            assert_eq!(scene.send(request).await, "401 bad-signature", "{scheme:?}: {name}");
        }
        // Eve signed a GET, and somebody puts a body under it.
        let mut fetch = RequestDraft::new(&scene, scheme, body.clone());
        match scheme {
            Scheme::Cavage => fetch.covers("(request-target)", "get /inbox"),
            Scheme::Rfc9421 => fetch.covers("@method", "GET"),
        }
        fetch.covered.retain(|(name, _)| !name.ends_with("digest"));
        assert_eq!(fetch.send(&scene).await, "401 bad-signature", "{scheme:?}: a fetch");
        // At Alice's inbox the signature is good, but the envelope is not for her.
        let right = scene.signed_bytes(scheme, "/user/alice/inbox", &scene.eve.actor, body.clone());
        assert_eq!(scene.send(right).await, "422 invalid #/to", "{scheme:?}");
        // Requests of other methods are not authenticated by signatures.
        for (method, expected) in [("GET", "401 unauthenticated"), ("PUT", "405 method-not-allowed")] {
            let mut other = scene.signed_bytes(scheme, "/user/bob/inbox", &scene.eve.actor, body.clone());
            *other.method_mut() = method.parse().unwrap();
            assert_eq!(scene.send(other).await, expected, "{scheme:?}: {method}");
        }
    }
    scene.assert_unchanged("an envelope by another request's signature").await;
}

#[tokio::test]
async fn made_for_another_server_of_ours() {
    let scene = AttackScene::new().await;
    let other = World::at(&scene.internet, "other.example", |_| {}).await;
    let body = like(&scene.eve.actor).to_string();
    for scheme in SCHEMES {
        let url = "https://other.example/inbox";
        let request = scene.eve.signed_bytes(scheme, url, body.clone().into(), scene.world.now_ms());
        assert_eq!(other.transport().json(request.clone()).await.0, 202, "{scheme:?}");
        assert_eq!(scene.send(request.clone()).await, "401 bad-signature", "{scheme:?}");
        // Headers that name this host do not help.
        for name in ["host", "x-forwarded-host", "forwarded", "x-original-host"] {
            let mut request = request.clone();
            request.headers_mut().insert(name, "eko.example".parse().unwrap());
            assert_eq!(scene.send(request.clone()).await, "401 bad-signature", "{scheme:?}: {name}");
            request.headers_mut().insert("host", "other.example".parse().unwrap());
            assert_eq!(scene.send(request).await, "401 bad-signature", "{scheme:?}: {name}");
        }
    }
    scene.assert_unchanged("an activity for another server").await;
}
