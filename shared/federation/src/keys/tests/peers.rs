//! Requests that other libraries signed (made by `tests/peers/vectors.py`), read and verified.

use eko_protocol::address::Origin;
use eko_protocol::http_signature::{ReceivedRequest, Scheme, read_claim};
use serde_json::Value;
use url::{Position, Url};

use super::*;

const WINDOW_MS: i64 = 300_000;

/// Returns the fault of a request, or the result of the verification with the key.
fn outcome(request: &Value, document: &Value, key: &PublicKey) -> String {
    let url = Url::parse(request["url"].as_str().unwrap()).unwrap();
    let headers: Vec<(&str, &str)> = request["headers"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str().unwrap()))
        .collect();
    let received = ReceivedRequest {
        method: request["method"].as_str().unwrap(),
        target: &url[Position::BeforePath..],
        headers: &headers,
        body: request["body"].as_str().unwrap().as_bytes(),
    };
    let origin = Origin::parse(document["origin"].as_str().unwrap()).unwrap();
    let key_id = document["keyId"].as_str().unwrap();
    let actor = key_id.split('#').next().unwrap();
    match read_claim(&received, &origin, actor, document["nowMs"].as_i64().unwrap(), WINDOW_MS) {
        Err(fault) => fault.to_string(),
        Ok(claim) => {
            let scheme = if request["scheme"] == "cavage" { Scheme::Cavage } else { Scheme::Rfc9421 };
            assert_eq!((claim.scheme, Some(claim.key_id.as_str())), (scheme, document["keyId"].as_str()));
            let verified = key.verify(&claim.base, &claim.signature);
            if verified { "verified" } else { "not verified" }.to_owned()
        }
    }
}

#[test]
fn what_other_libraries_sign() {
    let document: Value =
        serde_json::from_str(include_str!("../../../testdata/http-signatures.json")).unwrap();
    let key = PublicKey::from_pem(include_str!("../../../testdata/keys/rsa.pem")).unwrap();
    let other = PublicKey::from_pem(include_str!("../../../testdata/keys/rfc9421.pkcs1.pem")).unwrap();
    for request in document["requests"].as_array().unwrap() {
        assert_eq!(outcome(request, &document, &key), request["outcome"], "{request:#}");
        assert_ne!(outcome(request, &document, &other), "verified", "{request:#}");
    }
}
