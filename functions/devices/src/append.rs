//! POST `/user/{name}/devices` (`docs/protocol.md`, section 3): an active device appends a node,
//! `AddDevice` to approve a pending device, `RevokeDevice` to end one.
//!
//! One BatchGetItem for set and keys, one transaction; a revocation then clears what the device
//! left.

use crate::turn_away;
use axum::extract::State;
use axum::response::Response;
use eko_messaging::active_device::require_active;
use eko_protocol::Invalid;
use eko_protocol::chain::{
    ChainNode, ChainPosition, DeviceStanding, NodeKind, check_membership, verify_next,
};
use eko_protocol::id::DeviceId;
use eko_protocol::json::has_type;
use eko_service::body::{JsonBody, SmallBody};
use eko_service::caller::{Caller, Owner};
use eko_service::{AppState, Problem, respond};
use eko_store::chain::{AppendOutcome, DeviceSetChange, NewNode};
use eko_store::device::DeviceAddress;
use eko_store::devices::UserDevices;
use http::StatusCode;

pub(crate) async fn append_node(
    State(state): State<AppState>,
    Owner(caller): Owner,
    JsonBody(body): SmallBody,
) -> Result<Response, Problem> {
    if has_type(&body, "Reject") {
        return turn_away::turn_device_away(&state, &caller, &body).await;
    }
    let node = ChainNode::parse(&body)?;
    let store = state.store();
    let devices = require_active(store.device_set(&caller.user).await?, &caller.device)?;
    let change = verify(&state, &caller, &devices, &node).await?;
    let new = NewNode { seq: node.seq(), hash: node.hash(), canonical: node.canonical().to_vec() };
    if store.append(&caller.user, &devices, &new, &change).await? == AppendOutcome::Lost {
        return Err(lost(&state, &caller, &devices).await?);
    }
    if let DeviceSetChange::Revoke { device } = &change {
        // The device is out since the transaction; what it left nobody can read, and it also has a
        // time to live. A failure here must not make the revocation look undone.
        if let Err(error) = store.erase_device(DeviceAddress::new(&caller.user, device)).await {
            tracing::warn!(%error, "what a revoked device left is not cleared yet");
        }
    }
    let mut answer = node.to_value();
    if let Some(members) = answer.as_object_mut() {
        let set = new.set();
        members.insert(
            "eko:deviceSet".to_owned(),
            serde_json::json!({ "length": set.length, "head": set.head }),
        );
    }
    Ok(respond::with_location(respond::activity(StatusCode::CREATED, &answer), node.id()))
}

/// Verifies the node as the next one and says what it changes.
async fn verify(
    state: &AppState,
    caller: &Caller,
    devices: &UserDevices,
    node: &ChainNode,
) -> Result<DeviceSetChange, Problem> {
    let origin = state.origin();
    let invalid = |pointer: &str, detail: &str| Problem::Invalid(Invalid::at(pointer, detail));
    let device = origin
        .parse_device_of(&caller.user, node.device())
        .ok_or_else(|| invalid("/device", "must be a device of this user"))?;
    let signer: Option<DeviceId> = origin
        .parse_device_of(&caller.user, &node.proof().verification_method)
        .filter(|device| devices.active.contains_key(device));
    let wanted: Vec<&DeviceId> = signer.iter().chain([&device]).collect();
    let keys = state.store().device_keys(&caller.user, dedup(wanted)).await?;
    let position = ChainPosition { length: devices.set.length, head: Some(devices.set.head.clone()) };
    let signer_key = |wanted: &DeviceId| {
        (signer.as_ref() == Some(wanted)).then(|| keys.get(wanted).map(|keys| keys.identity_key)).flatten()
    };
    verify_next(origin, &caller.user, &position, signer_key, node).map_err(|error| {
        if error.is_stale_head() { stale(devices) } else { Problem::Invalid(error.invalid()) }
    })?;
    // A former device is taken for a new one here: it is not pending, and so it is refused below.
    let standing = match devices.active.contains_key(&device) {
        true => DeviceStanding::Active,
        false => DeviceStanding::New,
    };
    check_membership(node.kind(), devices.active.len(), standing)
        .map_err(|e| Problem::Invalid(e.invalid()))?;
    match node.kind() {
        NodeKind::Revoke => Ok(DeviceSetChange::Revoke { device }),
        NodeKind::Reset(_) => {
            Err(invalid("/type", "a reset needs a fresh sign-in: send it to /auth/devices"))
        }
        NodeKind::Add(addition) => {
            let pending = devices.pending.contains(&device).then(|| keys.get(&device)).flatten();
            let pending =
                pending.ok_or_else(|| invalid("/device", "must be a device that waits for approval"))?;
            if pending.identity_key != addition.identity_key {
                return Err(invalid("/identityKey", "is not the key that the device registered"));
            }
            if pending.registration_id != addition.registration_id {
                return Err(invalid("/registrationId", "is not the one that the device registered"));
            }
            Ok(DeviceSetChange::Approve { device, registration_id: addition.registration_id })
        }
    }
}

fn dedup(mut devices: Vec<&DeviceId>) -> Vec<&DeviceId> {
    devices.dedup();
    devices
}

fn stale(devices: &UserDevices) -> Problem {
    Problem::StaleHead(devices.set.clone())
}

/// Why an append was lost: the chain has grown meanwhile, as a rule.
async fn lost(state: &AppState, caller: &Caller, seen: &UserDevices) -> Result<Problem, Problem> {
    let now = state.store().device_set(&caller.user).await?;
    Ok(stale(now.as_ref().unwrap_or(seen)))
}
