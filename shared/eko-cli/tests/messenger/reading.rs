//! Tests of users who read and do not write.

use eko_testkit::World;

use crate::people::{first, hear, say};
use crate::test_network::TestNetwork;

const DAY_MS: i64 = 24 * 3_600_000;

/// libsignal ends a session that is not answered for 30 days. Another one takes its place.
#[tokio::test]
async fn somebody_who_has_not_looked_for_a_month_is_written_to() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    say(&alice, &bob.me(), "before").await;
    world.deliver().await;
    world.advance(31 * DAY_MS);
    say(&alice, &bob.me(), "a month later").await;
    world.deliver().await;
    assert_eq!(hear(&world, &bob).await, ["a month later"]);
    say(&bob, &alice.me(), "I was away").await;
    world.deliver().await;
    assert_eq!(hear(&world, &alice).await, ["I was away"]);
    world.deliver().await;
}

/// Bob reads for a month and says nothing.
#[tokio::test]
async fn somebody_who_only_reads_is_written_to_and_writes_back() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    for day in 0..=31 {
        let words = format!("day {day}");
        say(&alice, &bob.me(), &words).await;
        world.deliver().await;
        assert_eq!(hear(&world, &bob).await, [words]);
        world.advance(DAY_MS);
    }
    say(&bob, &alice.me(), "I read it all").await;
    world.deliver().await;
    assert_eq!(hear(&world, &alice).await, ["I read it all"]);
    world.deliver().await;
}
