//! Messages that expired, by their author's choice or after 30 days: no fetch returns them.

use eko_client::device::OutgoingEnvelope;
use eko_testkit::{START_MS, envelope};

use crate::outcomes::accepted;
use crate::people::{alice_and_bob, sign_in_again};
use crate::{DAY_MS, MINUTE_MS};

#[tokio::test]
async fn what_has_expired_is_never_returned() {
    let (world, alice, bob) = alice_and_bob().await;
    let until = |ms: i64| OutgoingEnvelope { expires_ms: Some(START_MS + ms), ..envelope(&alice, &[&bob]) };
    let (soon, late, never) = (until(MINUTE_MS), until(40 * DAY_MS), envelope(&alice, &[&bob]));
    for outgoing in [&soon, &late, &never] {
        accepted(alice.send(outgoing).await.unwrap());
        world.advance(1);
    }
    world.deliver().await;
    let ids = |messages: Vec<eko_protocol::letter::FetchedLetter>| -> Vec<_> {
        messages.into_iter().map(|message| message.letter.header.id).collect()
    };
    let kept = bob.fetch().await.unwrap().entries;
    assert_eq!(ids(world.messages(&bob).await), [soon.id.clone(), late.id.clone(), never.id.clone()]);
    world.advance(MINUTE_MS - 4);
    assert_eq!(world.messages(&bob).await.len(), 3);
    world.advance(1);
    assert_eq!(ids(world.messages(&bob).await), [late.id.clone(), never.id.clone()]);
    // The expired entry is still stored. Acknowledging it sends no receipt to its author.
    assert_eq!(world.stored().await.keys(bob.id().as_str(), "M#").len(), 3);
    bob.acknowledge(&[kept[0].address.clone()]).await.unwrap();
    assert_eq!(world.queued().await, (0, 0));
    // A mailbox keeps nothing longer than the server's 30 days, whatever the author says.
    world.advance(30 * DAY_MS - MINUTE_MS - 1000);
    sign_in_again(&world, &bob).await;
    assert_eq!(world.messages(&bob).await.len(), 2);
    world.advance(1000);
    assert_eq!(world.messages(&bob).await, []);
}

#[tokio::test]
async fn what_expires_on_its_way_is_never_returned() {
    let (world, alice, bob) = alice_and_bob().await;
    let expires_ms = Some(START_MS + MINUTE_MS);
    accepted(alice.send(&OutgoingEnvelope { expires_ms, ..envelope(&alice, &[&bob]) }).await.unwrap());
    world.advance(MINUTE_MS);
    world.deliver().await;
    assert_eq!(world.messages(&bob).await, []);
}

#[tokio::test]
async fn an_id_is_forgotten_when_its_entries_may_live_no_longer() {
    let (world, alice, bob) = alice_and_bob().await;
    let outgoing = envelope(&alice, &[&bob]);
    let first = accepted(alice.send(&outgoing).await.unwrap());
    world.deliver().await;
    world.advance(30 * DAY_MS);
    sign_in_again(&world, &alice).await;
    sign_in_again(&world, &bob).await;
    let again = accepted(alice.send(&outgoing).await.unwrap());
    assert_ne!(again, first);
    world.deliver().await;
    let entries = bob.fetch().await.unwrap().entries;
    assert_eq!(entries.iter().map(|entry| entry.received_ms).collect::<Vec<_>>(), [START_MS + 30 * DAY_MS]);
}
