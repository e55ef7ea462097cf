//! What another server sends: a signed request, read and verified (`docs/protocol.md`, section 7).

use std::sync::Arc;

use axum::extract::Request;
use eko_federation::verify::VerificationError;
use eko_federation::{EXCHANGE_TIME, Federation, RemoteError, limits};
use eko_protocol::actor::RemoteActor;
use eko_protocol::json::text;
use eko_protocol::{http_signature, json};
use http::HeaderMap;
use serde_json::Value;

use crate::{Federated, Problem, body};

/// An activity of an actor on another server.
#[derive(Clone, Debug)]
pub struct SignedActivity {
    /// The activity. Its `actor` is who signed the request.
    pub activity: Value,
    /// Who signed.
    pub actor: Arc<RemoteActor>,
}

/// Whether a request is signed by a server, rather than sent with a device's token.
pub fn is_signed(headers: &HeaderMap) -> bool {
    headers.contains_key("signature") || headers.contains_key("signature-input")
}

/// Reads a signed request with a body of at most `limit` bytes. `None` where there is nothing to do: the
/// deletion of an actor that is gone already, whose key nobody can have any more.
///
/// What costs nothing comes first: shape and digest before the actor is looked up. No call where the actor is
/// in memory.
pub async fn read(
    state: &Federated,
    request: Request,
    limit: usize,
) -> Result<Option<SignedActivity>, Problem> {
    let federation =
        state.federates().ok_or_else(|| Problem::NotFederated("this server does not federate".to_owned()))?;
    let (parts, content) = request.into_parts();
    if !body::is_json(&parts.headers) {
        return Err(Problem::UnsupportedMediaType);
    }
    let content = body::read(content, limit).await?;
    let activity = json::parse(&content)?;
    let actor = text(&activity, "actor")?.to_owned();
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let headers: Vec<(&str, &str)> = parts
        .headers
        .iter()
        // What is not ASCII cannot be signed, and so is as good as absent.
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .collect();
    let request = http_signature::ReceivedRequest {
        method: parts.method.as_str(),
        target,
        headers: &headers,
        body: &content,
    };
    let now_ms = state.now_ms();
    let claim = federation.claim(&request, now_ms).map_err(unverified)?;
    match federation.verify(&claim, &actor, now_ms, &limits(EXCHANGE_TIME)).await {
        Ok(known) => Ok(Some(SignedActivity { activity, actor: known.actor })),
        Err(VerificationError::Actor(RemoteError::Gone(_)))
            if Federation::is_own_deletion(&activity, &actor) =>
        {
            Ok(None)
        }
        Err(error) => Err(unverified(error)),
    }
}

/// For a server that wants to be believed.
fn unverified(error: VerificationError) -> Problem {
    match error {
        VerificationError::Signature(why) => Problem::BadSignature(why),
        VerificationError::Actor(RemoteError::Gone(_) | RemoteError::Unusable(_)) => {
            Problem::BadSignature(error.to_string())
        }
        VerificationError::Actor(error) => error.into(),
    }
}
