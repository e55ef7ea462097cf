//! Tests of the issuer's router, as a client and a relying party use it.

use std::sync::atomic::{AtomicI64, Ordering};

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tower::ServiceExt;
use url::{Url, form_urlencoded};

use super::*;

const URL: &str = "http://localhost:8080/dev/oidc";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// An issuer with a clock that the test moves.
struct IssuerWorld {
    router: Router,
    now: Arc<AtomicI64>,
}

fn world() -> IssuerWorld {
    world_in(None)
}

fn world_in(dir: Option<&Path>) -> IssuerWorld {
    let now = Arc::new(AtomicI64::new(1_800_000_000_000));
    let clock = Arc::clone(&now);
    let clock: IssuerClock = Arc::new(move || clock.load(Ordering::SeqCst));
    IssuerWorld { router: router(DevelopmentIssuer::new(URL, "eko", dir, clock).unwrap()), now }
}

impl IssuerWorld {
    async fn get(&self, path: &str) -> Response {
        let request = Request::get(path).body(Body::empty()).unwrap();
        self.router.clone().oneshot(request).await.unwrap()
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> Response {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = Request::post(path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.router.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap()
    }

    /// Signs in on the page, and returns the code of the redirect.
    async fn code(&self) -> String {
        let back = self.post(&authorize(&[]), &[("name", "Alice")]).await;
        assert_eq!(back.status(), StatusCode::SEE_OTHER);
        parameter(&back, "code").unwrap()
    }

    async fn claims(&self, id_token: &str) -> Value {
        let jwks = json_of(self.get("/jwks").await).await;
        let key = &jwks["keys"][0];
        let header = decode_header(id_token).unwrap();
        assert_eq!((header.alg, header.kid.as_deref()), (Algorithm::ES256, key["kid"].as_str()));
        let part = |name: &str| key[name].as_str().unwrap().to_owned();
        let key = DecodingKey::from_ec_components(&part("x"), &part("y")).unwrap();
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_audience(&["eko"]);
        validation.set_issuer(&[URL]);
        validation.validate_exp = false;
        decode::<Value>(id_token, &key, &validation).unwrap().claims
    }
}

/// Returns the URL of an authorization request in which some parameters are replaced.
fn authorize(replaced: &[(&str, &str)]) -> String {
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
    let usual = [
        ("response_type", "code"),
        ("client_id", "eko"),
        ("redirect_uri", "http://127.0.0.1:5000/cb?a=b"),
        ("scope", "openid profile"),
        ("state", "s&t"),
        ("nonce", "n-1"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    let mut query = form_urlencoded::Serializer::new("/authorize?".to_owned());
    for (name, value) in usual {
        if !replaced.iter().any(|(replaced, _)| *replaced == name) {
            query.append_pair(name, value);
        }
    }
    query.extend_pairs(replaced).finish()
}

fn token<'a>(code: &'a str, verifier: &'a str, redirect_uri: &'a str) -> [(&'a str, &'a str); 5] {
    [
        ("grant_type", "authorization_code"),
        ("client_id", "eko"),
        ("code", code),
        ("code_verifier", verifier),
        ("redirect_uri", redirect_uri),
    ]
}

fn parameter(response: &Response, name: &str) -> Option<String> {
    let location = Url::parse(response.headers()[header::LOCATION].to_str().unwrap()).unwrap();
    location.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

async fn text_of(response: Response) -> String {
    String::from_utf8(to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap()
}

async fn json_of(response: Response) -> Value {
    serde_json::from_str(&text_of(response).await).unwrap()
}

#[tokio::test]
async fn discovery_names_the_endpoints_under_the_issuer() {
    let found = json_of(world().get("/.well-known/openid-configuration").await).await;
    assert_eq!(found["issuer"], URL);
    assert_eq!(found["jwks_uri"], format!("{URL}/jwks"));
    assert_eq!(found["id_token_signing_alg_values_supported"], json!(["ES256"]));
    assert_eq!(found["code_challenge_methods_supported"], json!(["S256"]));
}

#[tokio::test]
async fn a_name_on_the_page_becomes_an_id_token() {
    let world = world();
    let page = world.get(&authorize(&[])).await;
    assert_eq!(page.status(), StatusCode::OK);
    assert_eq!(page.headers()["cache-control"], "no-store");
    let page = text_of(page).await;
    assert!(page.contains("development issuer") && page.contains("no passwords"));

    let back = world.post(&authorize(&[]), &[("name", "Alice")]).await;
    assert_eq!(parameter(&back, "a").as_deref(), Some("b"));
    assert_eq!(parameter(&back, "state").as_deref(), Some("s&t"));
    assert_eq!(parameter(&back, "iss").as_deref(), Some(URL));
    let code = parameter(&back, "code").unwrap();
    let answer = world.post("/token", &token(&code, VERIFIER, "http://127.0.0.1:5000/cb?a=b")).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let answer = json_of(answer).await;
    let mut claims = world.claims(answer["id_token"].as_str().unwrap()).await;
    assert!(claims["jti"].take().is_string());
    let expected = json!({
        "iss": URL, "sub": "dev|alice", "aud": "eko", "auth_time": 1_800_000_000,
            "iat": 1_800_000_000, "exp": 1_800_000_600, "jti": null,
        "nonce": "n-1", "preferred_username": "alice", "email": "alice@eko.localhost", "email_verified": true,
    });
    assert_eq!(claims, expected);
}

#[tokio::test]
async fn a_script_needs_only_a_name() {
    let world = world();
    let form = [("grant_type", "password"), ("client_id", "eko"), ("username", "bob"), ("password", "x")];
    for form in [&form[..], &form[..3]] {
        let answer = json_of(world.post("/token", form).await).await;
        assert_eq!(world.claims(answer["id_token"].as_str().unwrap()).await["sub"], "dev|bob");
        assert_eq!(answer["token_type"], "Bearer");
    }
}

#[tokio::test]
async fn a_code_is_for_one_use_one_minute_and_who_asked() {
    let world = world();
    let uri = "http://127.0.0.1:5000/cb?a=b";
    let used = world.code().await;
    assert_eq!(world.post("/token", &token(&used, VERIFIER, uri)).await.status(), StatusCode::OK);
    let late = world.code().await;
    world.now.fetch_add(60_000, Ordering::SeqCst);
    let refused = [
        (used, VERIFIER, uri),
        (late, VERIFIER, uri),
        ("made-up".to_owned(), VERIFIER, uri),
        (world.code().await, "another-verifier-of-forty-three-characters-x", uri),
        (world.code().await, VERIFIER, "http://127.0.0.1:5000/other"),
    ];
    for (code, verifier, uri) in refused {
        let answer = world.post("/token", &token(&code, verifier, uri)).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        assert_eq!(answer.headers()["cache-control"], "no-store");
        assert_eq!(json_of(answer).await["error"], "invalid_grant");
        let again = world.post("/token", &token(&code, VERIFIER, "http://127.0.0.1:5000/cb?a=b")).await;
        assert_eq!(json_of(again).await["error"], "invalid_grant", "a refused code is used up");
    }
}

#[tokio::test]
async fn a_bad_token_request_is_told_apart() {
    let world = world();
    type Form<'a> = &'a [(&'a str, &'a str)];
    let cases: [(Form<'_>, u16, &str); 6] = [
        (&[], 401, "invalid_client"),
        (&[("grant_type", "password"), ("client_id", "other"), ("username", "bob")], 401, "invalid_client"),
        (&[("client_id", "eko")], 400, "invalid_request"),
        (&[("client_id", "eko"), ("client_id", "eko")], 400, "invalid_request"),
        (&[("client_id", "eko"), ("grant_type", "client_credentials")], 400, "unsupported_grant_type"),
        (&[("client_id", "eko"), ("grant_type", "password"), ("username", "<b>")], 400, "invalid_grant"),
    ];
    for (form, status, error) in cases {
        let answer = world.post("/token", form).await;
        assert_eq!(answer.status(), status);
        assert_eq!(json_of(answer).await["error"], error);
    }
    let json =
        Request::post("/token").header(header::CONTENT_TYPE, "application/json").body(Body::from("{}"));
    let answer = world.router.clone().oneshot(json.unwrap()).await.unwrap();
    assert_eq!(json_of(answer).await["error"], "invalid_request");
}

#[tokio::test]
async fn a_client_that_cannot_be_trusted_gets_no_redirect() {
    let world = world();
    for replaced in [
        ("client_id", "other"),
        ("redirect_uri", "https://evil.example/cb"),
        ("redirect_uri", "javascript:alert(1)"),
        ("redirect_uri", ""),
    ] {
        for answer in [
            world.get(&authorize(&[replaced])).await,
            world.post(&authorize(&[replaced]), &[("name", "a")]).await,
        ] {
            assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{replaced:?}");
            assert!(!answer.headers().contains_key(header::LOCATION));
        }
    }
}

#[tokio::test]
async fn a_client_hears_what_is_wrong_with_its_request() {
    let world = world();
    for (name, value, error) in [
        ("response_type", "token", "unsupported_response_type"),
        ("scope", "profile", "invalid_scope"),
        ("code_challenge", "", "invalid_request"),
        ("code_challenge", "short", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("prompt", "none", "login_required"),
    ] {
        let answer = world.get(&authorize(&[(name, value)])).await;
        assert_eq!(parameter(&answer, "error").as_deref(), Some(error), "{name}");
        assert_eq!(parameter(&answer, "state").as_deref(), Some("s&t"));
    }
}

#[tokio::test]
async fn what_is_echoed_is_escaped() {
    let world = world();
    let evil = "\"'><script>&";
    let hint = text_of(world.get(&authorize(&[("login_hint", evil)])).await).await;
    let answer = world.post(&authorize(&[]), &[("name", evil)]).await;
    assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
    for page in [hint, text_of(answer).await] {
        assert!(page.contains("value=\"&quot;&#39;&gt;&lt;script&gt;&amp;\""), "{page}");
        assert!(!page.contains("<script"));
    }
}

#[tokio::test]
async fn another_site_cannot_send_the_form() {
    let request = Request::post(authorize(&[])).header("sec-fetch-site", "cross-site");
    let answer = world().router.oneshot(request.body(Body::from("name=mallory")).unwrap()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_key_outlives_a_restart_and_is_its_owners() {
    let dir = tempfile::tempdir().unwrap();
    let first = json_of(world_in(Some(dir.path())).get("/jwks").await).await;
    let second = json_of(world_in(Some(dir.path())).get("/jwks").await).await;
    assert_eq!(first, second);
    assert_ne!(first, json_of(world().get("/jwks").await).await);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(dir.path().join("issuer-key.p8")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    std::fs::write(dir.path().join("issuer-key.p8"), "not a key").unwrap();
    let clock: IssuerClock = Arc::new(|| 0);
    let error = DevelopmentIssuer::new(URL, "eko", Some(dir.path()), clock).err().unwrap();
    assert!(error.to_string().contains("holds no P-256 key"), "{error}");
}
