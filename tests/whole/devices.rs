//! The device chain (`docs/protocol.md`, section 3): how devices join and leave, and what each may
//! do.

mod erasure;
mod ids;
mod joining;
mod moving;
mod nodes;
mod reset;
mod revocation;
mod times;
mod turned_away;

use eko_client::Device;
use eko_protocol::chain::{ChainPosition, NextNode};
use eko_protocol::id::EntryKey;
use eko_protocol::key::JoiningMac;
use eko_testkit::{DirectTransport, World, envelope, refusal, refused};
use serde_json::{Value, json};

use crate::requests::post;

/// Returns a node that adds this device at the end of its user's chain, signed by `signer`.
pub(crate) async fn approval(signer: &Device<DirectTransport>, device: &Device<DirectTransport>) -> Value {
    let position = signer.chain(signer.user()).await.unwrap().1.position;
    add_node(signer, &position, device)
}

/// Returns a node that adds this device at `position` of its user's chain, signed by `signer`.
fn add_node(
    signer: &Device<DirectTransport>,
    position: &ChainPosition,
    device: &Device<DirectTransport>,
) -> Value {
    let now_ms = signer.environment().now_ms();
    let next = NextNode::new(signer.origin(), signer.user(), position, now_ms);
    // The server cannot tell a true approval from a false one.
    let node = next.approve(&device.described(), &JoiningMac::from([6; 32]));
    signer.sign_node(node).unwrap()
}

/// Posts a node to the device's own chain and returns the answer in one line.
async fn append(device: &Device<DirectTransport>, node: &Value) -> String {
    let path = format!("/user/{}/devices", device.user());
    refusal(&post(device, &path, node).await)
}

/// Has a device try everything that an active device may do, and returns each refusal in one line.
///
/// Asserts that nothing was stored by it.
async fn try_everything(
    world: &World,
    device: &mut Device<DirectTransport>,
    friend: &Device<DirectTransport>,
) -> Vec<String> {
    let environment = device.environment().clone();
    let keys = device.keys_mut().more(1, 0, &environment).unwrap();
    let rotated = device.keys_mut().rotate(&environment).unwrap();
    let node = approval(device, device).await;
    let digest = json!({ "type": "Check", "digest": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=" });
    let packages = device.origin().key_packages(device.user());
    let check = post(device, &packages, &digest).await;
    let entry = device.origin().entry(device.user(), &EntryKey::new(0, &friend.actor(), "x"));
    let before = world.stored().await;
    let refusals = vec![
        format!("fetch: {}", refused(device.fetch().await)),
        format!("send: {}", refused(device.send(&envelope(device, &[friend])).await)),
        format!("take: {}", refused(device.take(friend.user()).await)),
        format!("take through the outbox: {}", refused(device.take_through_outbox(friend.user()).await)),
        format!("publish: {}", refused(device.publish(&keys).await)),
        format!("rotate: {}", refused(device.publish(&rotated).await)),
        format!("check: {}", refusal(&check)),
        format!("append: {}", append(device, &node).await),
        format!("acknowledge: {}", refused(device.acknowledge(std::slice::from_ref(&entry)).await)),
        format!("discard: {}", refused(device.discard(&entry).await)),
    ];
    assert_eq!(world.stored().await.difference(&before), []);
    refusals
}
