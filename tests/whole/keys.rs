//! Key packages (`docs/protocol.md`, section 4): published whole or not at all, each one-time key
//! handed out once.

mod publishing;
mod races;
mod replacing;
mod taking;

use eko_client::device::PoolCount;
use eko_client::{Device, KeyCounts};
use eko_protocol::key_package::{PublicationKind, PublishedKeys};
use eko_testkit::{BARE, DirectTransport, refusal};
use serde_json::Value;

use crate::requests::post;

/// Returns the counts of a device that has this many one-time Curve25519 keys and no Kyber keys.
fn curve(pre_keys: u16) -> KeyCounts {
    KeyCounts { pre_keys, ..BARE }
}

/// Makes more one-time keys of a device, ready to be published.
fn more(device: &mut Device<DirectTransport>, pre_keys: u16, kyber_pre_keys: u16) -> PublishedKeys {
    let environment = device.environment().clone();
    device.keys_mut().more(pre_keys, kyber_pre_keys, &environment).unwrap()
}

/// Returns the counts of one-time keys that are left in the two pools of a device.
fn left(pre_keys: u64, kyber_pre_keys: u64) -> PoolCount {
    PoolCount { pre_keys, kyber_pre_keys }
}

/// Takes the key package of a user with one device, and returns the ids of its one-time Curve25519
/// and Kyber key.
///
/// Asserts that the identity key, the signed key and the one-time Curve25519 key are the device's
/// own.
async fn take(taker: &Device<DirectTransport>, of: &Device<DirectTransport>) -> (Option<u32>, Option<u32>) {
    let [package] = <[_; 1]>::try_from(taker.take(of.user()).await.unwrap().packages).unwrap();
    assert_eq!(package.identity_key, of.keys().identity().public());
    assert_eq!(package.signed_pre_key, *of.keys().signed_pre_key());
    if let Some(one_time) = &package.pre_key {
        let pair = of.keys().one_time_pair(one_time.id).expect("a key that the device made");
        assert_eq!(pair.public(), one_time.key);
    }
    (package.pre_key.map(|key| key.id.get()), package.kyber_pre_key.map(|key| key.id.get()))
}

/// Posts an `Add` with this object, signed by the device, to its own key packages and returns the
/// answer in one line.
async fn add(device: &Device<DirectTransport>, object: &Value) -> String {
    post_add(device, &signed_add(device, object, PublicationKind::Addition)).await
}

/// Returns an `Add` with this object that the device signs now.
fn signed_add(device: &Device<DirectTransport>, object: &Value, kind: PublicationKind) -> Value {
    device.add_activity(object, kind, device.environment().now_ms()).unwrap()
}

/// Posts an `Add` to the device's own key packages and returns the answer in one line.
async fn post_add(device: &Device<DirectTransport>, activity: &Value) -> String {
    refusal(&post(device, &device.origin().key_packages(device.user()), activity).await)
}
