//! Tests of a recipient's device that does not fetch, until its mailbox is full.

use eko_client::store::EnvelopeState;
use eko_testkit::World;

use crate::people::{first, further, hear, say, text};
use crate::test_network::TestNetwork;

#[tokio::test]
async fn a_full_device_is_noted_and_not_sent_to_again() {
    let world = World::with(|config| {
        config.limits.mailbox_entries = 16;
        config.limits.mailbox_bytes = 16 * 8_000;
    })
    .await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    let tablet = further(&world, &wire, &bob, "tablet").await;
    hear(&world, &tablet).await;
    for _ in 0..4 {
        let sent = say(&alice, &bob.me(), "hello").await;
        assert_eq!(sent.envelopes[0].full_devices, Vec::<String>::new());
        world.deliver().await;
        hear(&world, &bob).await;
    }
    for _ in 0..2 {
        let sent = alice.send(&bob.me(), text("and again")).await.unwrap();
        assert_eq!(sent.state(&alice.me()), EnvelopeState::Accepted);
        assert_eq!(sent.envelopes[0].full_devices, [tablet.device().address()]);
        assert_eq!(alice.flush().await.unwrap(), []);
        world.deliver().await;
        assert_eq!(hear(&world, &bob).await, ["and again"]);
    }
    assert_eq!(hear(&world, &tablet).await.len(), 4);
    world.deliver().await;
}
