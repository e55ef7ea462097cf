//! `GET /authorize` and `POST /authorize`: the authorization endpoint (RFC 6749 section 4.1.1) with
//! PKCE.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use url::Url;

use super::Inner;
use super::codes::Grant;
use super::page;
use super::parameters::RequestParameters;
use super::redirect;
use super::subject::IssuerSubject;

/// A valid authorization request.
struct AuthorizationRequest {
    /// The redirect URI as it was sent. The token request must repeat it exactly.
    redirect_uri: String,
    back: ReturnPath,
    nonce: Option<String>,
    code_challenge: String,
    login_hint: String,
}

/// The URL to redirect to, and the client's state.
struct ReturnPath {
    redirect_uri: Url,
    state: Option<String>,
}

/// The answer to an invalid authorization request.
enum AuthorizationRefusal {
    /// A page for the user, because the redirect URI cannot be trusted.
    Page(&'static str),
    /// A redirect to the client with an error.
    Client(Box<ReturnPath>, OAuthError),
}

/// An error for the client (RFC 6749 section 4.1.2.1).
struct OAuthError {
    code: &'static str,
    description: &'static str,
}

/// Shows the sign-in page.
pub(super) async fn ask(State(issuer): State<Arc<Inner>>, RawQuery(query): RawQuery) -> Response {
    match AuthorizationRequest::read(&issuer, query.as_deref()) {
        Ok(request) => {
            page::sign_in(StatusCode::OK, &issuer.audience, &request.redirect_uri, &request.login_hint, false)
        }
        Err(refusal) => refusal.answer(&issuer),
    }
}

/// Takes the name that was typed, and redirects to the client with a code. The form is sent to the
/// URL of its page, so the query is the authorization request, which is checked again.
pub(super) async fn answer(
    State(issuer): State<Arc<Inner>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    form: Bytes,
) -> Response {
    let request = match AuthorizationRequest::read(&issuer, query.as_deref()) {
        Ok(request) => request,
        Err(refusal) => return refusal.answer(&issuer),
    };
    if is_cross_site(&headers) {
        return page::refused("The form was sent by another site.");
    }
    let typed = RequestParameters::read(&form).map(|form| form.text("name").to_owned()).unwrap_or_default();
    let Some(subject) = IssuerSubject::parse(&typed) else {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        return page::sign_in(status, &issuer.audience, &request.redirect_uri, &typed, true);
    };
    let AuthorizationRequest { redirect_uri, back, nonce, code_challenge, .. } = request;
    match issuer.codes.issue(Grant { subject, redirect_uri, nonce, code_challenge }, issuer.now()) {
        Ok(code) => back.with(&issuer, &[("code", &code)]),
        Err(_) => back.with(&issuer, &[("error", "server_error")]),
    }
}

/// True if a browser says that another site sent the request. Such a site could otherwise sign a
/// visitor in as somebody else.
fn is_cross_site(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site")
}

impl AuthorizationRequest {
    /// Checks the query of an authorization request.
    fn read(issuer: &Inner, query: Option<&str>) -> Result<Self, AuthorizationRefusal> {
        let parameters = RequestParameters::read(query.unwrap_or_default().as_bytes())
            .ok_or(AuthorizationRefusal::Page("A parameter is there twice."))?;
        if parameters.get("client_id") != Some(&issuer.audience) {
            return Err(AuthorizationRefusal::Page(
                "The client_id is not the one that this server was started for.",
            ));
        }
        let redirect_uri = parameters.text("redirect_uri").to_owned();
        let parsed = redirect::parse(&redirect_uri).ok_or(AuthorizationRefusal::Page(
            "The redirect_uri must be an http URL of this machine (127.0.0.1, [::1], localhost) or an app's \
             own scheme, which has a dot (org.example.app:/signed-in).",
        ))?;
        let back = ReturnPath { redirect_uri: parsed, state: parameters.get("state").map(str::to_owned) };
        if let Err(error) = check(&parameters) {
            return Err(AuthorizationRefusal::Client(Box::new(back), error));
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

/// Checks the parameters whose faults are reported to the client.
fn check(parameters: &RequestParameters) -> Result<(), OAuthError> {
    let error = |code, description| Err(OAuthError { code, description });
    if parameters.get("response_type") != Some("code") {
        return error("unsupported_response_type", "response_type must be code");
    }
    if !parameters.text("scope").split(' ').any(|scope| scope == "openid") {
        return error("invalid_scope", "scope must contain openid");
    }
    if parameters.get("code_challenge_method") != Some("S256") {
        return error("invalid_request", "PKCE is required: code_challenge_method must be S256");
    }
    // RFC 7636 section 4.2: the base64url of 32 bytes.
    let base64url = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
    let challenge = parameters.text("code_challenge");
    if challenge.len() != 43 || !challenge.bytes().all(base64url) {
        return error("invalid_request", "code_challenge must be the base64url of a SHA-256");
    }
    if parameters.get("prompt") == Some("none") {
        return error("login_required", "nobody stays signed in here");
    }
    Ok(())
}

impl ReturnPath {
    /// Returns a redirect to the client with these parameters, the state, and the issuer (RFC
    /// 9207).
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

impl AuthorizationRefusal {
    /// Returns the response.
    fn answer(self, issuer: &Inner) -> Response {
        match self {
            Self::Page(why) => page::refused(why),
            Self::Client(back, OAuthError { code, description }) => {
                back.with(issuer, &[("error", code), ("error_description", description)])
            }
        }
    }
}
