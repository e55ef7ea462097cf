//! A development issuer on this machine, and the requests of a browser.

use std::sync::Arc;

use axum::Router;
use eko_cli::oidc::RelyingParty;
use eko_client::transport::Bytes;
use eko_client::{Environment, HttpTransport, Transport};
use eko_local::issuer::{DevelopmentIssuer, PATH, router};
use http::{HeaderMap, Request, Response, StatusCode, header};
use serde_json::Value;

pub(crate) const AUDIENCE: &str = "eko-test";

/// Starts a development issuer on a free port, and returns its identifier. The issuer ends with the
/// test's runtime.
pub(crate) async fn issuer() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}{PATH}", listener.local_addr().unwrap());
    let clock = Environment::system().clock;
    let issuer = DevelopmentIssuer::new(&url, AUDIENCE, None, Arc::new(move || clock())).unwrap();
    let app = Router::new().nest(PATH, router(issuer));
    tokio::spawn(async { axum::serve(listener, app).await });
    url
}

/// A running issuer, and what a client needs to sign in there.
pub(crate) struct TestIssuer {
    pub(crate) http: HttpTransport,
    pub(crate) environment: Environment,
    pub(crate) url: String,
}

impl TestIssuer {
    pub(crate) async fn start() -> Self {
        Self { http: HttpTransport::new().unwrap(), environment: Environment::system(), url: issuer().await }
    }

    pub(crate) async fn party(&self) -> RelyingParty<'_, HttpTransport> {
        RelyingParty::discover(&self.http, &self.environment, &self.url, AUDIENCE).await.unwrap()
    }
}

pub(crate) async fn get(url: &str) -> Response<Bytes> {
    HttpTransport::new().unwrap().send(Request::get(url).body(Bytes::new()).unwrap()).await.unwrap()
}

/// Signs in as a person does: loads the page at `url`, sends the form with a name, and follows the
/// redirect. Returns the page that is shown in the end.
pub(crate) async fn sign_in(url: &str, name: &str) -> Response<Bytes> {
    assert_eq!(get(url).await.status(), StatusCode::OK);
    let form = Request::post(url)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Bytes::from(format!("name={name}")))
        .unwrap();
    let answer = HttpTransport::new().unwrap().send(form).await.unwrap();
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    get(location(answer.headers())).await
}

fn location(headers: &HeaderMap) -> &str {
    headers[header::LOCATION].to_str().unwrap()
}

/// Returns the claims of a token.
pub(crate) fn claims(id_token: &str) -> Value {
    use base64::Engine;
    let claims = id_token.split('.').nth(1).unwrap();
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap();
    serde_json::from_slice(&claims).unwrap()
}

/// Returns a parameter of a URL.
pub(crate) fn parameter(url: &str, name: &str) -> String {
    let url = url::Url::parse(url).unwrap();
    url.query_pairs().find(|(key, _)| key == name).expect("the URL has the parameter").1.into_owned()
}
