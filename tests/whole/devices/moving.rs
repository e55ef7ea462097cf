//! Moves: the node that ends a chain, and what the account answers from then on.

use eko_client::Device;
use eko_client::device::JoinKind;
use eko_protocol::chain::{MoveTarget, check_move};
use eko_testkit::{BARE, ChainChanges as _, DirectTransport, World, envelope, refused};
use serde_json::{Value, json};

use super::append;
use crate::HOUR_MS;
use crate::export::{export, of_kind};
use crate::people::{alice_and_bob, sign_in_again};
use crate::requests::get;

/// Registers the account `robert`, which takes over from Bob's.
async fn robert(world: &World, bob: &Device<DirectTransport>) -> Device<DirectTransport> {
    let robert = world.device("robert", "one", BARE);
    let token = world.id_token(&robert).await;
    robert.register(&token, JoinKind::FirstAfter(bob.actor())).await.unwrap();
    robert
}

/// Returns the node by which a device moves its user to the account of another one.
async fn departure(of: &Device<DirectTransport>, to: &Device<DirectTransport>) -> Value {
    let (nodes, _) = of.chain(to.user()).await.unwrap();
    let position = of.chain(of.user()).await.unwrap().1.position;
    let target = MoveTarget { actor: to.actor(), root: nodes[0].hash() };
    of.departure(&position, &target).unwrap()
}

#[tokio::test]
async fn a_move_ends_an_account_and_leads_to_the_next_one() {
    let (world, alice, bob) = alice_and_bob().await;
    let second = world.further(&bob, "two").await;
    let early = envelope(&alice, &[&bob, &second]);
    let answered = alice.send(&early).await.unwrap();
    let of_bob = envelope(&bob, &[&alice]);
    bob.send(&of_bob).await.unwrap();
    world.deliver().await;
    let robert = robert(&world, &bob).await;
    let node = departure(&bob, &robert).await;
    assert!(append(&bob, &node).await.starts_with("201 "));
    // The answer may have been lost.
    assert!(append(&bob, &node).await.starts_with("201 "));

    let (old, state) = alice.chain(bob.user()).await.unwrap();
    let (new, _) = alice.chain(robert.user()).await.unwrap();
    assert_eq!(check_move(&old, &new), Ok(()));
    assert!(state.position.has_moved);
    let actor = get(&alice, "/user/bob").await.json().unwrap();
    assert_eq!((&actor["movedTo"], &actor["alsoKnownAs"]), (&json!(robert.actor()), &json!(null)));
    let actor = get(&alice, "/user/robert").await.json().unwrap();
    assert_eq!((&actor["movedTo"], &actor["alsoKnownAs"]), (&json!(null), &json!([bob.actor()])));

    // Who has lost the answer of what was accepted gets it again, and nothing is there twice.
    assert_eq!(alice.send(&early).await.unwrap(), answered);
    bob.send(&of_bob).await.unwrap();
    world.deliver().await;
    assert_eq!(alice.fetch().await.unwrap().entries.len(), 1);
    // What came before is read. Nothing else comes any more, and nothing else goes.
    let to_bob = envelope(&alice, &[&bob, &second]);
    assert_eq!(refused(alice.send(&to_bob).await), "410 user-moved");
    assert_eq!(refused(alice.take(bob.user()).await), "410 user-moved");
    for device in [&bob, &second] {
        assert_eq!(device.fetch().await.unwrap().entries.len(), 1);
        assert_eq!(refused(device.send(&envelope(device, &[&alice])).await), "410 account-moved");
        assert_eq!(refused(device.take(alice.user()).await), "410 account-moved");
    }
    // The new account is one like any other.
    world.send(&alice, &[&robert]).await;
    world.send(&robert, &[&alice]).await;
    world.deliver().await;
    assert_eq!(robert.fetch().await.unwrap().entries.len(), 1);
}

#[tokio::test]
async fn nothing_follows_a_move() {
    let (world, alice, bob) = alice_and_bob().await;
    let second = world.further(&bob, "two").await;
    let robert = robert(&world, &bob).await;
    let waiting = world.pending(&bob, "three").await;
    assert!(append(&bob, &departure(&bob, &robert).await).await.starts_with("201 "));
    let before = world.stored().await;
    let position = alice.chain(bob.user()).await.unwrap().1.position;
    let alices = MoveTarget { actor: alice.actor(), root: "ab".repeat(32) };
    for (what, node) in [
        ("an approval", super::add_node(&bob, &position, &waiting)),
        ("a revocation", bob.revocation(&position, second.id()).unwrap()),
        ("another move", bob.departure(&position, &alices).unwrap()),
        ("another move by another device", second.departure(&position, &alices).unwrap()),
    ] {
        assert_eq!(append(&bob, &node).await, "410 account-moved", "{what}");
    }
    let fresh = world.device("bob", "four", BARE);
    let token = world.id_token(&fresh).await;
    assert_eq!(refused(fresh.register(&token, JoinKind::Reset).await), "410 account-moved");
    assert_eq!(refused(fresh.register(&token, fresh.as_further()).await), "410 account-moved");
    assert_eq!(world.stored().await.difference(&before), []);
    world.deliver().await;
}

#[tokio::test]
async fn only_an_active_device_moves_its_own_user() {
    let (world, alice, bob) = alice_and_bob().await;
    let second = world.further(&bob, "two").await;
    let robert = robert(&world, &bob).await;
    let node = departure(&second, &robert).await;
    bob.revoke(second.id()).await.unwrap();
    let before = world.stored().await;
    // The revoked device cannot ask, and nobody else can with what it has signed.
    assert_eq!(append(&second, &departure(&bob, &robert).await).await, "401 device-revoked");
    assert_eq!(append(&bob, &node).await, "409 stale-head");
    let position = bob.chain(bob.user()).await.unwrap().1.position;
    let target = MoveTarget { actor: robert.actor(), root: "ab".repeat(32) };
    let late = second.departure(&position, &target).unwrap();
    assert_eq!(append(&bob, &late).await, "422 invalid #/proof/verificationMethod");
    assert_eq!(append(&alice, &departure(&bob, &robert).await).await, "422 invalid #/device");
    let to_itself = MoveTarget { actor: bob.actor(), ..target };
    let to_itself = bob.departure(&position, &to_itself).unwrap();
    assert_eq!(append(&bob, &to_itself).await, "422 invalid #/target");
    assert_eq!(world.stored().await.difference(&before), []);
    assert_eq!(get(&alice, "/user/bob").await.json().unwrap()["movedTo"], json!(null));
}

/// The account that was left is its user's still, until it is deleted. Then nothing says where the user is.
#[tokio::test]
async fn an_account_that_was_left_is_exported_and_deleted() {
    let (world, alice, bob) = alice_and_bob().await;
    let robert = robert(&world, &bob).await;
    assert!(append(&bob, &departure(&bob, &robert).await).await.starts_with("201 "));
    for (device, member, actor) in [(&bob, "movedTo", robert.actor()), (&robert, "movedFrom", bob.actor())] {
        let exported = export(device).await;
        assert_eq!(of_kind(&exported, "DeviceSet")[0][member], json!(actor));
    }
    world.advance(HOUR_MS);
    sign_in_again(&world, &bob).await;
    bob.delete_account(&world.id_token(&bob).await).await.unwrap();
    world.erase().await;
    let gone = get(&alice, "/user/bob").await;
    let document = gone.json().unwrap();
    assert_eq!((gone.status.as_u16(), &document["movedTo"]), (410, &json!(null)));
    sign_in_again(&world, &alice).await;
    assert_eq!(refused(alice.send(&envelope(&alice, &[&bob])).await), "410 user-deleted");
    assert_eq!(world.stored().await.keys("U#bob", "").len(), 1, "the tombstone");
}

/// A move and a revocation race for one place.
#[tokio::test]
async fn a_move_that_races_with_another_node_wins_or_loses_whole() {
    let (world, alice, bob) = alice_and_bob().await;
    let second = world.further(&bob, "two").await;
    let robert = robert(&world, &bob).await;
    let position = bob.chain(bob.user()).await.unwrap().1.position;
    let revocation = second.revocation(&position, bob.id()).unwrap();
    let node = departure(&bob, &robert).await;
    let (moving, revoking) = tokio::join!(append(&bob, &node), append(&second, &revocation));
    let actor = get(&alice, "/user/bob").await.json().unwrap();
    match moving.starts_with("201 ") {
        true => {
            assert_eq!(actor["movedTo"], json!(robert.actor()));
            assert!(["409 stale-head", "410 account-moved"].contains(&revoking.as_str()), "{revoking}");
        }
        false => {
            assert_eq!((revoking.starts_with("201 "), &actor["movedTo"]), (true, &json!(null)));
            assert!(["409 stale-head", "401 device-revoked"].contains(&moving.as_str()), "{moving}");
        }
    }
}
