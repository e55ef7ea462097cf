//! The capabilities of this server: what it supports, its limits, and where to sign in.

use axum::extract::State;
use axum::response::Response;
use eko_protocol::limits;
use eko_service::{AppState, Problem, respond};
use http::StatusCode;
use serde_json::json;

use crate::FRESH_SECONDS;

/// GET `/.well-known/ecp` (`docs/protocol.md`, section 2): returns the capabilities. Features that
/// are not built have no member. No call.
pub(crate) async fn capabilities(State(state): State<AppState>) -> Result<Response, Problem> {
    let (origin, config) = (state.origin().as_str(), state.config());
    let mut body = json!({
        "protocolVersion": "0.0.5",
        "origin": origin,
        "auth": {
            "issuer": config.oidc.issuer,
            "audience": config.oidc.audience,
            "devices": format!("{origin}/auth/devices"),
            "refresh": format!("{origin}/auth/refresh"),
            "logout": format!("{origin}/auth/logout"),
        },
        "features": ["pqxdh", "x3dh", "double-ratchet", "device-chain", "partial-delivery"],
        "federation": config.federation.is_some(),
        "limits": {
            "activeDevices": limits::MAX_ACTIVE_DEVICES,
            "messagesPerEnvelope": limits::MAX_MESSAGES,
            "contentBytes": limits::MAX_CONTENT_BYTES,
            "envelopeBytes": limits::MAX_ENVELOPE_BODY_BYTES,
            "bodyBytes": limits::MAX_BODY_BYTES,
            "oneTimeKeysPerRequest": limits::MAX_ONE_TIME_KEYS,
            "messageTtlDays": config.limits.message_ttl_days,
            "envelopesPerMinute": config.limits.sender_budget,
        },
    });
    if config.handle_domain != state.origin().authority() {
        body["handleDomain"] = json!(config.handle_domain);
    }
    if let Some(live) = &config.live_url {
        body["live"] = json!(live);
    }
    if let Some(key) = state.vapid_key()? {
        body["vapid"] = json!(key.public());
    }
    Ok(respond::cached(respond::document(StatusCode::OK, respond::JSON, &body), FRESH_SECONDS))
}
