//! Tests of an admin who tells the members of a group different things.

use eko_client::group::{GroupState, Proposal, propose};
use eko_client::messenger::GroupEvent;
use eko_testkit::World;

use crate::controls::{control, send_control, signing};
use crate::forging::ForgingSessions;
use crate::friends::{events, group};
use crate::people::{TestMessenger, first, hear, text};
use crate::test_network::TestNetwork;

async fn look(world: &World, client: &TestMessenger) -> Vec<GroupEvent> {
    world.deliver().await;
    events(client.receive().await.unwrap().notices)
}

/// Mallory tells Alice that Carol was added, and tells Bob another name, both in one epoch.
#[tokio::test]
async fn two_stories_of_an_admin_are_found_with_the_next_message() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    let (carol, sessions) = (first(&world, &wire, "carol").await, ForgingSessions::default());
    let mallory = sessions.first(&world, &wire, "mallory").await;
    let (id, _) = mallory.create_group("Friday", &[alice.me(), bob.me()]).await.unwrap();
    for client in [&alice, &bob] {
        look(&world, client).await;
        client.join_group(&id, None).await.unwrap();
    }
    for client in [&alice, &bob] {
        look(&world, client).await;
    }
    let first_state = mallory.groups().unwrap().remove(0).state;
    let story = |proposal| -> (GroupState, _) {
        let (change, next) = signing(&mallory, |signer| propose(&first_state, proposal, signer)).unwrap();
        let told = control(&mallory, change, Some(&first_state), &next);
        (next, told)
    };
    let (with_carol, to_alice) = story(Proposal::Add([carol.me().actor()].into()));
    let (renamed, to_bob) = story(Proposal::Rename("Saturday".to_owned()));
    send_control(&sessions, &mallory, &alice.me(), &to_alice).await;
    send_control(&sessions, &mallory, &bob.me(), &to_bob).await;
    look(&world, &alice).await;
    look(&world, &bob).await;
    assert_eq!((&group(&alice, &id).state, &group(&bob, &id).state), (&with_carol, &renamed));
    // Alice writes. Bob has another state of this epoch, and forwards his control. So does Alice.
    alice.send_to_group(&id, text("hello")).await.unwrap();
    world.deliver().await;
    assert_eq!(hear(&world, &bob).await, ["hello"]);
    assert!(look(&world, &alice).await.contains(&GroupEvent::TwoStories));
    bob.send_to_group(&id, text("which of them?")).await.unwrap();
    look(&world, &alice).await;
    look(&world, &bob).await;
    let end = if with_carol.hash() < renamed.hash() { with_carol } else { renamed };
    assert_eq!((group(&alice, &id).state, group(&bob, &id).state), (end.clone(), end));
    world.deliver().await;
}
