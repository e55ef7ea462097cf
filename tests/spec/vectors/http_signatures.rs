//! Requests signed by both schemes, with the signed bytes.

use eko_federation::keys::{PublicKey, SigningKey};
use eko_protocol::http_signature::{OutgoingRequest, Scheme, prepare};
use eko_testkit::START_MS;
use serde_json::{Map, Value, json};
use url::Url;

use super::text;
use crate::page::path;

const KEY_ID: &str = "https://b.example/user/bob#main-key";

pub(super) fn vectors() -> Value {
    let file = "shared/federation/testdata/keys/rsa.private.pem";
    let key = SigningKey::from_pem(&std::fs::read_to_string(path(file)).unwrap()).unwrap();
    let body = r#"{"type":"Create","summary":"ä ✓"}"#;
    let mut requests = Vec::new();
    for (name, scheme) in [("rfc9421", Scheme::Rfc9421), ("cavage", Scheme::Cavage)] {
        for (method, url, body) in [
            ("POST", "https://eko.example/user/alice/inbox", Some(body)),
            ("GET", "https://eko.example/user/alice", None),
        ] {
            let target = Url::parse(url).unwrap();
            let request =
                OutgoingRequest { method, url: &target, body: body.map(str::as_bytes), key_id: KEY_ID };
            let request = prepare(scheme, &request, START_MS).unwrap();
            let base = request.base().to_vec();
            let signature = key.sign(&base).unwrap();
            assert!(PublicKey::from_pem(key.public_pem()).unwrap().verify(&base, &signature));
            let headers = request.into_headers(&signature).into_iter();
            let headers: Map<String, Value> =
                headers.map(|(name, value)| (name.to_owned(), Value::from(value))).collect();
            requests.push(json!({
                "scheme": name, "method": method, "url": url, "body": body, "signed": text(&base), "headers": headers,
            }));
        }
    }
    json!({
        "nowMs": START_MS,
        "keyId": KEY_ID,
        "privateKeyFile": file,
        "publicKeyPem": key.public_pem(),
        "requests": requests,
    })
}
