//! Tests of servers that answer late or not at all, when devices ask them who somebody is.

use eko_client::messenger::{Notice, READ_FOR_SENDERS, SENDER_PAUSE_MINUTES};
use eko_testkit::World;

use crate::people::{TestMessenger, befriend, first, hear, say, shown};
use crate::test_network::{FalseAnswer, TestNetwork};

/// Looks into a mailbox. Returns the texts, the number of entries that are said to wait, and the
/// number of chains of strangers that were asked for.
async fn look(client: &TestMessenger, wire: &TestNetwork) -> (Vec<String>, usize, usize) {
    wire.asked.lock().unwrap().clear();
    let received = client.receive().await.unwrap();
    let waits = received.notices.iter().filter(|notice| matches!(notice, Notice::Waits { .. })).count();
    let asked = wire.asked.lock().unwrap();
    let asked = asked.iter().filter(|url| url.contains("/user/puppet") && url.ends_with("/devices")).count();
    (shown(client, &received), waits, asked)
}

/// The mailbox is full of messages of puppets whose server does not say who they are. What a contact
/// wrote after them is read at once.
#[tokio::test]
async fn a_server_that_hides_who_its_users_are_holds_up_nobody() {
    let world = World::new().await;
    let (hers, wire) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, bob) = (first(&world, &hers, "alice").await, first(&world, &wire, "bob").await);
    befriend(&alice, &bob).await;
    let count = READ_FOR_SENDERS + 2;
    for n in 0..count {
        let puppet = first(&world, &wire, &format!("puppet{n}")).await;
        for words in ["one", "two"] {
            say(&puppet, &alice.me(), words).await;
        }
    }
    say(&bob, &alice.me(), "from a contact").await;
    world.deliver().await;
    hers.drop_requests(|request| {
        let is_puppets = request.uri().path().starts_with("/user/puppet");
        is_puppets.then(|| FalseAnswer { status: 503, body: Vec::new() })
    });
    let heard = vec!["from a contact".to_owned()];
    assert_eq!(look(&alice, &hers).await, (heard, READ_FOR_SENDERS, READ_FOR_SENDERS));
    // A server that did not answer is left alone, and then the others have their turn.
    assert_eq!(look(&alice, &hers).await, (vec![], 0, 0));
    world.advance(60_000);
    assert_eq!(look(&alice, &hers).await, (vec![], 2, 2));
    world.advance(60_000);
    assert_eq!(look(&alice, &hers).await, (vec![], 0, 0));
    // Nothing is lost.
    hers.honest();
    world.advance(SENDER_PAUSE_MINUTES * 60_000);
    assert_eq!(look(&alice, &hers).await, (vec![], 0, READ_FOR_SENDERS));
    assert_eq!(look(&alice, &hers).await, (vec![], 0, 2));
    assert_eq!(alice.requests().unwrap().len(), count);
    assert!(alice.requests().unwrap().iter().all(|request| request.messages.len() == 2));
    world.deliver().await;
    hear(&world, &bob).await;
    world.deliver().await;
}
