//! Tests of new sessions that somebody else wants to bring about, and of what they cost.

use eko_client::device::OutgoingEnvelope;
use eko_client::messenger::{Notice, UnreadableReason};
use eko_testkit::World;

use crate::people::{TestMessenger, first, hear, say};
use crate::test_network::TestNetwork;

/// Sends something in a user's name that is no Signal message, as a server can.
async fn inject(world: &World, from: &TestMessenger, to: &TestMessenger) {
    let id = from.device().environment().envelope_id();
    let ciphertext = vec![(to.device().id().clone(), b"nine byte".to_vec())];
    from.device().send(&OutgoingEnvelope::new(to.me().user, id, ciphertext)).await.unwrap();
    world.deliver().await;
    let notices = to.receive().await.unwrap().notices;
    let told = |notice: &Notice| {
        matches!(notice, Notice::Unreadable { why: UnreadableReason::Undecryptable(_), .. })
    };
    assert!(notices.iter().any(told), "{notices:?}");
    world.deliver().await;
}

/// Returns the number of times that key packages of Alice were taken over a line.
fn takes(line: &TestNetwork) -> usize {
    line.asked.lock().unwrap().iter().filter(|url| url.ends_with("/user/alice/keyPackages")).count()
}

#[tokio::test]
async fn garbage_in_somebodys_name_takes_one_key_package_an_hour() {
    let world = World::new().await;
    let (wire, his) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &his, "bob").await);
    say(&bob, &alice.me(), "hello").await;
    world.deliver().await;
    assert_eq!(hear(&world, &alice).await, ["hello"]);
    world.deliver().await;
    hear(&world, &bob).await;
    assert_eq!(takes(&his), 1);
    for hour in 1..3 {
        for round in 0..5 {
            inject(&world, &alice, &bob).await;
            let words = format!("{hour}: {round}");
            say(&bob, &alice.me(), &words).await;
            world.deliver().await;
            assert_eq!(hear(&world, &alice).await, [words]);
            world.deliver().await;
            hear(&world, &bob).await;
        }
        assert_eq!(takes(&his), 1 + hour, "the first one, and one an hour");
        world.advance(3_600_000);
        // This renews Alice's access token.
        hear(&world, &alice).await;
    }
    world.deliver().await;
}

#[tokio::test]
async fn the_message_after_a_damaged_one_begins_a_new_session() {
    let world = World::new().await;
    let (wire, his) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &his, "bob").await);
    say(&bob, &alice.me(), "hello").await;
    world.deliver().await;
    hear(&world, &alice).await;
    say(&alice, &bob.me(), "hello yourself").await;
    world.deliver().await;
    hear(&world, &bob).await;
    inject(&world, &alice, &bob).await;
    say(&bob, &alice.me(), "again").await;
    assert_eq!(takes(&his), 2);
    world.deliver().await;
    assert_eq!(hear(&world, &alice).await, ["again"]);
    say(&alice, &bob.me(), "and on").await;
    world.deliver().await;
    assert_eq!(hear(&world, &bob).await, ["and on"]);
    world.deliver().await;
    hear(&world, &alice).await;
    world.deliver().await;
}
