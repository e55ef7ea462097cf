//! Pending devices that an active device turns away: they are refused from then on, and free their
//! places.

use eko_client::Device;
use eko_testkit::{BARE, ChainChanges as _, DirectTransport, World, refused};

use super::append;

#[tokio::test]
async fn a_pending_device_is_turned_away_for_good() {
    let world = World::new().await;
    let bob = world.user("bob").await;
    let stranger = world.pending(&bob, "two").await;
    world.deliver().await;
    world.empty(&bob).await;
    let (before, _) = bob.chain(bob.user()).await.unwrap();

    let (_, state) = bob.chain(bob.user()).await.unwrap();
    let set = state.device_set().reference().unwrap();
    let reject = |by: &Device<DirectTransport>, device: &Device<DirectTransport>| {
        by.rejection(&device.described(), &set)
    };
    bob.turn_away(stranger.id()).await.unwrap();
    assert_eq!(bob.pending_devices().await.unwrap(), []);
    assert_eq!(refused(stranger.fetch().await), "401 device-revoked");
    assert_eq!(refused(stranger.refresh().await), "401 unauthenticated");
    assert_eq!(append(&bob, &reject(&bob, &stranger)).await, "422 invalid #/object");
    let token = world.id_token(&stranger).await;
    assert_eq!(refused(stranger.register(&token, stranger.as_further()).await), "409 device-id-used");
    assert_eq!(refused(stranger.sign_in_again(&token).await), "401 device-revoked");
    // The chain never named the pending device, so it is the same as before.
    assert_eq!(bob.chain(bob.user()).await.unwrap().0, before);
    // Only a pending device can be turned away, and only an active device can do it.
    assert_eq!(append(&bob, &reject(&bob, &bob)).await, "422 invalid #/object");
    let other = world.pending(&bob, "three").await;
    world.deliver().await;
    assert_eq!(append(&other, &reject(&other, &other)).await, "403 device-pending");
    assert_eq!(append(&other, &reject(&bob, &other)).await, "403 device-pending");
}

/// The signature names the chain's head. A chain that grows before the rejection arrives, or while
/// it is answered, makes it worthless.
#[tokio::test]
async fn a_rejection_is_of_the_present_chain() {
    let world = World::new().await;
    let bob = world.user("bob").await;
    let second = world.further(&bob, "two").await;
    let stranger = world.pending(&bob, "three").await;
    world.deliver().await;
    let (_, state) = bob.chain(bob.user()).await.unwrap();
    let set = state.device_set().reference().unwrap();
    let reject = bob.rejection(&stranger.described(), &set);
    let held = world.calls.hold("TransactWriteItems", 0);
    let meanwhile = async {
        held.reached().await;
        bob.revoke(second.id()).await.unwrap();
        held.release();
    };
    let (answer, ()) = tokio::join!(append(&bob, &reject), meanwhile);
    assert_eq!(answer, "409 stale-head");
    assert_eq!(append(&bob, &reject).await, "409 stale-head");
    assert_eq!(bob.pending_devices().await.unwrap().len(), 1);
    bob.turn_away(stranger.id()).await.unwrap();
    assert_eq!(bob.pending_devices().await.unwrap(), []);
}

/// Two active devices turn the same one away at once: it is gone, and one of them is told so.
#[tokio::test]
async fn two_rejections_race() {
    let world = World::new().await;
    let bob = world.user("bob").await;
    let second = world.further(&bob, "two").await;
    let stranger = world.pending(&bob, "three").await;
    world.deliver().await;
    let (_, state) = bob.chain(bob.user()).await.unwrap();
    let set = state.device_set().reference().unwrap();
    let held = world.calls.hold("TransactWriteItems", 0);
    let meanwhile = async {
        held.reached().await;
        second.turn_away(stranger.id()).await.unwrap();
        held.release();
    };
    let reject = bob.rejection(&stranger.described(), &set);
    let (answer, ()) = tokio::join!(append(&bob, &reject), meanwhile);
    assert_eq!(answer, "422 invalid #/object");
}

#[tokio::test]
async fn turning_one_away_makes_room() {
    let world = World::new().await;
    let bob = world.user("bob").await;
    let mut waiting = Vec::new();
    for label in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        waiting.push(world.pending(&bob, label).await);
    }
    world.deliver().await;
    let ninth = world.device("bob", "i", BARE);
    let token = world.id_token(&ninth).await;
    assert_eq!(refused(ninth.register(&token, ninth.as_further()).await), "429 too-many");
    bob.turn_away(waiting[3].id()).await.unwrap();
    ninth.register(&token, ninth.as_further()).await.unwrap();
    world.deliver().await;
}
