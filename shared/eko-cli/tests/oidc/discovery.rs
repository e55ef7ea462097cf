//! Tests of discovery documents and token answers, over a transport with prepared answers.

use eko_cli::oidc::{IssuerMetadata, OidcError, RelyingParty};
use eko_client::transport::Bytes;
use eko_client::{Environment, Transport, TransportError};
use http::{Request, Response, StatusCode};
use serde_json::{Value, json};

/// An issuer with a prepared discovery document and a prepared token answer.
pub(crate) struct CannedIssuer {
    status: StatusCode,
    document: Value,
    token: Value,
}

impl Transport for CannedIssuer {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let is_discovery = request.uri().path().ends_with("/.well-known/openid-configuration");
        let body = if is_discovery { &self.document } else { &self.token };
        let answer = Response::builder().status(self.status).header("content-type", "application/json");
        Ok(answer.body(Bytes::from(body.to_string())).unwrap())
    }
}

const ISSUER: &str = "https://issuer.example/realm";

fn document() -> Value {
    json!({
        "issuer": ISSUER,
        "authorization_endpoint": "https://issuer.example/realm/authorize",
        "token_endpoint": "https://tokens.example/token",
    })
}

pub(crate) fn canned(document: Value) -> CannedIssuer {
    CannedIssuer { status: StatusCode::OK, document, token: Value::Null }
}

async fn discover(url: &str, document: Value) -> Result<IssuerMetadata, OidcError> {
    IssuerMetadata::discover(&canned(document), url).await
}

#[tokio::test]
async fn a_real_issuer() {
    let issuer = discover(ISSUER, document()).await.unwrap();
    assert_eq!(issuer.token_endpoint, "https://tokens.example/token");
    assert!(!issuer.names_itself_in_answers && !issuer.asks_for_no_password());
    // The password grant alone makes no development issuer.
    let mut with_passwords = document();
    with_passwords["grant_types_supported"] = json!(["authorization_code", "password"]);
    assert!(!discover(ISSUER, with_passwords).await.unwrap().asks_for_no_password());
}

#[tokio::test]
async fn what_cannot_be_signed_in_at() {
    let with = |member: &str, value: Value| {
        let mut document = document();
        document[member] = value;
        document
    };
    for (url, document) in [
        ("http://issuer.example", document()),
        ("ftp://localhost", document()),
        ("", document()),
        ("https://other.example", document()),
        ("https://issuer.example/realm/", document()),
        (ISSUER, with("token_endpoint", json!("http://tokens.example/token"))),
        (ISSUER, with("authorization_endpoint", json!("http://localhost/authorize"))),
        (ISSUER, with("authorization_endpoint", json!("javascript:alert(1)"))),
        (ISSUER, with("authorization_endpoint", Value::Null)),
        (ISSUER, json!([])),
    ] {
        let refused = discover(url, document.clone()).await.unwrap_err();
        assert!(matches!(refused, OidcError::NotAnIssuer { .. }), "{url} {document}: {refused}");
    }
    let elsewhere = CannedIssuer { status: StatusCode::NOT_FOUND, ..canned(document()) };
    assert!(matches!(IssuerMetadata::discover(&elsewhere, ISSUER).await, Err(OidcError::NotAnIssuer { .. })));
    // One that fails is worth another attempt.
    let unwell = CannedIssuer { status: StatusCode::SERVICE_UNAVAILABLE, ..canned(document()) };
    assert!(matches!(IssuerMetadata::discover(&unwell, ISSUER).await, Err(OidcError::Busy { .. })));
}

#[tokio::test]
async fn a_local_issuer_stays_on_this_machine() {
    let local = |token: &str| {
        json!({
            "issuer": "http://localhost:8080/dev/oidc",
            "authorization_endpoint": "http://localhost:8080/dev/oidc/authorize",
            "token_endpoint": token,
            "grant_types_supported": ["authorization_code", "password"],
        })
    };
    let url = "http://localhost:8080/dev/oidc";
    let issuer = discover(url, local("http://127.0.0.1:8080/dev/oidc/token")).await.unwrap();
    assert!(issuer.asks_for_no_password());
    let refused = discover(url, local("http://tokens.example/token")).await.unwrap_err();
    assert!(matches!(refused, OidcError::NotAnIssuer { .. }), "{refused}");
}

#[tokio::test]
async fn nobody_there() {
    let http = eko_client::HttpTransport::new().unwrap();
    let refused = IssuerMetadata::discover(&http, "http://127.0.0.1:9").await.unwrap_err();
    assert!(matches!(refused, OidcError::Unreachable { .. }), "{refused}");
}

/// Returns the error of a sign-in by name whose token answer is this.
async fn answered(token: Value) -> OidcError {
    let transport = CannedIssuer { token, ..canned(document()) };
    let environment = Environment::system();
    let party = RelyingParty::discover(&transport, &environment, ISSUER, "eko").await.unwrap();
    party.by_name("alice", "c0ffee").await.unwrap_err()
}

#[tokio::test]
async fn answers_that_hold_no_token_for_us() {
    let refused = answered(json!({ "access_token": "a", "token_type": "Bearer" })).await;
    assert!(refused.to_string().contains("no id_token"), "{refused}");
    let refused = answered(json!({ "id_token": "a.b.c" })).await;
    assert!(matches!(refused, OidcError::NotAnIssuer { .. }), "{refused}");
}
