//! The devices that wait for approval.

use axum::extract::State;
use axum::response::Response;
use eko_messaging::active_device::require_present;
use eko_protocol::activity::{self, PendingRegistration};
use eko_protocol::address::UserName;
use eko_protocol::id::DeviceId;
use eko_protocol::vocabulary;
use eko_service::caller::Owner;
use eko_service::{AppState, Problem, respond};
use eko_store::device::DeviceStatus;
use eko_store::device_keys::LastingKeys;
use http::StatusCode;
use serde_json::{Value, json};

/// GET `/user/{name}/devices/pending` (`docs/protocol.md`, section 3): lists pending devices. An
/// active device sees all of them, a pending device only itself.
///
/// One GetItem and one BatchGetItem.
pub(crate) async fn list_pending(
    State(state): State<AppState>,
    Owner(caller): Owner,
) -> Result<Response, Problem> {
    let devices = require_present(state.store().device_set(&caller.user).await?)?;
    let shown: Vec<&DeviceId> = match devices.status_of(&caller.device) {
        DeviceStatus::Active => devices.pending.iter().collect(),
        DeviceStatus::Pending => vec![&caller.device],
        DeviceStatus::Revoked | DeviceStatus::Deleted => return Err(Problem::DeviceRevoked),
    };
    let keys = state.store().device_keys(&caller.user, shown).await?;
    let items = keys.iter().filter_map(|(device, keys)| item(&state, &caller.user, device, keys));
    let items: Vec<Value> = items.collect();
    let body = json!({
        "@context": vocabulary::context(),
        "type": "Collection",
        "id": format!("{}/pending", state.origin().devices(&caller.user)),
        "totalItems": items.len(),
        "items": items,
        "eko:deviceSet": devices.set,
    });
    Ok(respond::uncached(respond::activity(StatusCode::OK, &body)))
}

/// Returns the description of a pending device, with the name that it gave itself. Every device
/// that waits has registered with a MAC.
fn item(state: &AppState, user: &UserName, device: &DeviceId, keys: &LastingKeys) -> Option<Value> {
    let (new_device, joining_mac) = (keys.new_device(device), keys.joining_mac?);
    let registered_ms = keys.registered_ms;
    let pending = PendingRegistration { device: &new_device, joining_mac: &joining_mac, registered_ms };
    let mut item = activity::pending_device(state.origin(), user, &pending);
    if let (Some(members), Some(name)) = (item.as_object_mut(), &keys.name) {
        members.insert("name".to_owned(), json!(name));
    }
    Some(item)
}
