//! The activity `Add`: a device publishes keys.

use axum::response::Response;
use eko_protocol::key_package::Publication;
use eko_service::caller::Caller;
use eko_service::{AppState, Problem, respond};
use eko_store::publication::{PublicationOutcome, REPLACEMENT_PAUSE_MS};
use http::StatusCode;
use serde_json::{Value, json};

/// POST `/user/{name}/keyPackages` with `Add` (`docs/protocol.md`, section 4): publishes keys of
/// the calling device, all of the request or none. It fills the pools, replaces the signed prekey
/// or the last-resort key, or replaces all keys.
///
/// The token does not suffice: the device signs the publication with its identity key, because the
/// ids of one-time keys only grow. One BatchGetItem, and the calls of
/// [`publish_keys`](eko_store::Store::publish_keys).
pub(crate) async fn add_keys(state: &AppState, caller: &Caller, body: &Value) -> Result<Response, Problem> {
    let mut publication = Publication::parse(body)?;
    let (store, origin, now_ms) = (state.store(), state.origin(), state.now_ms());
    let own = store.own_keys(caller.address()).await?.ok_or(Problem::DeviceRevoked)?;
    let (actor, device) = (origin.actor(&caller.user), origin.device(&caller.user, &caller.device));
    publication.verify(&actor, &device, &own.identity_key, now_ms)?;
    publication.keys = publication.keys.sorted();
    match store.publish_keys(caller.address(), &publication, now_ms).await? {
        PublicationOutcome::Done { pre_keys, kyber_pre_keys } => {
            let body = json!({ "eko:preKeyCount": pre_keys, "eko:kyberPreKeyCount": kyber_pre_keys });
            Ok(respond::uncached(respond::document(StatusCode::OK, respond::JSON, &body)))
        }
        PublicationOutcome::Refused(invalid) => Err(invalid.into()),
        PublicationOutcome::ReplacedTooSoon => {
            let retry_after = REPLACEMENT_PAUSE_MS.unsigned_abs() / 1000;
            let what = "keys are replaced once an hour at most, and not right after others were published";
            Err(Problem::TooMany { retry_after, what })
        }
        PublicationOutcome::DevicePending => Err(Problem::DevicePending),
        PublicationOutcome::DeviceRevoked => Err(Problem::DeviceRevoked),
        PublicationOutcome::AccountDeleted => Err(Problem::AccountDeleted),
    }
}
