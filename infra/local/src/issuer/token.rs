//! `POST /token`: the token endpoint, RFC 6749 sections 4.1.3 and 4.3.2, OpenID Connect Core section 3.1.3.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::Inner;
use super::parameters::Parameters;
use super::subject::Subject;

const LIFETIME_S: i64 = 600;

/// OpenID Connect Core section 2.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: String,
    aud: &'a str,
    iat: i64,
    exp: i64,
    jti: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<String>,
    preferred_username: &'a str,
    email: String,
    email_verified: bool,
}

/// RFC 6749 section 5.2.
#[derive(Debug)]
enum Refusal {
    InvalidRequest(&'static str),
    InvalidClient,
    InvalidGrant(&'static str),
    UnsupportedGrantType,
    ServerError,
}

/// Gives an ID token for a code, or for a name alone.
pub(super) async fn issue(State(issuer): State<Arc<Inner>>, headers: HeaderMap, form: Bytes) -> Response {
    match exchange(&issuer, &headers, &form) {
        Ok(id_token) => no_store(Json(json!({
            "id_token": id_token,
            // RFC 6749 wants one; there is nothing here that it would open.
            "access_token": Uuid::new_v4().to_string(),
            "token_type": "Bearer",
            "expires_in": LIFETIME_S,
            "scope": "openid profile email",
        }))),
        Err(refusal) => refusal.into_response(),
    }
}

fn exchange(issuer: &Inner, headers: &HeaderMap, form: &[u8]) -> Result<String, Refusal> {
    let media_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if media_type.split(';').next().map(str::trim) != Some("application/x-www-form-urlencoded") {
        return Err(Refusal::InvalidRequest("the body must be application/x-www-form-urlencoded"));
    }
    let form = Parameters::read(form).ok_or(Refusal::InvalidRequest("a parameter is there twice"))?;
    if form.get("client_id") != Some(&issuer.audience) {
        return Err(Refusal::InvalidClient);
    }
    let (subject, nonce) = match form.get("grant_type") {
        Some("authorization_code") => by_code(issuer, &form)?,
        Some("password") => by_name(&form)?,
        Some(_) => return Err(Refusal::UnsupportedGrantType),
        None => return Err(Refusal::InvalidRequest("grant_type is missing")),
    };
    let iat = issuer.now() / 1000;
    let claims = Claims {
        iss: &issuer.url,
        sub: subject.sub(),
        aud: &issuer.audience,
        iat,
        exp: iat + LIFETIME_S,
        jti: Uuid::new_v4().to_string(),
        nonce,
        preferred_username: subject.name(),
        email: subject.email(),
        email_verified: true,
    };
    issuer.key.sign(&claims).map_err(|_| Refusal::ServerError)
}

/// The code of a sign-in; it is used up whatever comes of it.
fn by_code(issuer: &Inner, form: &Parameters) -> Result<(Subject, Option<String>), Refusal> {
    let code = form.get("code").ok_or(Refusal::InvalidRequest("code is missing"))?;
    let verifier = form.get("code_verifier").ok_or(Refusal::InvalidRequest("code_verifier is missing"))?;
    let grant = issuer.codes.take(code, issuer.now());
    let grant = grant.ok_or(Refusal::InvalidGrant("the code is unknown, used or expired"))?;
    if form.get("redirect_uri") != Some(&grant.redirect_uri) {
        return Err(Refusal::InvalidGrant("the redirect_uri is not the one of the authorization request"));
    }
    if URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)) != grant.code_challenge {
        return Err(Refusal::InvalidGrant("the code_verifier does not match the code_challenge"));
    }
    Ok((grant.subject, grant.nonce))
}

/// For scripts and the demo: a name, and any password or none. A nonce is taken over as in the other flow.
fn by_name(form: &Parameters) -> Result<(Subject, Option<String>), Refusal> {
    let typed = form.get("username").ok_or(Refusal::InvalidRequest("username is missing"))?;
    let subject = Subject::parse(typed).ok_or(Refusal::InvalidGrant(
        "a username has 1 to 64 letters, digits, dots, hyphens and underscores",
    ))?;
    Ok((subject, form.get("nonce").map(str::to_owned)))
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, error, description) = match self {
            Self::InvalidRequest(why) => (StatusCode::BAD_REQUEST, "invalid_request", why),
            Self::InvalidClient => {
                let why = "the client_id is not the one that this server was started for";
                (StatusCode::UNAUTHORIZED, "invalid_client", why)
            }
            Self::InvalidGrant(why) => (StatusCode::BAD_REQUEST, "invalid_grant", why),
            Self::UnsupportedGrantType => {
                let why = "grant_type must be authorization_code or password";
                (StatusCode::BAD_REQUEST, "unsupported_grant_type", why)
            }
            Self::ServerError => {
                (StatusCode::INTERNAL_SERVER_ERROR, "server_error", "the token could not be signed")
            }
        };
        no_store((status, Json(json!({ "error": error, "error_description": description }))))
    }
}

fn no_store(response: impl IntoResponse) -> Response {
    ([(header::CACHE_CONTROL, "no-store"), (header::PRAGMA, "no-cache")], response).into_response()
}
