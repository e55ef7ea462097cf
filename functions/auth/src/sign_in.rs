//! The repeated sign-in of a registered device: after its refresh tokens have ended, or when the
//! answer to its registration was lost.

use axum::response::Response;
use eko_protocol::Invalid;
use eko_protocol::activity::PendingRegistration;
use eko_protocol::address::UserName;
use eko_protocol::chain::sign_in_base;
use eko_protocol::key::Signature;
use eko_protocol::xeddsa;
use eko_service::caller::Caller;
use eko_service::{AppState, Problem};
use eko_store::device::DeviceStatus;
use http::StatusCode;

use crate::further_device;
use crate::registration::RegistrationRequest;
use crate::tokens::{self, DeviceMembership, RefreshToken, RegisteredStatus};

/// Signs a registered device in again. `proof` is the signature of the device's identity key over
/// the ID token.
///
/// The ID token alone does not suffice, because anyone who controls the issuer could read the
/// mailbox with it. One GetItem of the device set, one BatchGetItem of the device's keys, one
/// transaction, and the call of
/// [`end_former_session`](eko_messaging::Messaging::end_former_session): subscription and sockets
/// of the former session may be a thief's. For a device that is not in the set one GetItem of its
/// record. For a pending device also one SendMessageBatch: if the process died after the
/// registration, nobody was told of it.
pub(crate) async fn sign_in_again(
    state: &AppState,
    user: UserName,
    request: &RegistrationRequest,
    proof: &Signature,
    id_token: &str,
) -> Result<Response, Problem> {
    let (store, device) = (state.store(), &request.device);
    let caller = Caller { user, device: device.clone() };
    let devices = store.device_set(&caller.user).await?.stored()?;
    let status = match devices.status_of(device) {
        DeviceStatus::Active => RegisteredStatus::Active,
        DeviceStatus::Pending => RegisteredStatus::Pending,
        DeviceStatus::Revoked | DeviceStatus::Deleted => {
            let was_registered = store.device_record(caller.address()).await?.is_some();
            return Err(if was_registered { Problem::DeviceRevoked } else { Problem::NotFound("device") });
        }
    };
    let keys = store.own_keys(caller.address()).await?.ok_or(Problem::DeviceRevoked)?;
    // The ID token is for the key that the request names.
    if keys.identity_key != request.identity_key {
        return Err(Invalid::at("/identityKey", "is not the registered identity key").into());
    }
    if !xeddsa::verify(&keys.identity_key, &sign_in_base(id_token.as_bytes()), proof) {
        let detail = "is not the registered identity key's signature over the ID token";
        return Err(Invalid::at("/signIn", detail).into());
    }
    let token = RefreshToken::new(state, &caller);
    if !store.start_session(caller.address(), &token.session(state)).await? {
        return Err(Problem::DeviceRevoked);
    }
    state.messaging().end_former_session(caller.address()).await?;
    if let (RegisteredStatus::Pending, Some(joining_mac)) = (status, &keys.joining_mac) {
        let (new_device, registered_ms) = (&keys.new_device(device), keys.registered_ms);
        let pending = PendingRegistration { device: new_device, joining_mac, registered_ms };
        further_device::offer_device(state, &caller.user, &pending).await;
    }
    let membership = DeviceMembership { status, set: devices.set };
    tokens::answer(state, StatusCode::OK, &caller, &token, Some(membership))
}
