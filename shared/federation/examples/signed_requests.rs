//! Prints requests that are signed in both schemes, as JSON. Other libraries verify them
//! (`tests/peers/verify.py`). The argument is the time in epoch milliseconds.

use std::error::Error;

use eko_federation::keys::SigningKey;
use eko_protocol::http_signature::{OutgoingRequest, Scheme, prepare};
use serde_json::{Map, Value, json};
use url::Url;

const KEY_ID: &str = "https://a.example/user/bob#main-key";

const REQUESTS: [(&str, &str, Option<&str>); 5] = [
    ("POST", "https://b.example/user/alice/inbox", Some(r#"{"type":"Create","summary":"ä ✓"}"#)),
    ("POST", "https://b.example:8443/inbox", Some("{}")),
    ("POST", "http://127.0.0.1:8080/actor/inbox", Some("{}")),
    ("GET", "https://b.example/user/alice", None),
    ("GET", "https://b.example/outbox?page=2&x=%2F", None),
];

fn main() -> Result<(), Box<dyn Error>> {
    let now_ms = std::env::args().nth(1).ok_or("the time in epoch milliseconds, please")?.parse()?;
    let key = SigningKey::from_pem(include_str!("../testdata/keys/rsa.private.pem"))?;
    let mut requests = Vec::new();
    for (scheme, name) in [(Scheme::Cavage, "cavage"), (Scheme::Rfc9421, "rfc9421")] {
        for (method, url, body) in REQUESTS {
            let target = Url::parse(url)?;
            let request =
                OutgoingRequest { method, url: &target, body: body.map(str::as_bytes), key_id: KEY_ID };
            let request = prepare(scheme, &request, now_ms)?;
            let signature = key.sign(request.base())?;
            let headers = request.into_headers(&signature).into_iter();
            let headers: Map<String, Value> = headers.map(|(n, v)| (n.to_owned(), Value::from(v))).collect();
            let body = body.unwrap_or_default();
            requests.push(json!({
                "scheme": name, "method": method, "url": url, "headers": headers, "body": body,
            }));
        }
    }
    let document = json!({"keyId": KEY_ID, "publicKeyPem": key.public_pem(), "requests": requests});
    println!("{}", serde_json::to_string_pretty(&document)?);
    Ok(())
}
