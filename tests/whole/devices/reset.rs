//! Resets: a new device takes over a user's chain after a fresh sign-in, and all others are
//! revoked.

use eko_client::device::{JoinKind, RegistrationStatus};
use eko_protocol::chain::{ChainPosition, NextNode, NodeKind};
use eko_testkit::{BARE, refusal, refused};
use serde_json::Value;

use super::append;
use crate::people::{alice_and_bob, alice_and_bobs_two, sign_in_again};
use crate::redactions::redacted;
use crate::requests::{get, post_registration};
use crate::variants::without;

#[tokio::test]
async fn a_reset_revokes_all_others_and_everyone_sees_it() {
    let (world, alice, bob, second) = alice_and_bobs_two().await;
    let waiting = world.pending(&bob, "three").await;
    world.send(&alice, &[&bob, &second]).await;
    world.deliver().await;
    let seen = alice.chain(bob.user()).await.unwrap().1;

    let fresh = world.device("bob", "four", BARE);
    let registered = fresh.register(&world.id_token("bob").await, JoinKind::Reset).await.unwrap();
    assert_eq!((registered.status, registered.device_set.length), (RegistrationStatus::Active, 3));
    for device in [&bob, &second, &waiting] {
        assert_eq!(refused(device.fetch().await), "401 device-revoked");
        assert_eq!(refused(device.refresh().await), "401 unauthenticated");
    }
    let _redacted = redacted();
    let chain = get(&alice, "/user/bob/devices").await;
    insta::assert_json_snapshot!("chain_with_a_reset", chain.json().unwrap()["orderedItems"][2]);
    let (nodes, state) = alice.chain(bob.user()).await.unwrap();
    assert!(matches!(nodes[2].kind(), NodeKind::Reset(_)));
    assert_eq!(nodes[2].prev(), seen.position.head.as_deref());
    assert_eq!(state.active.keys().collect::<Vec<_>>(), [fresh.id()]);
    assert_eq!(fresh.pending_devices().await.unwrap(), []);
    // The mailboxes of the revoked devices are gone: the new device gets nothing of theirs.
    assert_eq!(fresh.fetch().await.unwrap().entries, []);
    assert_eq!(world.stored().await.keys("D#bob#", "M#").len(), 0);
}

#[tokio::test]
async fn a_reset_needs_a_fresh_sign_in_of_its_own_user() {
    let (world, alice, bob) = alice_and_bob().await;
    let fresh = world.device("bob", "two", BARE);
    let token = world.id_token("bob").await;
    let position = bob.chain(bob.user()).await.unwrap().1.position;
    let reset = fresh.registration(Some(fresh.reset_node(&position).unwrap()));
    let before = world.stored().await;
    let send = async |body: &Value, token: &str| refusal(&post_registration(&fresh, token, body).await);
    // A sign-in accepts a token for a minute after its end. A reset does not.
    world.advance(601_000);
    assert_eq!(send(&reset, &token).await, "401 unauthenticated");
    let token = world.id_token("bob").await;
    // A fresh sign-in of Alice does not reset Bob's chain.
    assert_eq!(send(&reset, &world.id_token("alice").await).await, "409 account-exists");
    let nameless = without(&reset, "", "username");
    assert_eq!(send(&nameless, &world.id_token("alice").await).await, "422 invalid #/possession");
    // An active device can neither append a reset without a sign-in nor sign the reset of another
    // device.
    sign_in_again(&world, &bob).await;
    assert_eq!(append(&bob, &reset["node"]).await, "422 invalid #/type");
    let other = NextNode::new(bob.origin(), bob.user(), &position, world.now_ms()).reset(&fresh.described());
    let body = fresh.registration(Some(bob.sign_node(other).unwrap()));
    assert_eq!(send(&body, &token).await, "422 invalid #/node/proof/verificationMethod");
    // The node of a reset is neither a first node nor one on another head.
    let body = fresh.registration(Some(fresh.first_node().unwrap()));
    assert_eq!(send(&body, &token).await, "422 invalid #/node/type");
    let elsewhere = ChainPosition { length: 1, head: Some("0".repeat(64)) };
    let body = fresh.registration(Some(fresh.reset_node(&elsewhere).unwrap()));
    assert_eq!(send(&body, &token).await, "409 stale-head");
    let sessions = |pk: &str| pk.starts_with("S#") || pk.starts_with("D#bob#");
    let changed = world.stored().await.difference(&before);
    assert!(changed.iter().all(|(pk, _)| sessions(pk)), "{changed:?}");
    assert_eq!(alice.chain(bob.user()).await.unwrap().1.position, position);
}
