//! Tests of much that waits for a further device: its history has the lines of all conversations in the order in
//! which the server accepted them.

use eko_client::group::GroupId;
use eko_client::messenger::ENTRIES_AT_ONCE;
use eko_testkit::World;

use crate::friends::group;
use crate::people::{TestMessenger, befriend, first, further, hear, know, say, text};
use crate::test_network::TestNetwork;

/// Alice's devices, the second of which is in her group with Carol.
struct TwoDevices {
    world: World,
    line: TestNetwork,
    alice: TestMessenger,
    two: TestMessenger,
    carol: TestMessenger,
    id: GroupId,
}

impl TwoDevices {
    /// Signs everybody in. Carol has written to Alice before the second device was there.
    async fn begin() -> Self {
        let world = World::new().await;
        let line = TestNetwork::to(&[&world]);
        let (alice, carol) = (first(&world, &line, "alice").await, first(&world, &line, "carol").await);
        befriend(&alice, &carol).await;
        for words in ["one", "two", "three"] {
            say(&carol, &alice.me(), words).await;
        }
        let two = further(&world, &line, &alice, "two").await;
        let (id, _) = alice.create_group("Friday", &[carol.me()]).await.unwrap();
        world.deliver().await;
        hear(&world, &carol).await;
        carol.join_group(&id, None).await.unwrap();
        world.deliver().await;
        for client in [&alice, &two, &carol] {
            hear(&world, client).await;
            world.deliver().await;
        }
        assert!(group(&two, &id).member);
        Self { world, line, alice, two, carol, id }
    }

    /// Has the second device look, and returns the texts of its history.
    async fn history(&self) -> Vec<String> {
        self.world.deliver().await;
        hear(&self.world, &self.two).await;
        let history = self.two.history(None, 1_000).unwrap();
        history.into_iter().map(|message| message.content.text).collect()
    }
}

/// Carol's first line for the second device has a high number, and that in the group has the first one.
#[tokio::test]
async fn a_line_in_a_new_group_stands_after_an_earlier_one_of_a_person() {
    let scene = TwoDevices::begin().await;
    let TwoDevices { world, alice, carol, id, .. } = &scene;
    say(carol, &alice.me(), "to you").await;
    world.advance(10);
    carol.send_to_group(id, text("to all")).await.unwrap();
    assert_eq!(scene.history().await, ["to you", "to all"]);
    hear(world, alice).await;
    world.deliver().await;
    hear(world, carol).await;
    world.deliver().await;
}

/// The second device reads Bob's chain before his lines. What Alice has written on the other device needs none.
#[tokio::test]
async fn what_was_written_in_a_group_stands_after_earlier_lines_of_somebody_new() {
    let scene = TwoDevices::begin().await;
    let TwoDevices { world, line, alice, carol, id, .. } = &scene;
    let bob = first(world, line, "bob").await;
    know(alice, &bob.me()).await;
    let count = ENTRIES_AT_ONCE + 3;
    let mut due = Vec::new();
    for number in 0..count {
        due.push(format!("line {number}"));
        say(&bob, &alice.me(), &due[number]).await;
        world.advance(1_000);
    }
    alice.send_to_group(id, text("to all")).await.unwrap();
    due.push("to all".to_owned());
    assert_eq!(scene.history().await, due);
    for client in [alice, carol, &bob] {
        hear(world, client).await;
        world.deliver().await;
    }
}
