//! GET `/user/{name}/keyPackages` and `/user/{name}/keyPackage/{deviceId}` (`docs/protocol.md`, section 2):
//! packages without one-time keys. Reading consumes nothing, so that caches and crawlers do no harm.

use std::collections::HashMap;

use axum::extract::{Path, State};
use axum::response::Response;
use eko_protocol::collection;
use eko_protocol::id::DeviceId;
use eko_protocol::key_package::KeyPackage;
use eko_service::caller::PathUser;
use eko_service::{AppState, Problem, respond};
use eko_store::device::DeviceAddress;
use eko_store::device_keys::LastingKeys;
use http::HeaderMap;

/// Seconds that caches may keep a package.
const FRESH_SECONDS: u32 = 5;

pub(crate) async fn list(
    State(state): State<AppState>,
    PathUser(user): PathUser,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let devices = state.store().device_set(&user).await?.ok_or(Problem::NotFound("user"))?;
    let keys = state.store().device_keys(&user, devices.active.keys()).await?;
    let packages = keys.into_iter().map(|(device, keys)| package(&state, &user, &device, keys));
    let packages: Vec<KeyPackage> = packages.collect();
    let body = collection::key_packages(state.origin(), &user, &packages, Some(&devices.set));
    Ok(respond::cached(respond::negotiated(&headers, &body), FRESH_SECONDS))
}

pub(crate) async fn one(
    State(state): State<AppState>,
    PathUser(user): PathUser,
    Path(path): Path<HashMap<String, String>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    const NONE: Problem = Problem::NotFound("key package");
    let device = path.get("device").and_then(|text| DeviceId::parse(text).ok()).ok_or(NONE)?;
    let devices = state.store().device_set(&user).await?.ok_or(NONE)?;
    if !devices.active.contains_key(&device) {
        return Err(NONE);
    }
    let keys = state.store().own_keys(DeviceAddress::new(&user, &device)).await?.ok_or(NONE)?;
    let mut package = package(&state, &user, &device, keys);
    package.device_set = Some(devices.set);
    Ok(respond::cached(respond::negotiated(&headers, &package.to_value(state.origin())), FRESH_SECONDS))
}

fn package(
    state: &AppState,
    user: &eko_protocol::address::UserName,
    device: &DeviceId,
    keys: LastingKeys,
) -> KeyPackage {
    KeyPackage::new(
        state.origin(),
        user,
        device,
        keys.identity_key,
        keys.registration_id,
        keys.signed_pre_key,
        keys.last_resort,
    )
}
