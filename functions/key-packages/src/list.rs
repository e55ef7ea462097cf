//! The public key packages, without one-time keys. Reading consumes nothing, so that caches and
//! crawlers do no harm.

use std::collections::HashMap;

use axum::extract::{Path, State};
use axum::response::Response;
use eko_protocol::collection;
use eko_protocol::id::DeviceId;
use eko_protocol::key_package::KeyPackage;
use eko_protocol::vocabulary::in_context;
use eko_service::caller::PathUser;
use eko_service::{AppState, Problem, negotiate, respond, tombstone};
use eko_store::device::DeviceAddress;
use eko_store::devices::OfUser;
use http::HeaderMap;

/// The time for which caches may keep a package, in seconds.
const FRESH_SECONDS: u32 = 5;

/// GET `/user/{name}/keyPackages` (`docs/protocol.md`, section 4): lists the packages of a user's
/// active devices.
///
/// One GetItem and one BatchGetItem.
pub(crate) async fn list_packages(
    State(state): State<AppState>,
    PathUser(user): PathUser,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let url = state.origin().key_packages(&user);
    let devices = match state.store().device_set(&user).await? {
        OfUser::Stored(devices) => devices,
        OfUser::Absent(absence) => return tombstone::answer(&headers, &url, "Collection", absence),
    };
    let keys = state.store().device_keys(&user, devices.active.keys()).await?;
    let packages: Vec<KeyPackage> =
        keys.into_iter().map(|(device, keys)| keys.package(state.origin(), &user, &device)).collect();
    let body = collection::key_packages(state.origin(), &user, &packages, Some(&devices.set));
    Ok(respond::cached(negotiate::negotiated(&headers, &body), FRESH_SECONDS))
}

/// GET `/user/{name}/keyPackage/{deviceId}` (`docs/protocol.md`, section 4): returns the package of
/// one active device.
///
/// One GetItem and one BatchGetItem.
pub(crate) async fn one_package(
    State(state): State<AppState>,
    PathUser(user): PathUser,
    Path(path): Path<HashMap<String, String>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    const NONE: Problem = Problem::NotFound("key package");
    let device = path.get("device").and_then(|text| DeviceId::parse(text).ok()).ok_or(NONE)?;
    let url = state.origin().key_package(&user, &device);
    let devices = match state.store().device_set(&user).await? {
        OfUser::Stored(devices) => devices,
        OfUser::Absent(absence) => return tombstone::answer(&headers, &url, "Object", absence),
    };
    if !devices.active.contains_key(&device) {
        return Err(NONE);
    }
    let keys = state.store().own_keys(DeviceAddress::new(&user, &device)).await?.ok_or(NONE)?;
    let mut package = keys.package(state.origin(), &user, &device);
    package.device_set = Some(devices.set);
    Ok(respond::cached(negotiate::negotiated(&headers, &in_context(package.to_value())), FRESH_SECONDS))
}
