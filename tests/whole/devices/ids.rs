//! Device ids: a user uses each of them once, and users may choose the same.

use eko_client::Device;
use eko_client::device::JoinKind;
use eko_testkit::{ChainChanges as _, World, refused};

use super::{append, approval};
use crate::people::alice_and_bob;

#[tokio::test]
async fn a_device_id_is_used_once() {
    let world = World::new().await;
    let bob = world.user("bob").await;
    let second = world.further(&bob, "two").await;
    let token = world.id_token(&second).await;
    let before = world.stored().await;
    // While the device is active.
    for joining in [second.as_further(), JoinKind::Reset] {
        assert_eq!(refused(second.register(&token, joining).await), "409 device-id-used");
    }
    assert_eq!(world.stored().await.difference(&before), []);
    // After it was revoked.
    bob.revoke(second.id()).await.unwrap();
    let before = world.stored().await;
    for joining in [second.as_further(), JoinKind::Reset] {
        assert_eq!(refused(second.register(&token, joining).await), "409 device-id-used");
    }
    assert_eq!(append(&bob, &approval(&bob, &second).await).await, "422 invalid #/device");
    assert_eq!(world.stored().await.difference(&before), []);
}

#[tokio::test]
async fn a_device_id_is_its_users_own() {
    let (world, alice, bob) = alice_and_bob().await;
    // Carol's device has the same id and the same keys as Bob's.
    let same = eko_client::Environment { clock: world.clock(), random: eko_testkit::seeded("bob/one") };
    let keys = eko_client::DeviceKeys::generate(eko_testkit::COUNTS, &same).unwrap();
    let name = eko_protocol::address::UserName::parse("carol").unwrap();
    let carol = Device::new(world.transport(), bob.origin().clone(), name, keys, same);
    assert_eq!(carol.id(), bob.id());
    carol.register(&world.id_token(&carol).await, JoinKind::First).await.unwrap();
    world.send(&alice, &[&bob]).await;
    world.deliver().await;
    assert_eq!((world.messages(&bob).await.len(), world.messages(&carol).await.len()), (1, 0));
}
