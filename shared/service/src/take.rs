//! Taking key packages, for whoever may: a device here, a device through its own outbox, another server.
//! `docs/protocol.md`, section 4.

use eko_protocol::actor::RemoteActor;
use eko_protocol::address::UserName;
use eko_protocol::id::DeviceId;
use eko_protocol::key_package::{KeyPackage, Target};
use eko_protocol::{Invalid, collection};
use eko_store::devices::UserDevices;
use eko_store::one_time_keys::{TakeBudget, TakenPackage, TakerLimit};
use serde_json::Value;

use crate::caller::{Caller, inactive};
use crate::{AppState, Problem};

/// Whose packages a `Take` asks for, here.
pub fn local_target(target: Target) -> Result<(UserName, Option<Vec<DeviceId>>), Problem> {
    match target {
        Target::All(user) => Ok((user, None)),
        Target::Some(user, devices) => Ok((user, Some(devices))),
        Target::Handle(_) | Target::Remote(..) => Err(Invalid::at("/object", "is on another server").into()),
    }
}

/// A device of ours takes packages of a user here: one BatchGetItem for both device sets, an UpdateItem a
/// device, one BatchGetItem for the keys. Answers the collection.
pub async fn by_device(
    state: &AppState,
    caller: &Caller,
    user: &UserName,
    wanted: Option<Vec<DeviceId>>,
) -> Result<Value, Problem> {
    let [own, target] = state.store().device_sets([&caller.user, user]).await?;
    let own = own.ok_or(Problem::DeviceRevoked)?;
    if !own.active.contains_key(&caller.device) {
        return Err(inactive(&own, &caller.device));
    }
    let target = target.ok_or(Problem::NotFound("user"))?;
    let taker = state.origin().actor(&caller.user);
    let budget = TakeBudget {
        each: vec![TakerLimit { taker: &taker, most: state.config().take_budget }],
        total: state.config().take_total_budget,
    };
    take(state, &budget, user, &target, wanted).await
}

/// An actor on another server takes packages of a user here: one GetItem for the device set, an UpdateItem a
/// device, one BatchGetItem for the keys. Its server has a budget of its own beside the actor's, since a server
/// may have as many actors as it likes.
pub async fn by_server(
    state: &AppState,
    actor: &RemoteActor,
    user: &UserName,
    wanted: Option<Vec<DeviceId>>,
) -> Result<Value, Problem> {
    let target = state.store().device_set(user).await?.ok_or(Problem::NotFound("user"))?;
    let server = actor.origin().map(|origin| origin.to_string()).unwrap_or_default();
    let config = state.config();
    let budget = TakeBudget {
        each: vec![
            TakerLimit { taker: &actor.id, most: config.take_budget },
            TakerLimit { taker: &server, most: config.take_server_budget },
        ],
        total: config.take_total_budget,
    };
    take(state, &budget, user, &target, wanted).await
}

async fn take(
    state: &AppState,
    budget: &TakeBudget<'_>,
    user: &UserName,
    target: &UserDevices,
    wanted: Option<Vec<DeviceId>>,
) -> Result<Value, Problem> {
    let devices = match wanted {
        None => target.active.keys().cloned().collect(),
        Some(devices) => {
            if let Some(index) = devices.iter().position(|device| !target.active.contains_key(device)) {
                return Err(
                    Invalid::at(format!("/object/{index}"), "is no package of an active device").into()
                );
            }
            devices
        }
    };
    let taken = state.store().take_keys(user, &devices, budget, state.now_ms()).await?;
    let packages = taken.into_iter().map(|(device, taken)| package(state, user, &device, taken));
    let packages: Vec<KeyPackage> = packages.collect();
    Ok(collection::key_packages(state.origin(), user, &packages, Some(&target.set)))
}

fn package(state: &AppState, user: &UserName, device: &DeviceId, taken: TakenPackage) -> KeyPackage {
    let keys = taken.keys;
    let mut package = KeyPackage::new(
        state.origin(),
        user,
        device,
        keys.identity_key,
        keys.registration_id,
        keys.signed_pre_key,
        keys.last_resort,
    );
    package.pre_key = taken.pre_key;
    if taken.kyber_pre_key.is_some() {
        package.kyber_pre_key = taken.kyber_pre_key;
    }
    package
}
