//! Strangers who fill a mailbox that its device does not read.

use eko_testkit::BARE;

use crate::scene::AttackScene;

#[tokio::test]
async fn one_stranger_fills_no_mailbox_for_others() {
    let scene = AttackScene::with(BARE, |config| {
        config.limits.mailbox_entries = 16;
        config.limits.mailbox_bytes = 16_000;
    })
    .await;
    let (eve, neighbour) = (scene.eve.actor.clone(), scene.actor("neighbour", |_| {}));
    for number in 0..4 {
        assert_eq!(scene.deliver(&scene.envelope(&eve, number)).await, "202", "{number}");
        scene.world.deliver().await;
    }
    for number in 4..20 {
        assert_eq!(scene.deliver(&scene.envelope(&eve, number)).await, "409 Reject", "{number}");
        scene.world.deliver().await;
    }
    assert_eq!(scene.world.messages(&scene.bob).await.len(), 4);
    // Others write to Bob as before, from that server too.
    assert_eq!(scene.deliver(&scene.envelope(&neighbour, 20)).await, "202");
    scene.world.send(&scene.alice, &[&scene.bob]).await;
    scene.world.deliver().await;
    assert_eq!(scene.world.messages(&scene.bob).await.len(), 6);
}
