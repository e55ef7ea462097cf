//! Envelopes that are sent again: the answer is the same, and no device gets a second entry.

use eko_client::device::OutgoingEnvelope;
use eko_testkit::{ChainChanges as _, envelope};

use crate::MINUTE_MS;
use crate::outcomes::{accepted, partial, rejected};
use crate::people::{alice_and_bob, alice_and_bobs_two};

#[tokio::test]
async fn a_retried_envelope_has_the_same_answer_and_no_second_entry() {
    let (world, alice, bob, second) = alice_and_bobs_two().await;
    let outgoing = envelope(&alice, &[&bob, &second]);
    let first = accepted(alice.send(&outgoing).await.unwrap());
    // A retry has the same answer before the first one is delivered, and after.
    world.advance(1500);
    assert_eq!(accepted(alice.send(&outgoing).await.unwrap()), first);
    world.deliver().await;
    world.advance(MINUTE_MS);
    assert_eq!(accepted(alice.send(&outgoing).await.unwrap()), first);
    world.deliver().await;
    for device in [&bob, &second] {
        assert_eq!(device.fetch().await.unwrap().entries.len(), 1);
    }
    // A retry does not come back to a device that acknowledged the message. The other device still
    // has one entry.
    world.confirm(&bob).await;
    world.deliver().await;
    assert_eq!(accepted(alice.send(&outgoing).await.unwrap()), first);
    world.deliver().await;
    assert_eq!(bob.fetch().await.unwrap().entries, []);
    assert_eq!(second.fetch().await.unwrap().entries.len(), 1);
    assert_eq!(world.reports(&alice).await.len(), 1);
}

#[tokio::test]
async fn a_retried_partial_and_a_retried_reject_have_the_same_answer() {
    let (world, alice, bob, second) = alice_and_bobs_two().await;
    let outgoing = envelope(&alice, &[&bob]);
    let first = partial(alice.send(&outgoing).await.unwrap());
    world.deliver().await;
    world.advance(1500);
    assert_eq!(partial(alice.send(&outgoing).await.unwrap()), first);
    world.deliver().await;
    assert_eq!(world.messages(&bob).await.len(), 1);

    bob.revoke(second.id()).await.unwrap();
    let outgoing = envelope(&alice, &[&bob, &second]);
    let first = rejected(alice.send(&outgoing).await.unwrap());
    assert_eq!(rejected(alice.send(&outgoing).await.unwrap()), first);
    // The rejected envelope was not recorded, so its id may be used again for the right devices.
    accepted(
        alice.send(&OutgoingEnvelope { id: outgoing.id.clone(), ..envelope(&alice, &[&bob]) }).await.unwrap(),
    );
    world.deliver().await;
    assert_eq!(world.messages(&bob).await.len(), 2);
}

#[tokio::test]
async fn two_authors_may_choose_one_id() {
    let (world, alice, bob) = alice_and_bob().await;
    let carol = world.user("carol").await;
    let outgoing = envelope(&alice, &[&bob]);
    let activities =
        [accepted(alice.send(&outgoing).await.unwrap()), accepted(carol.send(&outgoing).await.unwrap())];
    assert_ne!(activities[0], activities[1]);
    world.deliver().await;
    let mut authors: Vec<String> =
        world.messages(&bob).await.into_iter().map(|m| m.letter.header.author).collect();
    authors.sort();
    assert_eq!(authors, [alice.actor(), carol.actor()]);
    world.confirm(&bob).await;
    world.deliver().await;
    assert_eq!((world.reports(&alice).await.len(), world.reports(&carol).await.len()), (1, 1));
}
