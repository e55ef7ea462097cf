//! Signed requests of other servers, read and verified (`docs/protocol.md`, section 7).

use std::sync::Arc;

use axum::extract::Request;
use eko_federation::RemoteError;
use eko_federation::verify::{VerificationError, is_own_deletion};
use eko_protocol::actor::RemoteActor;
use eko_protocol::json::text;
use eko_protocol::{http_signature, json};
use serde_json::Value;

use crate::{FederatedState, Problem, body};

/// An activity of an actor on another server.
#[derive(Clone, Debug)]
pub struct SignedActivity {
    /// The activity. Its `actor` signed the request.
    pub activity: Value,
    /// The actor.
    pub actor: Arc<RemoteActor>,
}

/// Reads and verifies a signed request with a body of at most `limit` bytes. Returns `None` if
/// there is nothing left to do: the activity is an actor's own deletion, and the actor is gone, so that
/// its signature cannot be verified any more. What was kept of the actor is removed then
/// ([`Federation::forget_gone`](eko_federation::Federation::forget_gone)).
///
/// The checks without a call come first: shape, digest, age of the signature. An actor in memory
/// costs no call; any other costs a read of the table, and is fetched from its server if it is not
/// there, within the bounds of [`Federation::verify`](eko_federation::Federation::verify).
///
/// # Errors
/// [`Problem::NotFederated`] if this server does not federate, or not with that one;
/// [`Problem::BadSignature`]; the problems of [`body`] and of a failing server or store.
pub async fn read(
    state: &FederatedState,
    request: Request,
    limit: usize,
) -> Result<Option<SignedActivity>, Problem> {
    let federation =
        state.federates().ok_or_else(|| Problem::NotFederated("this server does not federate".to_owned()))?;
    let (parts, content) = request.into_parts();
    body::check_json(&parts.headers)?;
    let content = body::read(content, limit).await?;
    let activity = json::parse(&content)?;
    let actor = text(&activity, "actor")?.to_owned();
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let headers: Vec<(&str, &str)> = parts
        .headers
        .iter()
        // A signature covers ASCII values only, so other headers are left out.
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .collect();
    let request = http_signature::ReceivedRequest {
        method: parts.method.as_str(),
        target,
        headers: &headers,
        body: &content,
    };
    let now_ms = state.now_ms();
    let claim = federation.claim(&request, &actor, now_ms).map_err(unverified)?;
    match federation.verify(&claim, &actor, now_ms).await {
        Ok(verified) => Ok(Some(SignedActivity { activity, actor: verified.actor })),
        Err(VerificationError::Actor(RemoteError::Gone(_) | RemoteError::Deleted(_)))
            if is_own_deletion(&activity, &actor) =>
        {
            federation.forget_gone(&actor, now_ms).await?;
            Ok(None)
        }
        Err(error) => Err(unverified(error)),
    }
}

/// Maps a failed verification to the problem that the sending server gets.
fn unverified(error: VerificationError) -> Problem {
    match error {
        VerificationError::Signature(why) => Problem::BadSignature(why),
        VerificationError::Actor(
            RemoteError::Gone(_) | RemoteError::Deleted(_) | RemoteError::Unusable(_),
        ) => Problem::BadSignature(error.to_string()),
        VerificationError::Actor(error) => error.into(),
    }
}
