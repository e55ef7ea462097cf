//! Tests of a program that shows what comes, beside the one that receives it.

use eko_client::messenger::StoreView;
use eko_client::store::EnvelopeState;
use eko_testkit::World;

use crate::people::{befriend, first, say, text};
use crate::test_network::{FalseAnswer, TestNetwork};

/// The path of the one request that fails.
const KEYS: &str = "/user/carol/keyPackages";

/// Another program shows what has come, while the one that has received it waits for some server.
#[tokio::test]
async fn what_has_come_waits_for_nothing_that_follows() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    let carol = first(&world, &wire, "carol").await;
    befriend(&alice, &bob).await;
    befriend(&carol, &bob).await;
    wire.drop_requests(|request| {
        (request.uri().path() == KEYS).then(|| FalseAnswer { status: 503, body: Vec::new() })
    });
    let unsent = bob.send(&carol.me(), text("hello")).await.unwrap();
    assert_eq!(unsent.state(&bob.me()), EnvelopeState::ToSend);
    wire.honest();
    say(&alice, &bob.me(), "one").await;
    world.deliver().await;
    world.advance(60_000);
    let mut view = StoreView::of(None);
    assert!(bob.look_into_store(&mut view).unwrap().shown.is_empty());
    let mut receiving = std::pin::pin!(bob.receive());
    tokio::select! {
        biased;
        waited = wire.hold_together(|path| path == KEYS, 1) => assert_eq!(waited, [KEYS]),
        _ = &mut receiving => panic!("nothing was held"),
    }
    let new = bob.look_into_store(&mut view).unwrap().shown;
    assert_eq!(new.iter().map(|message| message.content.text.as_str()).collect::<Vec<_>>(), ["one"]);
    bob.note_message_shown(&new[0]).unwrap();
    // It has come, though it was shown meanwhile.
    let received = receiving.await.unwrap();
    assert_eq!((received.messages.len(), received.is_quiet()), (0, false));
    assert_eq!(bob.sent(&unsent.id).unwrap().state(&bob.me()), EnvelopeState::Accepted);
    world.deliver().await;
}
