//! Signatures in both schemes: sample requests, and the tests by topic.

use super::*;

mod limits;
mod published;
mod refused;
mod requested;
mod round_trip;
mod several;

pub(super) const NOW_MS: i64 = 1_795_392_000_000;
pub(super) const DATE: &str = "Mon, 23 Nov 2026 00:00:00 GMT";
pub(super) const WINDOW_MS: i64 = 300_000;
pub(super) const TARGET: &str = "/user/bob/inbox";
pub(super) const ACTOR: &str = "https://b.example/user/alice";
pub(super) const KEY_ID: &str = "https://b.example/user/alice#main-key";
pub(super) const BODY: &[u8] = br#"{"hello": "world"}"#;
pub(super) const HASH: &str = "X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=";

/// A signed request, which a test changes in one place.
#[derive(Debug, Clone)]
pub(super) struct SampleRequest {
    pub(super) method: &'static str,
    pub(super) target: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl SampleRequest {
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self = self.without(name);
        self.and(name, value)
    }

    pub(super) fn and(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self
    }

    /// Replaces a text in all header values. At least one must contain it.
    pub(super) fn replaced(mut self, from: &str, to: &str) -> Self {
        assert!(self.headers.iter().any(|(_, value)| value.contains(from)), "{from}");
        for (_, value) in &mut self.headers {
            *value = value.replace(from, to);
        }
        self
    }

    pub(super) fn read(&self) -> Result<SignatureClaim, SignatureFault> {
        self.read_at("https://a.example", NOW_MS)
    }

    pub(super) fn read_at(&self, origin: &str, now_ms: i64) -> Result<SignatureClaim, SignatureFault> {
        let headers: Vec<_> = self.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let request = ReceivedRequest {
            method: self.method,
            target: &self.target,
            headers: &headers,
            body: &self.body,
        };
        read_claim(&request, &Origin::parse(origin).unwrap(), ACTOR, now_ms, WINDOW_MS)
    }

    pub(super) fn base(&self) -> String {
        String::from_utf8(self.read().unwrap().base).unwrap()
    }
}

fn sent(headers: &[(&str, &str)]) -> SampleRequest {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    SampleRequest { method: "POST", target: TARGET.to_owned(), headers, body: BODY.to_vec() }
}

/// Returns a request of another server, signed with draft-cavage. Its RSA signature is wrong, which
/// these tests do not check.
pub(super) fn cavage() -> SampleRequest {
    let signature = format!(
        r#"keyId="{KEY_ID}",algorithm="rsa-sha256",headers="(request-target) host date digest",signature="AAEC""#
    );
    sent(&[
        ("host", "a.example"),
        ("date", DATE),
        ("digest", &format!("SHA-256={HASH}")),
        ("content-type", "application/activity+json"),
        ("signature", &signature),
    ])
}

pub(super) fn rfc_9421() -> SampleRequest {
    let input = format!(
        r#"sig1=("@method" "@target-uri" "content-digest");created=1795392000;keyid="{KEY_ID}";alg="rsa-v1_5-sha256""#
    );
    sent(&[
        ("host", "a.example"),
        ("content-digest", &format!("sha-256=:{HASH}:")),
        ("content-type", "application/activity+json"),
        ("signature-input", &input),
        ("signature", "sig1=:AAEC:"),
    ])
}

#[test]
fn a_claim_of_each_scheme() {
    let claim = cavage().read().unwrap();
    assert_eq!(
        (claim.scheme, claim.key_id.as_str(), claim.signature),
        (Scheme::Cavage, KEY_ID, vec![0, 1, 2])
    );
    assert_eq!(
        cavage().base(),
        format!("(request-target): post {TARGET}\nhost: a.example\ndate: {DATE}\ndigest: SHA-256={HASH}")
    );
    let claim = rfc_9421().read().unwrap();
    assert_eq!(
        (claim.scheme, claim.key_id.as_str(), claim.signature),
        (Scheme::Rfc9421, KEY_ID, vec![0, 1, 2])
    );
    assert_eq!(
        rfc_9421().base(),
        format!(
            "\"@method\": POST\n\"@target-uri\": https://a.example{TARGET}\n\"content-digest\": sha-256=:{HASH}:\n\
             \"@signature-params\": (\"@method\" \"@target-uri\" \"content-digest\");created=1795392000;\
             keyid=\"{KEY_ID}\";alg=\"rsa-v1_5-sha256\""
        )
    );
}

#[test]
fn the_server_meant_is_ours_whatever_a_gateway_says() {
    // The gateway took the host away, or put its own in place.
    assert!(cavage().without("host").base().contains("\nhost: a.example\n"));
    for host in ["x1.execute-api.eu-central-1.amazonaws.com", "b.example", "a.example:443", "A.Example", ""] {
        assert!(cavage().with("host", host).base().contains("\nhost: a.example\n"), "{host}");
    }
    let stage = rfc_9421().with("host", "x1.execute-api.eu-central-1.amazonaws.com");
    assert!(stage.base().contains("\"@target-uri\": https://a.example/user"));
    let parts = r#""@authority" "@path" "@scheme""#;
    let parts = stage.replaced(r#""@target-uri""#, parts).base();
    assert!(parts.contains("\"@authority\": a.example\n\"@path\": /user/bob/inbox\n\"@scheme\": https\n"));
    // Local mode.
    let local = cavage().with("host", "LOCALHOST:8080").read_at("http://localhost:8080", NOW_MS).unwrap();
    assert!(String::from_utf8(local.base).unwrap().contains("\nhost: localhost:8080\n"));
}

#[test]
fn other_ways_of_saying_the_same() {
    for changed in [
        cavage().replaced("rsa-sha256", "hs2019"),
        cavage().replaced(r#"algorithm="rsa-sha256","#, ""),
        cavage().replaced("\",", "\" ,\t"),
        cavage().replaced("(request-target) host", "(request-target)  Host"),
        cavage().replaced(r#",headers"#, r#",opaque="x",version=2,headers"#),
        cavage().replaced("date digest", "date digest content-type"),
        cavage().replaced(r#",headers"#, r#",created=1795392000,expires="1795392000",headers"#),
        cavage().without("authorization").and("authorization", "Signature x"),
        rfc_9421().replaced("sig1=", "sig-b22="),
        rfc_9421().replaced(r#";alg="rsa-v1_5-sha256""#, ""),
        rfc_9421().replaced(r#";alg="#, r#"; expires=1795392000;nonce="a\"b \\";tag="x";alg="#),
        rfc_9421().replaced(r#"("@method" "#, r#"(  "@method"   "#),
        rfc_9421().replaced(r#""content-digest""#, r#""content-digest" "host" "content-type""#),
    ] {
        assert_eq!(changed.read().map(|claim| claim.key_id), Ok(KEY_ID.to_owned()), "{changed:?}");
    }
    let times = cavage()
        .replaced("rsa-sha256", "hs2019")
        .replaced(" date ", " (created) (expires) ")
        .replaced(",headers", ",created=1795392000,expires=1795392001,headers");
    assert!(times.without("date").base().contains("\n(created): 1795392000\n(expires): 1795392001\n"));
}

/// Gateways and libraries send a list in one line or in several.
#[test]
fn a_list_may_have_several_lines() {
    let digests =
        |first: &str, second: &str| rfc_9421().with("content-digest", first).and("content-digest", second);
    let (own, other) = (format!("sha-256=:{HASH}:"), "sha-512=:AAAA:");
    assert!(digests(&own, other).base().contains(&format!("\"content-digest\": {own}, {other}\n")));
    assert!(digests(other, &own).base().contains(&format!("\"content-digest\": {other}, {own}\n")));
    assert_eq!(digests(&own, &own).read(), Err(SignatureFault::NotCanonical("content-digest")));
    assert_eq!(digests(other, other).read(), Err(SignatureFault::NotCanonical("content-digest")));
    let digests = cavage().and("digest", "SHA-512=AAAA").base();
    assert!(digests.ends_with(&format!("\ndigest: SHA-256={HASH}, SHA-512=AAAA")), "{digests}");
    let lines = cavage().replaced(" digest", " digest x-a").and("x-a", "1").and("x-a", "2").base();
    assert!(lines.ends_with("\nx-a: 1, 2"), "{lines}");
    let lines = rfc_9421().replaced(r#" "content-digest""#, r#" "content-digest" "x-a""#);
    let lines = lines.and("x-a", "1").and("x-a", "2").base();
    assert!(lines.contains("\n\"x-a\": 1, 2\n"), "{lines}");
}

#[test]
fn as_much_as_is_allowed() {
    let longest = "x".repeat(crate::limits::MAX_ID_BYTES);
    // 1024 bytes in base64.
    let signature = format!("{}AA==", "AAAA".repeat(341));
    for sent in [cavage(), rfc_9421()] {
        let claim = sent.clone().replaced(KEY_ID, &longest).read().unwrap();
        assert_eq!(claim.key_id, longest);
        let one_more = format!("{longest}x");
        assert_eq!(sent.clone().replaced(KEY_ID, &one_more).read(), Err(SignatureFault::KeyId));
        let claim = sent.clone().replaced("AAEC", &signature).read().unwrap();
        assert_eq!(claim.signature.len(), MAX_SIGNATURE_BYTES);
        let one_more = signature.replace("AA==", "AAA=");
        assert_eq!(sent.replaced("AAEC", &one_more).read(), Err(SignatureFault::Signature));
    }
    // Both samples cover some components already.
    let covering = |sent: SampleRequest, last: &str, quote: &str, more: usize| {
        let names = (0..more).map(|n| format!("x-{n}"));
        let sent = names.clone().fold(sent, |sent, name| sent.and(&name, "1"));
        let all: String = names.map(|name| format!(" {quote}{name}{quote}")).collect();
        sent.replaced(last, &format!("{last}{all}")).read().map(drop)
    };
    let of_cavage = |more| covering(cavage(), " digest", "", more);
    assert_eq!(of_cavage(MAX_COVERED - 4), Ok(()));
    assert_eq!(of_cavage(MAX_COVERED - 3), Err(SignatureFault::TooMuchCovered));
    let of_rfc_9421 = |more| covering(rfc_9421(), r#" "content-digest""#, "\"", more);
    assert_eq!(of_rfc_9421(MAX_COVERED - 3), Ok(()));
    assert_eq!(of_rfc_9421(MAX_COVERED - 2), Err(SignatureFault::TooMuchCovered));
}

/// A text is canonical if nothing is lost by reading it, whatever its strings contain.
#[test]
fn strings_may_contain_anything() {
    for nonce in [r#"a b"#, r#"a\" b"#, r#"a\\"#, r#"\\\" \\"#] {
        let sent = rfc_9421().replaced(";alg=", &format!(r#";  nonce="{nonce}";  tag="x";  alg="#));
        assert_eq!(sent.read().map(drop), Ok(()), "{nonce}");
        for second in [nonce, "x"] {
            let twice = rfc_9421().replaced(";alg=", &format!(r#";nonce="{nonce}";nonce="{second}";alg="#));
            assert_eq!(twice.read(), Err(SignatureFault::NotCanonical("signature-input")), "{nonce}");
        }
    }
}

#[test]
fn queries_are_covered() {
    let mut query = rfc_9421();
    query.target = "/user/bob?page=2&x=%2f".to_owned();
    assert!(query.base().contains("\"@target-uri\": https://a.example/user/bob?page=2&x=%2f\n"));
    let parts = query.clone().replaced(r#""@target-uri""#, r#""@authority" "@path""#);
    assert_eq!(parts.read(), Err(SignatureFault::NotCovered("@query")));
    let parts = parts.replaced(r#""@path""#, r#""@path" "@query""#);
    assert!(parts.base().contains("\"@path\": /user/bob\n\"@query\": ?page=2&x=%2f\n"));
    let parts = query.replaced(r#""@target-uri""#, r#""@authority" "@request-target""#);
    assert!(parts.base().contains("\"@request-target\": /user/bob?page=2&x=%2f\n"));
    // RFC 9421, section 2.2.7: no query at all is `?`.
    let none = rfc_9421().replaced(r#""@target-uri""#, r#""@target-uri" "@query""#);
    assert!(none.base().contains("\"@query\": ?\n"));
    let mut query = cavage();
    query.target = "/user/bob?page=2".to_owned();
    assert!(query.base().starts_with("(request-target): post /user/bob?page=2\n"));
}

#[test]
fn fetches_need_no_digest() {
    let mut get = cavage().without("digest").replaced(" digest", "");
    (get.method, get.body) = ("GET", Vec::new());
    assert_eq!(get.base(), format!("(request-target): get {TARGET}\nhost: a.example\ndate: {DATE}"));
    let mut get = rfc_9421().without("content-digest").replaced(r#" "content-digest""#, "");
    (get.method, get.body) = ("GET", Vec::new());
    assert!(get.read().is_ok());
    // Unless there is content after all.
    get.body = BODY.to_vec();
    assert_eq!(get.read(), Err(SignatureFault::NotCovered("content-digest")));
}
