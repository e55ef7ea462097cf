//! Strangers who fill a mailbox that its device does not read.

use eko_testkit::{BARE, Stranger, StrangerAnswer};

use crate::scene::AttackScene;

#[tokio::test]
async fn one_stranger_fills_no_mailbox_for_others() {
    let scene = AttackScene::with(BARE, |config| {
        config.limits.mailbox_entries = 16;
        config.limits.mailbox_bytes = 16_000;
    })
    .await;
    let eve = scene.eve.actor.clone();
    for number in 0..4 {
        assert_eq!(scene.deliver(&scene.envelope(&eve, number)).await, "202", "{number}");
        scene.world.deliver().await;
    }
    for number in 4..20 {
        assert_eq!(scene.deliver(&scene.envelope(&eve, number)).await, "409 Reject", "{number}");
        scene.world.deliver().await;
    }
    assert_eq!(scene.world.messages(&scene.bob).await.len(), 4);
    // Others write to Bob as before.
    let other = Stranger::new(&scene.internet, "other.example").await;
    assert_eq!(other.deliver(&scene.world, "/inbox", &scene.envelope(&other.actor, 20)).await.0, 202);
    scene.world.send(&scene.alice, &[&scene.bob]).await;
    scene.world.deliver().await;
    assert_eq!(scene.world.messages(&scene.bob).await.len(), 6);
}

/// Whoever has one domain has as many actors and servers as they like, and no more of a mailbox for
/// it.
#[tokio::test]
async fn one_domain_fills_no_mailbox_for_others() {
    let scene = AttackScene::with(BARE, |config| {
        config.limits.mailbox_entries = 16;
        config.limits.mailbox_bytes = 16_000;
    })
    .await;
    for number in 0..8 {
        let mut stranger = Stranger::new(&scene.internet, &format!("s{number}.evil.example")).await;
        stranger.actor = format!("{}/users/eve-{number}", stranger.origin);
        let document = StrangerAnswer::activity(200, &stranger.actor_document());
        stranger.document(&format!("/users/eve-{number}"), document);
        let envelope = scene.envelope(&stranger.actor, number);
        let expected = if number < 4 { 202 } else { 409 };
        assert_eq!(stranger.deliver(&scene.world, "/inbox", &envelope).await.0, expected, "{number}");
        scene.world.deliver().await;
    }
    scene.world.send(&scene.alice, &[&scene.bob]).await;
    scene.world.deliver().await;
    assert_eq!(scene.world.messages(&scene.bob).await.len(), 5);
}
