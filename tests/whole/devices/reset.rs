//! Resets: a new device takes over a user's chain after a fresh sign-in, and all others are
//! revoked.

use eko_client::device::{JoinKind, RegistrationProof, RegistrationStatus};
use eko_client::{Device, IdToken};
use eko_protocol::chain::{ChainPosition, NextNode, NodeKind};
use eko_testkit::{BARE, ChainChanges as _, DirectTransport, World, post_registration, refusal, refused};
use serde_json::{Value, json};

use super::append;
use crate::people::{alice_and_bob, alice_and_bobs_two, sign_in_again};
use crate::redactions::redacted;
use crate::requests::get;
use crate::variants::without;
use crate::{DAY_MS, MINUTE_MS, SECOND_MS};

#[tokio::test]
async fn a_reset_revokes_all_others_and_everyone_sees_it() {
    let (world, alice, bob, second) = alice_and_bobs_two().await;
    let waiting = world.pending(&bob, "three").await;
    world.send(&alice, &[&bob, &second]).await;
    world.deliver().await;
    let seen = alice.chain(bob.user()).await.unwrap().1;

    let fresh = world.device("bob", "four", BARE);
    let registered = fresh.register(&world.id_token(&fresh).await, JoinKind::Reset).await.unwrap();
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
    assert_eq!(nodes[2].previous(), seen.position.head.as_deref());
    assert_eq!(state.active.keys().collect::<Vec<_>>(), [fresh.id()]);
    assert_eq!(fresh.pending_devices().await.unwrap(), []);
    // The mailboxes of the revoked devices go: the new device gets nothing of theirs.
    assert_eq!(fresh.fetch().await.unwrap().entries, []);
    world.erase().await;
    assert_eq!(world.stored().await.keys("D#bob#", "M#").len(), 0);
}

#[tokio::test]
async fn a_reset_needs_a_fresh_sign_in_of_its_own_user() {
    let (world, alice, bob) = alice_and_bob().await;
    let fresh = world.device("bob", "two", BARE);
    let token = world.id_token(&fresh).await;
    let position = bob.chain(bob.user()).await.unwrap().1.position;
    let reset = fresh.registration(RegistrationProof::Node(fresh.reset_node(&position).unwrap()));
    let before = world.stored().await;
    let send = async |body: &Value, token: &IdToken| refusal(&post_registration(&fresh, token, body).await);
    // A sign-in accepts a token for a minute after its end. A reset does not.
    world.advance(601_000);
    assert_eq!(send(&reset, &token).await, "401 unauthenticated");
    let token = world.id_token(&fresh).await;
    // A fresh sign-in of Alice does not reset Bob's chain.
    let hers = world.id_token_of("alice", &fresh).await;
    assert_eq!(send(&reset, &hers).await, "409 account-exists");
    let nameless = without(&reset, "", "username");
    assert_eq!(send(&nameless, &hers).await, "422 invalid #/possession");
    // An active device can neither append a reset without a sign-in nor sign the reset of another
    // device.
    sign_in_again(&world, &bob).await;
    assert_eq!(append(&bob, &reset["node"]).await, "422 invalid #/type");
    let other = NextNode::new(bob.origin(), bob.user(), &position, world.now_ms()).reset(&fresh.described());
    let body = fresh.registration(RegistrationProof::Node(bob.sign_node(other).unwrap()));
    assert_eq!(send(&body, &token).await, "422 invalid #/node/proof/verificationMethod");
    // The node of a reset is neither a first node nor one on another head.
    let body = fresh.registration(RegistrationProof::Node(fresh.first_node().unwrap()));
    assert_eq!(send(&body, &token).await, "422 invalid #/node/type");
    let elsewhere =
        ChainPosition { length: 1, head: Some("0".repeat(64)), published_ms: None, has_moved: false };
    let body = fresh.registration(RegistrationProof::Node(fresh.reset_node(&elsewhere).unwrap()));
    assert_eq!(send(&body, &token).await, "409 stale-head");
    // A sign-in removes what the device has in the item of sockets and pushes.
    let sessions = |pk: &str, sk: &str| pk.starts_with("D#bob#") || sk == "LIVE";
    let changed = world.stored().await.difference(&before);
    assert!(changed.iter().all(|(pk, sk)| sessions(pk, sk)), "{changed:?}");
    assert_eq!(alice.chain(bob.user()).await.unwrap().1.position, position);
}

/// Returns an ID token of Bob's for his device with this label.
async fn id_token(world: &World, label: &str) -> IdToken {
    world.id_token(&world.device("bob", label, BARE)).await
}

/// Returns an ID token of Bob's for his device with this label, with other claims.
async fn id_token_with(world: &World, label: &str, change: impl FnOnce(&mut Value)) -> IdToken {
    world.id_token_with(&world.device("bob", label, BARE), change).await
}

/// Resets Bob's chain with a new device under this ID token, and returns the answer in one line.
async fn reset(world: &World, label: &str, token: &IdToken) -> String {
    let fresh = world.device("bob", label, BARE);
    let position = fresh.chain(fresh.user()).await.unwrap().1.position;
    let body = fresh.registration(RegistrationProof::Node(fresh.reset_node(&position).unwrap()));
    let answer = refusal(&post_registration(&fresh, token, &body).await);
    answer.split(" {").next().unwrap_or_default().to_owned()
}

/// A fresh token of an old sign-in is not enough, if the issuer states the time of the sign-in.
#[tokio::test]
async fn the_sign_in_is_fresh_and_not_only_its_token() {
    let world = World::new().await;
    world.user("bob").await;
    let now = world.now_ms() / 1000;
    let signed_in = async |label, time: i64| {
        id_token_with(&world, label, |claims| claims["auth_time"] = json!(time)).await
    };
    for old in [now - 601, now - 86_400, 0, i64::MIN] {
        let answer = reset(&world, "two", &signed_in("two", old).await).await;
        assert_eq!(answer, "401 unauthenticated", "{old}");
    }
    assert_eq!(reset(&world, "three", &signed_in("three", now - 600).await).await, "201");
    // Without the claim, the age of the token counts.
    let token = id_token_with(&world, "four", |claims| {
        claims.as_object_mut().unwrap().remove("auth_time");
    });
    let token = token.await;
    world.advance(600 * SECOND_MS);
    assert_eq!(reset(&world, "four", &token).await, "201");
    // A time after the token's own is not believed.
    let late = id_token_with(&world, "five", |claims| {
        claims["auth_time"] = json!(now + 1200);
        claims["iat"] = json!(now - 1);
    });
    assert_eq!(reset(&world, "five", &late.await).await, "401 unauthenticated");
    world.erase().await;
}

/// However many tokens a sign-in has, it resets once.
#[tokio::test]
async fn a_sign_in_resets_once() {
    let world = World::new().await;
    world.user("bob").await;
    let earlier = id_token(&world, "three").await;
    world.advance(10 * SECOND_MS);
    let token = id_token(&world, "three").await;
    assert_eq!(reset(&world, "two", &id_token(&world, "two").await).await, "201");
    let before = world.stored().await;
    assert_eq!(reset(&world, "three", &token).await, "401 unauthenticated");
    assert_eq!(reset(&world, "three", &earlier).await, "401 unauthenticated");
    let signed_in = world.now_ms() / 1000;
    world.advance(10 * SECOND_MS);
    let silent = id_token_with(&world, "three", |claims| claims["auth_time"] = json!(signed_in)).await;
    assert_eq!(reset(&world, "three", &silent).await, "401 unauthenticated");
    assert_eq!(world.stored().await.difference(&before), []);
    world.advance(10 * MINUTE_MS);
    assert_eq!(reset(&world, "three", &id_token(&world, "three").await).await, "201");
    world.erase().await;
}

/// Each reset doubles the pause after it, up to a day. A thief who resets as often as he may delays
/// the owner by no more than the time since he began.
#[tokio::test]
async fn each_reset_needs_a_longer_pause() {
    let world = World::new().await;
    world.user("bob").await;
    assert_eq!(reset(&world, "first", &id_token(&world, "first").await).await, "201");
    for (number, minutes) in [10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440].into_iter().enumerate() {
        world.advance(minutes * MINUTE_MS - 1);
        let label = number.to_string();
        let token = id_token(&world, &label).await;
        let before = world.stored().await;
        assert_eq!(reset(&world, &label, &token).await, "429 too-many", "{minutes}");
        assert_eq!(world.stored().await.difference(&before), []);
        world.advance(1);
        assert_eq!(reset(&world, &label, &token).await, "201", "{minutes}");
    }
    // Seven quiet days, and the pause is short again.
    for (days, early) in [(7 * DAY_MS - 1, "429 too-many"), (7 * DAY_MS, "201")] {
        world.advance(days);
        let [late, next] = ["late", "next"].map(|label| format!("{label} {days}"));
        assert_eq!(reset(&world, &late, &id_token(&world, &late).await).await, "201");
        world.advance(10 * MINUTE_MS);
        assert_eq!(reset(&world, &next, &id_token(&world, &next).await).await, early, "{days}");
    }
    world.erase().await;
}

/// The answer tells when the pause is over, and an owner who waits for it gets the reset, also if a
/// thief uses up everything that one sign-in allows.
#[tokio::test]
async fn the_owner_resets_after_a_thief() {
    let world = World::new().await;
    let bob = world.user("bob").await;
    let [stolen, again] = [id_token(&world, "thief").await, id_token(&world, "thief again").await];
    assert_eq!(reset(&world, "thief", &stolen).await, "201");
    assert_eq!(refused(bob.fetch().await), "401 device-revoked");
    world.advance(SECOND_MS);
    let fresh = world.device("bob", "owner", BARE);
    let position = fresh.chain(fresh.user()).await.unwrap().1.position;
    let body = fresh.registration(RegistrationProof::Node(fresh.reset_node(&position).unwrap()));
    let token = world.id_token(&fresh).await;
    let answer = post_registration(&fresh, &token, &body).await;
    assert_eq!(refusal(&answer), "429 too-many");
    assert_eq!(answer.headers["retry-after"], "599");
    world.advance(599 * SECOND_MS);
    assert_eq!(reset(&world, "thief again", &again).await, "401 unauthenticated");
    assert_eq!(post_registration(&fresh, &token, &body).await.status, 201);
    let (_, state) = fresh.chain(fresh.user()).await.unwrap();
    assert_eq!(state.active.keys().collect::<Vec<_>>(), [fresh.id()]);
    world.erase().await;
}

/// A reset that waits before its transaction, while this happens.
async fn reset_during(world: &World, meanwhile: impl Future<Output = ()>) -> String {
    let token = id_token(world, "fresh").await;
    let held = world.calls.hold("TransactWriteItems", 0);
    let meanwhile = async {
        held.reached().await;
        meanwhile.await;
        held.release();
    };
    let (answer, ()) = tokio::join!(reset(world, "fresh", &token), meanwhile);
    answer
}

async fn active(device: &Device<DirectTransport>) -> usize {
    device.chain(device.user()).await.unwrap().1.active.len()
}

#[tokio::test]
async fn a_reset_and_an_append_race() {
    let (world, _alice, bob, second) = alice_and_bobs_two().await;
    let revoked = async { drop(bob.revoke(second.id()).await.unwrap()) };
    assert_eq!(reset_during(&world, revoked).await, "409 stale-head");
    assert_eq!(active(&bob).await, 1);
    bob.fetch().await.unwrap();
    let waiting = world.pending(&bob, "three").await;
    world.deliver().await;
    let approved = async { drop(bob.approve(waiting.id()).await.unwrap()) };
    assert_eq!(reset_during(&world, approved).await, "409 stale-head");
    assert_eq!(active(&bob).await, 2);
    waiting.fetch().await.unwrap();
}

/// A device that registers meanwhile must not stay pending beside the new only device.
#[tokio::test]
async fn a_reset_and_a_registration_race() {
    let (world, _alice, bob) = alice_and_bob().await;
    let registered = async { drop(world.pending(&bob, "two").await) };
    assert_eq!(reset_during(&world, registered).await, "409 stale-head");
    let turned_away = async {
        let waiting = bob.pending_devices().await.unwrap();
        bob.turn_away(&waiting[0].device.id).await.unwrap();
    };
    assert_eq!(reset_during(&world, turned_away).await, "409 stale-head");
    world.deliver().await;
    bob.fetch().await.unwrap();
}

/// Of two resets at once one happens, also if they follow one sign-in.
#[tokio::test]
async fn two_resets_race() {
    let (world, _alice, bob) = alice_and_bob().await;
    let [token, again] = [id_token(&world, "other").await, id_token(&world, "again").await];
    let other = async { assert_eq!(reset(&world, "other", &token).await, "201") };
    assert_eq!(reset_during(&world, other).await, "409 stale-head");
    let (nodes, state) = world.device("bob", "reader", BARE).chain(bob.user()).await.unwrap();
    assert_eq!((nodes.len(), state.active.len()), (2, 1));
    assert_eq!(reset(&world, "again", &again).await, "401 unauthenticated");
}
