//! Pending devices that an active device turns away: they are refused from then on, and free their
//! places.

use eko_client::device::JoinKind;
use eko_testkit::{BARE, World, refused};

#[tokio::test]
async fn a_pending_device_is_turned_away_for_good() {
    let world = World::new().await;
    let bob = world.user("bob").await;
    let stranger = world.pending(&bob, "two").await;
    world.deliver().await;
    world.empty(&bob).await;
    let (before, _) = bob.chain(bob.user()).await.unwrap();

    bob.turn_away(stranger.id()).await.unwrap();
    assert_eq!(bob.pending_devices().await.unwrap(), []);
    assert_eq!(refused(stranger.fetch().await), "401 device-revoked");
    assert_eq!(refused(stranger.refresh().await), "401 unauthenticated");
    assert_eq!(refused(bob.turn_away(stranger.id()).await), "422 invalid #/object");
    let token = world.id_token("bob").await;
    assert_eq!(refused(stranger.register(&token, JoinKind::Further).await), "409 device-id-used");
    assert_eq!(refused(stranger.sign_in_again(&token).await), "401 device-revoked");
    // The chain never named the pending device, so it is the same as before.
    assert_eq!(bob.chain(bob.user()).await.unwrap().0, before);
    // Only a pending device can be turned away, and only an active device can do it.
    assert_eq!(refused(bob.turn_away(bob.id()).await), "422 invalid #/object");
    let other = world.pending(&bob, "three").await;
    world.deliver().await;
    assert_eq!(refused(other.turn_away(other.id()).await), "403 device-pending");
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
    let token = world.id_token("bob").await;
    let ninth = world.device("bob", "i", BARE);
    assert_eq!(refused(ninth.register(&token, JoinKind::Further).await), "429 too-many");
    bob.turn_away(waiting[3].id()).await.unwrap();
    ninth.register(&token, JoinKind::Further).await.unwrap();
    world.deliver().await;
}
