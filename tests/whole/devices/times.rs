//! The times of a chain's nodes: they never run backwards, and nobody can push them so far ahead that
//! others cannot append.

use eko_client::Device;
use eko_client::device::JoinKind;
use eko_protocol::chain::{ChainPosition, NextNode};
use eko_testkit::{BARE, ChainChanges as _, DirectTransport, World};
use serde_json::Value;

use super::append;
use crate::DAY_MS;

/// Returns a node of this time, which may be before that of the last node.
async fn revocation_at(signer: &Device<DirectTransport>, of: &Device<DirectTransport>, ms: i64) -> Value {
    let position = signer.chain(signer.user()).await.unwrap().1.position;
    let position = ChainPosition { published_ms: None, ..position };
    let next = NextNode::new(signer.origin(), signer.user(), &position, ms);
    signer.sign_node(next.revoke(of.id())).unwrap()
}

/// Returns the time of the last node of a device's own chain.
async fn last_ms(device: &Device<DirectTransport>) -> i64 {
    device.chain(device.user()).await.unwrap().1.position.published_ms.unwrap()
}

#[tokio::test]
async fn a_node_is_not_dated_before_the_one_in_front_of_it() {
    let world = World::new().await;
    let bob = world.user("bob").await;
    let second = world.further(&bob, "two").await;
    world.advance(DAY_MS);
    bob.refresh().await.unwrap();
    let last_ms = last_ms(&bob).await;
    let before = world.stored().await;
    for ms in [last_ms - 1, last_ms - DAY_MS, 0, i64::MIN] {
        let node = revocation_at(&bob, &second, ms).await;
        assert_eq!(append(&bob, &node).await, "422 invalid #/published", "{ms}");
    }
    assert_eq!(world.stored().await.difference(&before), []);
    let node = revocation_at(&bob, &second, last_ms).await;
    assert!(append(&bob, &node).await.starts_with("201 "));
    // The server keeps the time of a reset, too.
    let fresh = world.device("bob", "fresh", BARE);
    fresh.register(&world.id_token(&fresh).await, JoinKind::Reset).await.unwrap();
    let node = revocation_at(&fresh, &fresh, last_ms).await;
    assert_eq!(append(&fresh, &node).await, "422 invalid #/published");
    world.erase().await;
}

/// A thief with a device of the user dates a node as far ahead as the server takes it. The others
/// take the time of that node, so that they can revoke the thief's device at once, and the owner can
/// reset.
#[tokio::test]
async fn a_thief_who_dates_a_node_ahead_keeps_nobody_from_revoking() {
    let world = World::new().await;
    let bob = world.user("bob").await;
    let (thief, other) = (world.further(&bob, "thief").await, world.further(&bob, "other").await);
    world.deliver().await;
    let before = world.stored().await;
    for ms in [world.now_ms() + DAY_MS + 1, i64::MAX] {
        let node = revocation_at(&thief, &other, ms).await;
        assert_eq!(append(&thief, &node).await, "422 invalid #/published", "{ms}");
    }
    assert_eq!(world.stored().await.difference(&before), []);
    let ahead_ms = world.now_ms() + DAY_MS;
    let node = revocation_at(&thief, &other, ahead_ms).await;
    assert!(append(&thief, &node).await.starts_with("201 "));

    bob.revoke(thief.id()).await.unwrap();
    assert_eq!(last_ms(&bob).await, ahead_ms);
    let fresh = world.device("bob", "fresh", BARE);
    fresh.register(&world.id_token(&fresh).await, JoinKind::Reset).await.unwrap();
    assert_eq!(last_ms(&fresh).await, ahead_ms);
    world.erase().await;
}
