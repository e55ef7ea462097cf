//! Nodes of the chain: one of two that race is appended, and a wrong one changes nothing.

use eko_client::Device;
use eko_client::device::JoinKind;
use eko_protocol::chain::{ChainPosition, NewDevice, NextNode, possession_base};
use eko_protocol::key::JoiningMac;
use eko_testkit::{BARE, ChainChanges as _, DirectTransport, World, refusal};
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{add_node, append, approval};
use crate::people::alice_and_bob;
use crate::requests::{get, post};
use crate::variants::{changed, with, without};
use crate::{DAY_MS, SECOND_MS};

/// To a client that has seen a longer chain, an old copy is a server that hides something.
#[tokio::test]
async fn no_cache_keeps_a_chain() {
    let world = World::new().await;
    let bob = world.user("bob").await;
    let answer = get(&bob, "/user/bob/devices").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["cache-control"], "no-store");
}

#[tokio::test]
async fn of_two_appends_at_once_one_wins() {
    let world = World::new().await;
    let bob = world.user("bob").await;
    let waiting = [world.pending(&bob, "two").await, world.pending(&bob, "three").await];
    let position = bob.chain(bob.user()).await.unwrap().1.position;
    let nodes = waiting.each_ref().map(|device| add_node(&bob, &position, device));
    let path = "/user/bob/devices";
    let answers = join_all(nodes.iter().map(|node| post(&bob, path, node))).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    let lost = answers.iter().find(|answer| answer.status == 409).unwrap();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
    assert_eq!(refusal(lost), "409 stale-head");
    // The problem tells the loser the new head, and a node on top of that head is appended.
    let state = bob.chain(bob.user()).await.unwrap().1;
    assert_eq!(lost.problem().unwrap().device_set, state.device_set().reference());
    insta::assert_json_snapshot!(lost.json().unwrap(), {
        ".instance" => "[request id]", ".head" => "[head]", "[\"eko:deviceSet\"].head" => "[head]",
    }, @r#"
    {
      "detail": "build the node on the current head",
      "eko:deviceSet": {
        "head": "[head]",
        "length": 2
      },
      "instance": "[request id]",
      "status": 409,
      "title": "The device chain has grown",
      "type": "https://eko.example/problems/stale-head"
    }
    "#);
    assert_eq!(state.active.len(), 2);
    let loser = waiting.iter().find(|device| !state.active.contains_key(device.id())).unwrap();
    bob.approve(loser.id()).await.unwrap();
    assert_eq!(bob.chain(bob.user()).await.unwrap().1.active.len(), 3);
    world.deliver().await;
}

#[tokio::test]
async fn a_node_that_is_wrong_changes_nothing() {
    let (world, alice, bob) = alice_and_bob().await;
    let revoked = world.further(&bob, "two").await;
    bob.revoke(revoked.id()).await.unwrap();
    let waiting = world.pending(&bob, "three").await;
    let theirs = world.pending(&alice, "two").await;
    world.deliver().await;
    let stranger = world.device("bob", "four", BARE);
    let position = bob.chain(bob.user()).await.unwrap().1.position;
    let good = add_node(&bob, &position, &waiting);
    let add_at = |position: ChainPosition| add_node(&bob, &position, &waiting);
    let revoke = |device: &Device<DirectTransport>| {
        let now_ms = world.now_ms();
        let node = NextNode::new(bob.origin(), bob.user(), &position, now_ms).revoke(device.id());
        bob.sign_node(node).unwrap()
    };
    let changed = |pointer: &str, to: Value| changed(&good, pointer, to);
    let with = |name: &str, value: Value| with(&good, name, value);
    let without = |name: &str| without(&good, "", name);
    let mut described = waiting.described();
    described.identity_key = bob.described().identity_key;
    let of = |described| {
        NextNode::new(bob.origin(), bob.user(), &position, world.now_ms())
            .approve(described, &JoiningMac::from([6; 32]))
    };
    let mut possessed = waiting.described();
    possessed.possession = bob.described().possession;
    let first = serde_json::to_value(bob.chain(bob.user()).await.unwrap().0[0].to_value()).unwrap();
    let behind = ChainPosition { length: 2, ..position.clone() };
    let ahead = ChainPosition { length: position.length + 1, ..position.clone() };
    let forked = ChainPosition { head: Some("0".repeat(64)), ..position.clone() };
    let cases: Vec<(&str, Value, &str)> = vec![
        ("seq that was", add_at(behind), "409 stale-head"),
        ("seq to come", add_at(ahead), "409 stale-head"),
        ("another previous", add_at(forked), "409 stale-head"),
        ("the first node again", first.clone(), "409 stale-head"),
        ("previous that is no hash", changed("/previous", json!("abc")), "422 invalid #/previous"),
        ("no previous", without("previous"), "409 stale-head"),
        ("no approval", without("approvalMac"), "422 invalid #/approvalMac"),
        ("an approval that is none", changed("/approvalMac", json!("AAAA")), "422 invalid #/approvalMac"),
        (
            "a bad proof",
            changed("/published", json!("2026-01-29T19:30:01Z")),
            "422 invalid #/proof/proofValue",
        ),
        (
            "a proof of other bytes",
            changed("/proof/proofValue", first["proof"]["proofValue"].clone()),
            "422 invalid #/proof/proofValue",
        ),
        ("a proof that is none", changed("/proof/proofValue", json!("z1")), "422 invalid #/proof/proofValue"),
        (
            "another cryptosuite",
            changed("/proof/cryptosuite", json!("none")),
            "422 invalid #/proof/cryptosuite",
        ),
        ("no proof", without("proof"), "422 invalid #/proof"),
        (
            "signed by a revoked device",
            add_node(&revoked, &position, &waiting),
            "422 invalid #/proof/verificationMethod",
        ),
        (
            "signed by itself",
            add_node(&waiting, &position, &waiting),
            "422 invalid #/proof/verificationMethod",
        ),
        (
            "signed by another user",
            changed("/proof/verificationMethod", json!(alice.address())),
            "422 invalid #/proof/verificationMethod",
        ),
        ("copied from another user", approval(&alice, &theirs).await, "422 invalid #/device"),
        ("about another user's device", changed("/device", json!(theirs.address())), "422 invalid #/device"),
        ("another actor", changed("/actor", json!(alice.actor())), "422 invalid #/actor"),
        ("another id", changed("/id", json!("https://eko.example/user/bob/devices/0")), "422 invalid #/id"),
        (
            "another context",
            changed("/@context/1", json!("https://evil.example/ns")),
            "422 invalid #/@context",
        ),
        (
            "another key package",
            changed("/keyPackage", json!(bob.origin().key_package(bob.user(), bob.id()))),
            "422 invalid #/keyPackage",
        ),
        ("another identity key", bob.sign_node(of(&described)).unwrap(), "422 invalid #/possession"),
        ("another's possession", bob.sign_node(of(&possessed)).unwrap(), "422 invalid #/possession"),
        ("a device that does not wait", add_node(&bob, &position, &stranger), "422 invalid #/device"),
        ("a device that is active", add_node(&bob, &position, &bob), "422 invalid #/device"),
        ("a device that was revoked", add_node(&bob, &position, &revoked), "422 invalid #/device"),
        ("revokes what waits", revoke(&waiting), "422 invalid #/device"),
        ("revokes what was revoked", revoke(&revoked), "422 invalid #/device"),
        ("a member more", with("extra", json!(1)), "422 invalid #/extra"),
        ("a member that is null", with("possession", Value::Null), "422 invalid #/possession"),
        ("a member less", without("registrationId"), "422 invalid #"),
        ("another type", changed("/type/1", json!("Note")), "422 invalid #/type/1"),
        ("a type that is no array", with("type", json!("AddDevice")), "422 invalid #/type"),
        ("no object", json!([]), "422 invalid #"),
    ];
    let before = world.stored().await;
    for (name, node, expected) in &cases {
        assert_eq!(append(&bob, node).await, *expected, "{name}");
    }
    // Alice cannot append the good node to Bob's chain.
    let answer = post(&alice, "/user/bob/devices", &good).await;
    assert_eq!(refusal(&answer), "403 not-owner");
    assert_eq!(world.stored().await.difference(&before), []);
    assert!(append(&bob, &good).await.starts_with("201 "));
}

/// A device that is approved under a pending id has the keys that were registered under it. The
/// possession is right in both cases.
#[tokio::test]
async fn other_keys_under_a_pending_id_are_not_approved() {
    let world = World::new().await;
    let bob = world.user("bob").await;
    let (waiting, stranger) = (world.pending(&bob, "two").await, world.device("bob", "three", BARE));
    world.deliver().await;
    let position = bob.chain(bob.user()).await.unwrap().1.position;
    let (registered, foreign) = (waiting.described(), stranger.described());
    let described = |holder: &Device<DirectTransport>, registration_id| {
        let identity = holder.keys().identity();
        let base = possession_base(&bob.actor(), &waiting.address(), &identity.public(), registration_id);
        NewDevice {
            id: waiting.id().clone(),
            identity_key: identity.public(),
            registration_id,
            possession: identity.sign(&base, holder.environment()),
        }
    };
    assert_ne!(registered.registration_id, foreign.registration_id);
    let before = world.stored().await;
    for (device, expected) in [
        (described(&stranger, registered.registration_id), "422 invalid #/identityKey"),
        (described(&waiting, foreign.registration_id), "422 invalid #/registrationId"),
        (described(&stranger, foreign.registration_id), "422 invalid #/identityKey"),
    ] {
        let node = NextNode::new(bob.origin(), bob.user(), &position, world.now_ms())
            .approve(&device, &JoiningMac::from([6; 32]));
        assert_eq!(append(&bob, &bob.sign_node(node).unwrap()).await, expected);
    }
    assert_eq!(world.stored().await.difference(&before), []);
    bob.approve(waiting.id()).await.unwrap();
}

/// A thief with a device of the user adds and revokes devices as fast as he can. After sixteen he
/// has to wait for the next day. Everybody may still revoke, and the owner may reset.
#[tokio::test]
async fn a_day_has_sixteen_additions() {
    let world = World::new().await;
    let bob = world.user("bob").await;
    world.advance(DAY_MS - world.now_ms().rem_euclid(DAY_MS) - 60 * SECOND_MS);
    bob.refresh().await.unwrap();
    for label in 0..16 {
        let device = world.further(&bob, &format!("thief {label}")).await;
        bob.revoke(device.id()).await.unwrap();
    }
    let waiting = world.pending(&bob, "waiting").await;
    world.deliver().await;
    let before = world.stored().await;
    let node = approval(&bob, &waiting).await;
    let refused = post(&bob, "/user/bob/devices", &node).await;
    assert_eq!(refusal(&refused), "429 too-many");
    let left_s = (DAY_MS - world.now_ms().rem_euclid(DAY_MS)).unsigned_abs().div_ceil(1000);
    assert_eq!(refused.headers["retry-after"], left_s.to_string().as_str());
    assert_eq!(world.stored().await.difference(&before), []);
    // A reset is possible, and gives no further additions on the same day.
    let fresh = world.device("bob", "fresh", BARE);
    fresh.register(&world.id_token(&fresh).await, JoinKind::Reset).await.unwrap();
    let further = world.pending(&fresh, "further").await;
    world.deliver().await;
    assert_eq!(append(&fresh, &approval(&fresh, &further).await).await, "429 too-many");
    // The server counts the nodes since the reset as everybody does who replays the chain.
    let since_reset = async || {
        let stored =
            world.state.store().device_set(fresh.user()).await.unwrap().stored().unwrap().since_reset();
        assert_eq!(fresh.chain(fresh.user()).await.unwrap().1.since_reset, stored);
        stored
    };
    assert_eq!(since_reset().await, 1);
    world.advance(DAY_MS - world.now_ms().rem_euclid(DAY_MS));
    fresh.approve(further.id()).await.unwrap();
    fresh.revoke(further.id()).await.unwrap();
    assert_eq!(since_reset().await, 3);
    world.erase().await;
}
