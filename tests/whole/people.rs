//! Servers with the people of most tests: Alice with one device, and Bob with one or two.

use eko_client::Device;
use eko_testkit::{DirectTransport, World};

/// Starts a server with Alice and Bob, who have one device each.
pub(crate) async fn alice_and_bob() -> (World, Device<DirectTransport>, Device<DirectTransport>) {
    let world = World::new().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    (world, alice, bob)
}

/// Starts a server with Alice, who has one device, and Bob, who has two.
pub(crate) async fn alice_and_bobs_two()
-> (World, Device<DirectTransport>, Device<DirectTransport>, Device<DirectTransport>) {
    let (world, alice, bob) = alice_and_bob().await;
    let second = world.further(&bob, "two").await;
    (world, alice, bob, second)
}

/// Signs a device in again with a fresh ID token of its user, after its tokens have expired.
pub(crate) async fn sign_in_again(world: &World, device: &Device<DirectTransport>) {
    device.sign_in_again(&world.id_token(device).await).await.unwrap();
}

/// Starts a server that lets a device send as many envelopes a minute as a test needs.
pub(crate) async fn generous_server() -> World {
    World::with(|config| config.limits.sender_budget = 100_000).await
}
