//! The nodes that an active device appends to the chain: to approve a pending device, to revoke one,
//! or to move to another account.

use axum::extract::State;
use axum::response::Response;
use eko_messaging::active_device::{require_active, require_here, require_present};
use eko_protocol::Invalid;
use eko_protocol::chain::{AppendContext, ChainNode, DeviceSetChange, NodeSubject, verify_append};
use eko_protocol::id::DeviceId;
use eko_protocol::json::has_type;
use eko_protocol::vocabulary;
use eko_service::body::{JsonBody, SmallBody};
use eko_service::caller::{Caller, Owner};
use eko_service::{AppState, Problem, respond};
use eko_store::chain::AppendOutcome;
use eko_store::device::DeviceStatus;
use eko_store::devices::{UserDevices, until_tomorrow_s};
use http::StatusCode;
use serde_json::json;

use crate::turn_away;

/// POST `/user/{name}/devices` (`docs/protocol.md`, section 3): appends an `AddDevice`,
/// `RevokeDevice` or `Move` node. The answer is 201 with the node and the new device set. A `Reject` goes to
/// [`turn_away::turn_device_away`].
///
/// A node that is the chain's head already is answered the same way: the device repeats it if the
/// first answer was lost. Then only the device set is read.
///
/// One GetItem of the device set, one BatchGetItem of keys, and the transaction. Before a
/// revocation also the call of [`order_erasure`](eko_messaging::Messaging::order_erasure), and
/// afterwards that of [`end_revoked`](eko_messaging::Messaging::end_revoked); after an approval
/// that of [`tell_approved`](eko_messaging::Messaging::tell_approved).
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
    if devices.set == node.device_set() {
        return Ok(appended(&node));
    }
    require_here(&devices)?;
    let context = context(&state, &caller, &devices, &node).await?;
    let change = verify_append(state.origin(), &caller.user, &context, &node).map_err(|error| {
        if error.is_stale_head() {
            Problem::StaleHead(devices.set.clone())
        } else {
            Problem::Invalid(error.invalid())
        }
    })?;
    match &change {
        DeviceSetChange::Approve { .. } if devices.additions.is_used_up(state.now_ms()) => {
            let what = "16 devices were added today";
            return Err(Problem::TooMany { retry_after: until_tomorrow_s(state.now_ms()), what });
        }
        DeviceSetChange::Approve { .. } | DeviceSetChange::Move(_) => {}
        DeviceSetChange::Revoke { device } => {
            state.messaging().order_erasure(&caller.user, vec![device.clone()]).await?;
        }
    }
    match store.append(&caller.user, &devices, &node, &change, state.now_ms()).await? {
        AppendOutcome::Done => {
            let (messaging, user) = (state.messaging(), &caller.user);
            match change {
                DeviceSetChange::Approve { device, .. } => {
                    messaging.tell_approved(user, device, node.to_value()).await;
                }
                DeviceSetChange::Revoke { device } => messaging.end_revoked(user, vec![device]).await,
                DeviceSetChange::Move(_) => {}
            }
            Ok(appended(&node))
        }
        AppendOutcome::Lost => Err(stale_head(&state, &caller).await?),
    }
}

/// Answers with the node at the head of the chain, and the device set.
fn appended(node: &ChainNode) -> Response {
    let mut answer = node.to_value();
    answer["@context"] = vocabulary::appended_context();
    answer["eko:deviceSet"] = json!(node.device_set());
    respond::with_location(respond::activity(StatusCode::CREATED, &answer), node.id())
}

/// Reads what the decision about a node needs to know: the keys of the device that signed it, and
/// of the device that it is about.
async fn context(
    state: &AppState,
    caller: &Caller,
    devices: &UserDevices,
    node: &ChainNode,
) -> Result<AppendContext, Problem> {
    let (origin, user) = (state.origin(), &caller.user);
    let subject = origin
        .parse_device_of(user, node.device())
        .ok_or(Invalid::at("/device", "must be a device of this user"))?;
    let signer = origin
        .parse_device_of(user, &node.proof().verification_method)
        .filter(|signer| devices.active.contains_key(signer));
    let mut wanted: Vec<&DeviceId> = signer.iter().chain([&subject]).collect();
    wanted.dedup();
    let keys = state.store().device_keys(user, wanted).await?;
    let registered = |device: &DeviceId| keys.get(device).map(|keys| keys.new_device(device));
    Ok(AppendContext {
        position: devices.position(),
        active_count: devices.active.len(),
        since_reset: devices.since_reset(),
        signer: signer.as_ref().and_then(registered),
        subject: match devices.status_of(&subject) {
            DeviceStatus::Active => NodeSubject::Active,
            DeviceStatus::Pending => registered(&subject).map_or(NodeSubject::Other, NodeSubject::Pending),
            DeviceStatus::Revoked | DeviceStatus::Deleted => NodeSubject::Other,
        },
        now_ms: state.now_ms(),
    })
}

/// Returns the problem of an append that lost a race, with the chain's head as it is now.
async fn stale_head(state: &AppState, caller: &Caller) -> Result<Problem, Problem> {
    let now = require_present(state.store().device_set(&caller.user).await?)?;
    Ok(Problem::StaleHead(now.set))
}
