//! The repeated sign-in of a registered device, after its refresh tokens have ended or the answer
//! to its registration was lost. With an ID token alone, anyone who controls the issuer could read
//! the mailbox. So the device also signs this ID token with its identity key.

use axum::response::Response;
use eko_protocol::Invalid;
use eko_protocol::address::UserName;
use eko_protocol::chain::sign_in_base;
use eko_protocol::xeddsa;
use eko_service::caller::Caller;
use eko_service::{AppState, Problem};
use eko_store::device::{DeviceAddress, DeviceStatus};
use http::StatusCode;

use crate::registration::Registration;
use crate::tokens::{self, RefreshToken, Standing};

pub(crate) async fn again(
    state: &AppState,
    user: &UserName,
    asked: &Registration,
    id_token: &str,
) -> Result<Response, Problem> {
    let store = state.store();
    let address = DeviceAddress::new(user, &asked.device);
    let devices = store.device_set(user).await?.ok_or(Problem::NotFound("user"))?;
    let status = match (devices.active.contains_key(&asked.device), devices.pending.contains(&asked.device)) {
        (true, _) => DeviceStatus::Active,
        (false, true) => DeviceStatus::Pending,
        (false, false) => {
            let known = store.device_record(address).await?.is_some();
            return Err(if known { Problem::DeviceRevoked } else { Problem::NotFound("device") });
        }
    };
    let keys = store.own_keys(address).await?.ok_or(Problem::DeviceRevoked)?;
    let proof = asked.sign_in.ok_or(Invalid::at("/signIn", "is missing"))?;
    if !xeddsa::verify(&keys.identity_key, &sign_in_base(id_token.as_bytes()), &proof) {
        return Err(Invalid::at(
            "/signIn",
            "is not the registered identity key's signature over the ID token",
        )
        .into());
    }
    let token = RefreshToken::new(state);
    if !store.start_session(address, &token.session(state)).await? {
        return Err(Problem::DeviceRevoked);
    }
    let caller = Caller { user: user.clone(), device: asked.device.clone() };
    tokens::answer(state, StatusCode::OK, &caller, &token, Some(Standing { status, set: devices.set }))
}
