//! `GET /authorize` and `POST /authorize`: the authorization endpoint, RFC 6749 section 4.1.1, with PKCE.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use url::Url;

use super::Inner;
use super::codes::Grant;
use super::page;
use super::parameters::Parameters;
use super::redirect;
use super::subject::Subject;

/// An authorization request that has passed.
struct Request {
    /// As sent; the token request repeats it to the letter.
    redirect_uri: String,
    back: Back,
    nonce: Option<String>,
    code_challenge: String,
    login_hint: String,
}

/// The way back to the client.
struct Back {
    redirect_uri: Url,
    state: Option<String>,
}

/// Why a request does not pass, and who hears of it.
enum Refusal {
    /// The person: there is no client that could be trusted with it.
    Page(&'static str),
    /// The client, by the error code of RFC 6749 section 4.1.2.1.
    Client(Box<Back>, &'static str, &'static str),
}

/// Shows the sign-in page.
pub(super) async fn ask(State(issuer): State<Arc<Inner>>, RawQuery(query): RawQuery) -> Response {
    match Request::read(&issuer, query.as_deref()) {
        Ok(request) => {
            page::sign_in(StatusCode::OK, &issuer.audience, &request.redirect_uri, &request.login_hint, false)
        }
        Err(refusal) => refusal.answer(&issuer),
    }
}

/// Takes the name and goes back to the client with a code. The form is sent to the URL of its own page, so the
/// request is in the query again, and is checked again.
pub(super) async fn answer(
    State(issuer): State<Arc<Inner>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    form: Bytes,
) -> Response {
    let request = match Request::read(&issuer, query.as_deref()) {
        Ok(request) => request,
        Err(refusal) => return refusal.answer(&issuer),
    };
    if is_cross_site(&headers) {
        return page::refused("The form was sent by another site.");
    }
    let typed = Parameters::read(&form).map(|form| form.text("name").to_owned()).unwrap_or_default();
    let Some(subject) = Subject::parse(&typed) else {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        return page::sign_in(status, &issuer.audience, &request.redirect_uri, &typed, true);
    };
    let Request { redirect_uri, back, nonce, code_challenge, .. } = request;
    match issuer.codes.give(Grant { subject, redirect_uri, nonce, code_challenge }, issuer.now()) {
        Ok(code) => back.with(&issuer, &[("code", &code)]),
        Err(_) => back.with(&issuer, &[("error", "server_error")]),
    }
}

/// Whether a browser says that another site sent this: such a page could otherwise sign a visitor in as
/// somebody else.
fn is_cross_site(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site")
}

impl Request {
    fn read(issuer: &Inner, query: Option<&str>) -> Result<Self, Refusal> {
        let parameters = Parameters::read(query.unwrap_or_default().as_bytes())
            .ok_or(Refusal::Page("A parameter is there twice."))?;
        if parameters.get("client_id") != Some(&issuer.audience) {
            return Err(Refusal::Page("The client_id is not the one that this server was started for."));
        }
        let redirect_uri = parameters.text("redirect_uri").to_owned();
        let parsed = redirect::parse(&redirect_uri).ok_or(Refusal::Page(
            "The redirect_uri must be an http URL of this machine (127.0.0.1, [::1], localhost) or an app's \
             own scheme, which has a dot (org.example.app:/signed-in).",
        ))?;
        let back = Back { redirect_uri: parsed, state: parameters.get("state").map(str::to_owned) };
        if let Err((code, why)) = check(&parameters) {
            return Err(Refusal::Client(Box::new(back), code, why));
        }
        Ok(Self {
            redirect_uri,
            back,
            nonce: parameters.get("nonce").map(str::to_owned),
            code_challenge: parameters.text("code_challenge").to_owned(),
            login_hint: parameters.text("login_hint").to_owned(),
        })
    }
}

/// What the client can be told about.
fn check(parameters: &Parameters) -> Result<(), (&'static str, &'static str)> {
    if parameters.get("response_type") != Some("code") {
        return Err(("unsupported_response_type", "response_type must be code"));
    }
    if !parameters.text("scope").split(' ').any(|scope| scope == "openid") {
        return Err(("invalid_scope", "scope must contain openid"));
    }
    if parameters.get("code_challenge_method") != Some("S256") {
        return Err(("invalid_request", "PKCE is required: code_challenge_method must be S256"));
    }
    // RFC 7636 section 4.2: the base64url of 32 bytes.
    let base64url = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
    let challenge = parameters.text("code_challenge");
    if challenge.len() != 43 || !challenge.bytes().all(base64url) {
        return Err(("invalid_request", "code_challenge must be the base64url of a SHA-256"));
    }
    if parameters.get("prompt") == Some("none") {
        return Err(("login_required", "nobody stays signed in here"));
    }
    Ok(())
}

impl Back {
    /// Back to the client with these parameters, the state, and who says it (RFC 9207).
    fn with(mut self, issuer: &Inner, parameters: &[(&str, &str)]) -> Response {
        let mut query = self.redirect_uri.query_pairs_mut();
        query.extend_pairs(parameters).append_pair("iss", &issuer.url);
        if let Some(state) = &self.state {
            query.append_pair("state", state);
        }
        drop(query);
        ([("cache-control", "no-store")], Redirect::to(self.redirect_uri.as_str())).into_response()
    }
}

impl Refusal {
    fn answer(self, issuer: &Inner) -> Response {
        match self {
            Self::Page(why) => page::refused(why),
            Self::Client(back, code, why) => {
                back.with(issuer, &[("error", code), ("error_description", why)])
            }
        }
    }
}
