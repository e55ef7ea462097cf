//! Envelopes that name only active devices: complete ones are accepted, the rest are completed
//! under the same id.

use eko_client::device::{EntryContent, OutgoingEnvelope};
use eko_protocol::activity::ReportKind;
use eko_protocol::id::DeviceId;
use eko_testkit::{START_MS, World, ciphertext, envelope, refused};

use crate::MINUTE_MS;
use crate::outcomes::{accepted, partial};
use crate::people::alice_and_bobs_two;
use crate::requests::post;

#[tokio::test]
async fn all_covered() {
    let (world, alice, bob, second) = alice_and_bobs_two().await;
    let outgoing = envelope(&alice, &[&bob, &second]);
    let body = alice.create_activity(&outgoing);
    let answer = post(&alice, "/user/alice/outbox", &body).await;
    assert_eq!(answer.status, 201);
    let activity = answer.json().unwrap()["id"].as_str().unwrap().to_owned();
    assert_eq!(answer.headers["location"], activity.as_str());
    // The whole envelope is one message of the queue. No mailbox has anything before that message
    // is delivered.
    assert_eq!(world.queued().await, (1, 0));
    assert_eq!(world.messages(&bob).await, []);
    world.deliver().await;
    for device in [&bob, &second] {
        let [message] = <[_; 1]>::try_from(world.messages(device).await).unwrap();
        assert_eq!(message.ciphertext, ciphertext(device));
        assert_eq!(
            (message.letter.header.id, message.letter.activity),
            (outgoing.id.clone(), Some(activity.clone()))
        );
        assert_eq!((message.letter.header.from, message.device), (alice.address(), device.address()));
    }
    assert_eq!(world.messages(&alice).await, []);
}

#[tokio::test]
async fn partial_then_completed_under_the_same_id() {
    let (world, alice, bob, second) = alice_and_bobs_two().await;
    let third = world.further(&bob, "three").await;
    let whole = envelope(&alice, &[&bob, &second, &third]);
    let part =
        |index: usize| OutgoingEnvelope { messages: vec![whole.messages[index].clone()], ..whole.clone() };
    let (_, chain) = alice.chain(bob.user()).await.unwrap();
    let mut packages: Vec<(DeviceId, String)> = [&bob, &second, &third]
        .map(|device| (device.id().clone(), bob.origin().key_package(bob.user(), device.id())))
        .into();
    packages.sort();
    let missing = |without: &[&DeviceId]| -> Vec<String> {
        packages.iter().filter(|(id, _)| !without.contains(&id)).map(|(_, package)| package.clone()).collect()
    };

    let report = partial(alice.send(&part(0)).await.unwrap());
    assert_eq!(report.kind, ReportKind::PartialDelivery);
    assert_eq!((report.actor.as_str(), report.to.as_str()), (bob.actor().as_str(), alice.actor().as_str()));
    assert!(report.device_set_out_of_date);
    assert_eq!(report.missing_key_packages, missing(&[bob.id()]));
    assert_eq!(report.stale_devices, Vec::<String>::new());
    assert_eq!(report.device_set, chain.device_set().reference());
    world.deliver().await;
    assert_eq!(world.messages(&bob).await.len(), 1);
    assert_eq!(world.messages(&second).await, []);

    world.advance(MINUTE_MS);
    let report = partial(alice.send(&part(1)).await.unwrap());
    assert_eq!(report.missing_key_packages, missing(&[bob.id(), second.id()]));
    world.advance(MINUTE_MS);
    let activity = accepted(alice.send(&part(2)).await.unwrap());
    world.deliver().await;
    // All parts of the envelope belong to one activity, and have the time of the first acceptance.
    for device in [&bob, &second, &third] {
        let entries = device.fetch().await.unwrap().entries;
        let of_messages = entries.iter().filter(|entry| matches!(entry.content, EntryContent::Message(_)));
        assert_eq!(of_messages.map(|entry| entry.received_ms).collect::<Vec<_>>(), [START_MS]);
        let [message] = <[_; 1]>::try_from(world.messages(device).await).unwrap();
        assert_eq!(
            (message.ciphertext, message.letter.activity),
            (ciphertext(device), Some(activity.clone()))
        );
    }
}

#[tokio::test]
async fn a_partial_delivery_can_be_completed_when_it_was_acknowledged_already() {
    let (world, alice, bob, second) = alice_and_bobs_two().await;
    let first = envelope(&alice, &[&bob]);
    partial(alice.send(&first).await.unwrap());
    world.deliver().await;
    world.confirm(&bob).await;
    world.deliver().await;
    assert_eq!(world.reports(&alice).await.len(), 1);
    let rest = OutgoingEnvelope { id: first.id.clone(), ..envelope(&alice, &[&second]) };
    accepted(alice.send(&rest).await.unwrap());
    world.deliver().await;
    assert_eq!(world.messages(&bob).await, []);
    assert_eq!(world.messages(&second).await.len(), 1);
}

#[tokio::test]
async fn a_device_approved_in_between_is_missing_as_well() {
    let (world, alice, bob, second) = alice_and_bobs_two().await;
    let first = envelope(&alice, &[&bob]);
    partial(alice.send(&first).await.unwrap());
    let third = world.further(&bob, "three").await;
    let report = partial(
        alice.send(&OutgoingEnvelope { id: first.id.clone(), ..envelope(&alice, &[&second]) }).await.unwrap(),
    );
    assert_eq!(report.missing_key_packages, [bob.origin().key_package(bob.user(), third.id())]);
    world.deliver().await;
}

#[tokio::test]
async fn a_sync_covers_the_other_devices_of_the_sender() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let second = world.further(&alice, "two").await;
    let third = world.further(&alice, "three").await;
    accepted(alice.send(&envelope(&alice, &[&second, &third])).await.unwrap());
    let report = partial(alice.send(&envelope(&alice, &[&third])).await.unwrap());
    assert_eq!(report.missing_key_packages, [alice.origin().key_package(alice.user(), second.id())]);
    let before = world.stored().await;
    let own = envelope(&alice, &[&second, &alice, &third]);
    assert_eq!(refused(alice.send(&own).await), "422 invalid #/object/messages/1/to");
    assert_eq!(world.stored().await.difference(&before), []);
    world.deliver().await;
    assert_eq!(world.messages(&alice).await, []);
    assert_eq!(world.messages(&second).await.len(), 1);
    assert_eq!(world.messages(&third).await.len(), 2);
}
