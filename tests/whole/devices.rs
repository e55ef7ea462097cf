//! The device chain (`docs/protocol.md`, section 3): how devices join and leave, and what each may do.

mod ids;
mod joining;
mod nodes;
mod reset;
mod revocation;
mod turned_away;

use eko_client::{Auth, Body, Device};
use eko_protocol::chain::{ChainPosition, UnsignedNode};
use eko_testkit::{Direct, World, envelope, refusal, refused};
use http::Method;
use serde_json::{Value, json};

/// A node that adds this device at the end of its user's chain, signed by `signer`.
async fn approval(signer: &Device<Direct>, device: &Device<Direct>) -> Value {
    let position = signer.chain(signer.user()).await.unwrap().1.position;
    add(signer, &position, device)
}

fn add(signer: &Device<Direct>, position: &ChainPosition, device: &Device<Direct>) -> Value {
    let now_ms = signer.environment().now_ms();
    let node = UnsignedNode::add(signer.origin(), signer.user(), position, &device.described(), now_ms);
    signer.sign_node(node).unwrap()
}

/// What the server says to a node.
async fn append(device: &Device<Direct>, node: &Value) -> String {
    let path = format!("/user/{}/devices", device.user());
    refusal(&device.call(Method::POST, &path, Body::Json(node), Auth::Device).await.unwrap())
}

/// What a device is told that tries everything a device may do.
async fn tries_everything(
    world: &World,
    device: &mut Device<Direct>,
    friend: &Device<Direct>,
) -> Vec<String> {
    let environment = device.environment().clone();
    let keys = device.keys_mut().more(1, 0, &environment).unwrap();
    let rotated = device.keys_mut().rotate(&environment).unwrap();
    let node = approval(device, device).await;
    let digest = json!({ "type": "Check", "digest": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=" });
    let packages = device.origin().key_packages(device.user());
    let check = device.call(Method::POST, &packages, Body::Json(&digest), Auth::Device).await.unwrap();
    let before = world.stored().await;
    let told = vec![
        format!("fetch: {}", refused(device.fetch().await)),
        format!("send: {}", refused(device.send(&envelope(device, &[friend])).await)),
        format!("take: {}", refused(device.take(friend.user()).await)),
        format!("take through the outbox: {}", refused(device.take_through_outbox(friend.user()).await)),
        format!("publish: {}", refused(device.publish(&keys).await)),
        format!("rotate: {}", refused(device.publish(&rotated).await)),
        format!("check: {}", refusal(&check)),
        format!("append: {}", append(device, &node).await),
    ];
    assert_eq!(world.stored().await.difference(&before), []);
    told
}
