//! `GET /.well-known/openid-configuration` and `GET /jwks`: the documents that a relying party
//! fetches.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::Inner;

/// Answers with the provider's metadata (OpenID Connect Discovery 1.0, section 3).
pub(super) async fn configuration(State(issuer): State<Arc<Inner>>) -> Json<Value> {
    let url = &issuer.url;
    Json(json!({
        "issuer": url,
        "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"),
        "jwks_uri": format!("{url}/jwks"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "password"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "token_endpoint_auth_methods_supported": ["none"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "scopes_supported": ["openid", "profile", "email"],
        "claims_supported": [
            "iss", "sub", "aud", "iat", "auth_time", "exp", "jti", "nonce", "preferred_username", "email",
            "email_verified"
        ],
    }))
}

/// Answers with the set of public keys (RFC 7517), which has one key.
pub(super) async fn jwks(State(issuer): State<Arc<Inner>>) -> Json<Value> {
    Json(json!({ "keys": [issuer.key.jwk()] }))
}
