//! A false issuer that sends the browser on to a true one, to get the code of the true one (the mix-up
//! of RFC 9700, section 4.4). The true one sends no `iss`, so that only redirect paths tell them apart.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Query, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Json, Redirect, Response};
use axum::routing::{get, post};
use eko_cli::oidc::{BrowserSignIn, RelyingParty};
use eko_client::{Environment, HttpTransport};
use eko_local::issuer::{DevelopmentIssuer, PATH, router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use url::Url;

use super::browser::{NONCE, WAY};
use super::test_issuer::{AUDIENCE, claims, get as load, parameter, sign_in};

/// The path of the redirect URI that the operator of the true issuer has registered.
type RegisteredPath = Arc<OnceLock<String>>;

/// Starts an issuer that sends no `iss` in its answers, and knows one path of loopback redirects.
async fn without_iss() -> (String, RegisteredPath) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}{PATH}", listener.local_addr().unwrap());
    let clock = Environment::system().clock;
    let issuer = DevelopmentIssuer::new(&url, AUDIENCE, None, Arc::new(move || clock())).unwrap();
    let registered = RegisteredPath::default();
    let plain = from_fn_with_state(Arc::clone(&registered), as_plain_issuer);
    let app = Router::new().nest(PATH, router(issuer).layer(plain));
    tokio::spawn(async { axum::serve(listener, app).await });
    (url, registered)
}

/// Refuses redirect URIs of other paths, and takes `iss` out of the answers and of the metadata.
async fn as_plain_issuer(State(path): State<RegisteredPath>, request: Request, next: Next) -> Response {
    let url = format!("http://issuer{}", request.uri());
    if url.contains("redirect_uri=") {
        let back = Url::parse(&parameter(&url, "redirect_uri")).unwrap();
        if path.get().is_none_or(|path| path != back.path()) {
            return StatusCode::BAD_REQUEST.into_response();
        }
    }
    let (mut head, body) = next.run(request).await.into_parts();
    if let Some(location) = head.headers.get_mut(header::LOCATION) {
        let mut url = Url::parse(location.to_str().unwrap()).unwrap();
        let kept: Vec<_> = url.query_pairs().into_owned().filter(|(name, _)| name != "iss").collect();
        url.query_pairs_mut().clear().extend_pairs(kept);
        *location = HeaderValue::from_str(url.as_str()).unwrap();
    }
    let bytes = to_bytes(body, 1 << 20).await.unwrap();
    if let Ok(mut document) = serde_json::from_slice::<Value>(&bytes)
        && let Some(metadata) = document.as_object_mut()
        && metadata.remove("authorization_response_iss_parameter_supported").is_some()
    {
        return Json(document).into_response();
    }
    (head, Body::from(bytes)).into_response()
}

/// The redirect URI that a false issuer asks the true one for.
#[derive(Clone, Copy, PartialEq)]
enum AskedRedirect {
    /// That of the client's sign-in at the false issuer.
    OfFalseIssuer,
    /// That of a sign-in at the true issuer, which the true one has registered.
    OfTrueIssuer,
}

/// The S256 challenge of a code verifier that the thief knows (RFC 7636, appendix B).
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// The codes that came to the token endpoint of a false issuer.
type StolenCodes = Arc<Mutex<Vec<String>>>;

/// Starts an issuer whose sign-in page leads to that of the issuer at `victim`, with a nonce and a
/// code challenge of the thief's. It keeps the codes that come to its token endpoint.
async fn false_issuer(victim: &str, registered: &str, asked: AskedRedirect) -> (String, StolenCodes) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let metadata = json!({
        "issuer": url,
        "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"),
    });
    let (victim, registered) = (victim.to_owned(), registered.to_owned());
    let authorize = move |Query(sent): Query<Vec<(String, String)>>| async move {
        let sent = |name: &str| sent.iter().find(|(key, _)| key == name).unwrap().1.clone();
        let mut back = Url::parse(&sent("redirect_uri")).unwrap();
        if asked == AskedRedirect::OfTrueIssuer {
            back.set_path(&registered);
        }
        let parameters = [
            ("response_type", "code"),
            ("client_id", AUDIENCE),
            ("redirect_uri", back.as_str()),
            ("scope", "openid"),
            ("state", &sent("state")),
            ("nonce", "of-the-thief"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        Redirect::to(Url::parse_with_params(&format!("{victim}/authorize"), parameters).unwrap().as_str())
    };
    let stolen = StolenCodes::default();
    let keep = Arc::clone(&stolen);
    let token = move |form: String| async move {
        keep.lock().unwrap().push(parameter(&format!("http://issuer/?{form}"), "code"));
        StatusCode::SERVICE_UNAVAILABLE
    };
    let app = Router::new()
        .route("/.well-known/openid-configuration", get(move || async move { Json(metadata) }))
        .route("/authorize", get(authorize))
        .route("/token", post(token));
    tokio::spawn(async { axum::serve(listener, app).await });
    (url, stolen)
}

/// Follows the false issuer's page to the true one, and signs in there if its page is shown. Returns
/// the status of the page that is shown in the end.
async fn browse(url: String) -> StatusCode {
    let onward = load(&url).await;
    let page = onward.headers()[header::LOCATION].to_str().unwrap();
    match load(page).await.status() {
        StatusCode::OK => sign_in(page, "alice").await.status(),
        refused => refused,
    }
}

/// The theft of a code, and so of an ID token with the thief's nonce, from an issuer without `iss`.
#[tokio::test]
async fn a_false_issuer_gets_no_code_of_a_true_one_that_sends_no_iss() {
    let (http, environment) = (HttpTransport::new().unwrap(), Environment::system());
    let (victim, registered) = without_iss().await;
    // The operator registers the path of the client's redirect URI for this issuer.
    let party = RelyingParty::discover(&http, &environment, &victim, AUDIENCE).await.unwrap();
    assert!(!party.issuer().names_itself_in_answers);
    let id_token = party.in_browser(WAY, |url| {
        let url = url.to_owned();
        let back = Url::parse(&parameter(&url, "redirect_uri")).unwrap();
        registered.set(back.path().to_owned()).unwrap();
        tokio::spawn(async move { sign_in(&url, "alice").await });
    });
    assert_eq!(claims(&id_token.await.unwrap())["nonce"], NONCE);
    let path = registered.get().unwrap();

    for (asked, shown) in [
        // The true issuer knows no such redirect URI.
        (AskedRedirect::OfFalseIssuer, StatusCode::BAD_REQUEST),
        // The client waits for nothing there.
        (AskedRedirect::OfTrueIssuer, StatusCode::NOT_FOUND),
    ] {
        let (url, stolen) = false_issuer(&victim, path, asked).await;
        let party = RelyingParty::discover(&http, &environment, &url, AUDIENCE).await.unwrap();
        let (pages, page) = tokio::sync::oneshot::channel();
        let signing_in = party.in_browser(BrowserSignIn { wait: Duration::from_secs(600), ..WAY }, |url| {
            let url = url.to_owned();
            tokio::spawn(async move { pages.send(browse(url).await) });
        });
        tokio::select! {
            answered = signing_in => panic!("the client took the answer: {answered:?}, {stolen:?}"),
            page = page => assert_eq!(page.unwrap(), shown),
        }
        assert!(stolen.lock().unwrap().is_empty());
    }
}

/// The path is what the page for operators says, and nothing else of the issuer's URL counts.
#[tokio::test]
async fn operators_can_compute_the_path() {
    let guide = include_str!("../../../../docs/deploy.md");
    let transport = super::discovery::canned(json!({
        "issuer": "https://login.example.org",
        "authorization_endpoint": "https://login.example.org/authorize",
        "token_endpoint": "https://login.example.org/token",
    }));
    let environment = Environment::system();
    let issuer = "https://login.example.org";
    let party = RelyingParty::discover(&transport, &environment, issuer, AUDIENCE).await.unwrap();
    let mut path = String::new();
    let way = BrowserSignIn { wait: Duration::ZERO, ..WAY };
    let ended = party.in_browser(way, |url| {
        Url::parse(&parameter(url, "redirect_uri")).unwrap().path().clone_into(&mut path);
    });
    ended.await.unwrap_err();
    assert_eq!(path, "/callback/d5daf74cbbdc154a48c41834ce118ce1");
    assert!(guide.contains(&format!("http://127.0.0.1{path}")));
}
