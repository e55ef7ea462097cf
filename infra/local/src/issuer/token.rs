//! `POST /token`: the token endpoint (RFC 6749 sections 4.1.3 and 4.3.2, OpenID Connect Core
//! section 3.1.3).

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
use super::parameters::RequestParameters;
use super::subject::IssuerSubject;

/// The time for which an ID token is valid, in seconds.
const LIFETIME_S: i64 = 600;

/// The claims of an ID token (OpenID Connect Core section 2).
#[derive(Serialize)]
struct DevelopmentClaims<'a> {
    iss: &'a str,
    sub: String,
    aud: &'a str,
    iat: i64,
    auth_time: i64,
    exp: i64,
    jti: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<String>,
    preferred_username: &'a str,
    email: String,
    email_verified: bool,
}

/// An error of the token endpoint (RFC 6749 section 5.2).
#[derive(Debug)]
enum TokenRefusal {
    InvalidRequest(&'static str),
    InvalidClient,
    InvalidGrant(&'static str),
    UnsupportedGrantType,
    ServerError,
}

/// Answers with an ID token for an authorization code or for a user name.
pub(super) async fn issue(State(issuer): State<Arc<Inner>>, headers: HeaderMap, form: Bytes) -> Response {
    match exchange(&issuer, &headers, &form) {
        Ok(id_token) => no_store(Json(json!({
            "id_token": id_token,
            // RFC 6749 requires an access token, although there is nothing here to access.
            "access_token": Uuid::new_v4().to_string(),
            "token_type": "Bearer",
            "expires_in": LIFETIME_S,
            "scope": "openid profile email",
        }))),
        Err(refusal) => refusal.into_response(),
    }
}

/// Checks a token request and signs the ID token.
fn exchange(issuer: &Inner, headers: &HeaderMap, form: &[u8]) -> Result<String, TokenRefusal> {
    let media_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if media_type.split(';').next().map(str::trim) != Some("application/x-www-form-urlencoded") {
        return Err(TokenRefusal::InvalidRequest("the body must be application/x-www-form-urlencoded"));
    }
    let form =
        RequestParameters::read(form).ok_or(TokenRefusal::InvalidRequest("a parameter is there twice"))?;
    if form.get("client_id") != Some(&issuer.audience) {
        return Err(TokenRefusal::InvalidClient);
    }
    let (subject, nonce) = match form.get("grant_type") {
        Some("authorization_code") => by_code(issuer, &form)?,
        Some("password") => by_name(&form)?,
        Some(_) => return Err(TokenRefusal::UnsupportedGrantType),
        None => return Err(TokenRefusal::InvalidRequest("grant_type is missing")),
    };
    let iat = issuer.now() / 1000;
    let claims = DevelopmentClaims {
        iss: &issuer.url,
        sub: subject.sub(),
        aud: &issuer.audience,
        iat,
        // Nobody stays signed in here: each token comes from a sign-in of its own.
        auth_time: iat,
        exp: iat + LIFETIME_S,
        jti: Uuid::new_v4().to_string(),
        nonce,
        preferred_username: subject.name(),
        email: subject.email(),
        email_verified: true,
    };
    issuer.key.sign(&claims).map_err(|_| TokenRefusal::ServerError)
}

/// Returns the user and the nonce of a sign-in by its code. The code is used up even if the request
/// fails.
fn by_code(
    issuer: &Inner,
    form: &RequestParameters,
) -> Result<(IssuerSubject, Option<String>), TokenRefusal> {
    let code = form.get("code").ok_or(TokenRefusal::InvalidRequest("code is missing"))?;
    let verifier =
        form.get("code_verifier").ok_or(TokenRefusal::InvalidRequest("code_verifier is missing"))?;
    let grant = issuer.codes.take(code, issuer.now());
    let grant = grant.ok_or(TokenRefusal::InvalidGrant("the code is unknown, used or expired"))?;
    if form.get("redirect_uri") != Some(&grant.redirect_uri) {
        return Err(TokenRefusal::InvalidGrant(
            "the redirect_uri is not the one of the authorization request",
        ));
    }
    if URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)) != grant.code_challenge {
        return Err(TokenRefusal::InvalidGrant("the code_verifier does not match the code_challenge"));
    }
    Ok((grant.subject, grant.nonce))
}

/// Returns the user and the nonce of a request that only names the user, for scripts and the demo.
/// A password is ignored.
fn by_name(form: &RequestParameters) -> Result<(IssuerSubject, Option<String>), TokenRefusal> {
    let typed = form.get("username").ok_or(TokenRefusal::InvalidRequest("username is missing"))?;
    let subject = IssuerSubject::parse(typed).ok_or(TokenRefusal::InvalidGrant(
        "a username has 1 to 64 letters, digits, dots, hyphens and underscores",
    ))?;
    Ok((subject, form.get("nonce").map(str::to_owned)))
}

impl IntoResponse for TokenRefusal {
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

/// Forbids caching of a response.
fn no_store(response: impl IntoResponse) -> Response {
    ([(header::CACHE_CONTROL, "no-store"), (header::PRAGMA, "no-cache")], response).into_response()
}
