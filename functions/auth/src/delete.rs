//! The deletion of an account.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use eko_protocol::deletion::deletion_base;
use eko_protocol::id::DeviceId;
use eko_protocol::key::{IdentityKey, NonceRandom, Signature};
use eko_protocol::{Invalid, multibase, sign_in, xeddsa};
use eko_service::body::{JsonBody, SmallBody};
use eko_service::caller::{PathUser, bearer_token};
use eko_service::{AppState, Problem, respond};
use eko_store::deletion::DeletionRefusal;
use eko_store::device::{DeviceAddress, DeviceStatus};
use eko_store::devices::{Absence, OfUser};
use eko_store::resets::ResetState;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use crate::oidc::VerifiedSubject;
use crate::reset::require_fresh;
use crate::state::SignInState;

/// The members of a deletion.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeletionMembers {
    device_id: DeviceId,
    identity_key: IdentityKey,
    nonce_random: NonceRandom,
    deletion: String,
}

/// A well-formed deletion. The signature in it is not verified.
struct DeletionRequest {
    device: DeviceId,
    identity_key: IdentityKey,
    nonce_random: NonceRandom,
    /// The device's signature over the ID token.
    deletion: Signature,
}

impl DeletionRequest {
    fn parse(body: &Value) -> Result<Self, Problem> {
        let members: DeletionMembers = respond::shape(body)?;
        let deletion = multibase::decode(&members.deletion);
        Ok(Self {
            device: members.device_id,
            identity_key: members.identity_key,
            nonce_random: members.nonce_random,
            deletion: deletion.map_err(|invalid: Invalid| invalid.under("/deletion"))?,
        })
    }
}

/// DELETE `/user/{name}` (`docs/protocol.md`, section 10): deletes the account of the person who has
/// signed in, by an active device. The answer is 204, also if the account was deleted before.
///
/// It asks for as much as a reset: an ID token that was made for this device at this server, of a
/// sign-in in the last ten minutes that has reset nothing. The device signs it with its identity key, so
/// that whoever controls the issuer deletes nothing.
///
/// One BatchGetItem of device set and profile, one of the device's keys, the call of
/// [`order_deletion`](eko_messaging::Messaging::order_deletion), one transaction, one UpdateItem of the
/// number of users beside the call of [`end_deleted`](eko_messaging::Messaging::end_deleted). If the
/// process dies before the transaction, nothing is deleted; after it, everything else is carried out by
/// the order.
pub(crate) async fn delete_account(
    State(state): State<SignInState>,
    PathUser(user): PathUser,
    headers: HeaderMap,
    JsonBody(body): SmallBody,
) -> Result<Response, Problem> {
    let id_token = bearer_token(&headers)?;
    let subject = state.id_tokens().verify(id_token, state.now_ms()).await?;
    let request = DeletionRequest::parse(&body)?;
    let nonce = sign_in::nonce(state.origin(), &request.identity_key, &request.nonce_random);
    subject.require_nonce(&nonce)?;
    let seen = match state.store().reset_state(&user).await? {
        OfUser::Stored(seen) => seen,
        OfUser::Absent(Absence::Deleted { .. }) => return Ok(deleted()),
        OfUser::Absent(Absence::Unknown) => return Err(Absence::Unknown.into()),
    };
    let address = DeviceAddress::new(&user, &request.device);
    check(&state, &seen, &subject, address, &request, id_token).await?;
    let after_ms = state.config().limits.deletable_after_ms;
    if let Some(refused) = seen.deletion_refusal(subject.signed_in_s, after_ms, state.now_ms()) {
        return Err(refused_as(refused));
    }
    let messaging = state.messaging();
    messaging.order_deletion(&user).await?;
    if state.store().delete_account(&user, &seen, state.now_ms()).await? {
        let (counted, ()) = tokio::join!(state.store().uncount_user(), messaging.end_deleted(&user));
        if let Err(error) = counted {
            tracing::warn!(%error, "a user is still counted");
        }
        return Ok(deleted());
    }
    // The SDK's repetition of a transaction, or another request, may have deleted the account.
    match state.store().device_set(&user).await? {
        OfUser::Absent(_) => Ok(deleted()),
        OfUser::Stored(devices) => Err(Problem::StaleHead(devices.set)),
    }
}

/// Checks that the person may delete the account, and that the device is active and has signed for it.
async fn check(
    state: &AppState,
    seen: &ResetState,
    subject: &VerifiedSubject,
    address: DeviceAddress<'_>,
    request: &DeletionRequest,
    id_token: &str,
) -> Result<(), Problem> {
    if seen.profile.as_oidc() != subject.as_oidc() {
        return Err(Problem::NotOwner);
    }
    match seen.devices.status_of(address.device) {
        DeviceStatus::Active => {}
        DeviceStatus::Pending => return Err(Problem::DevicePending),
        DeviceStatus::Revoked | DeviceStatus::Deleted => return Err(Problem::DeviceRevoked),
    }
    let keys = state.store().own_keys(address).await?.ok_or(Problem::DeviceRevoked)?;
    if keys.identity_key != request.identity_key {
        return Err(Invalid::at("/identityKey", "is not the registered identity key").into());
    }
    if !xeddsa::verify(&keys.identity_key, &deletion_base(id_token.as_bytes()), &request.deletion) {
        let detail = "is not the registered identity key's signature over the ID token";
        return Err(Invalid::at("/deletion", detail).into());
    }
    require_fresh(subject, state.now_ms(), "a deletion needs a sign-in of the last ten minutes")
}

fn deleted() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// Returns the problem of a deletion that is refused.
fn refused_as(refusal: DeletionRefusal) -> Problem {
    match refusal {
        DeletionRefusal::TooYoung { retry_after_s } => {
            let what = "an account is deleted an hour after it was created at the earliest";
            Problem::TooMany { retry_after: retry_after_s, what }
        }
        DeletionRefusal::SignInUsed => {
            Problem::Unauthenticated("this sign-in has reset the devices: sign in once more")
        }
    }
}
