//! Every row of the table in `docs/protocol.md`, section 5, and what a retry does.

use eko_client::device::{Content, Outgoing, SendOutcome};
use eko_client::{Auth, Body};
use eko_protocol::activity::{Report, ReportKind};
use eko_protocol::id::DeviceId;
use eko_testkit::{BARE, START_MS, World, ciphertext, envelope, refusal, refused};
use http::Method;
use serde_json::json;

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

fn accepted(outcome: SendOutcome) -> String {
    match outcome {
        SendOutcome::Accepted { activity } => activity,
        other => panic!("{other:?}"),
    }
}

fn partial(outcome: SendOutcome) -> Report {
    match outcome {
        SendOutcome::Partial(report) => report,
        other => panic!("{other:?}"),
    }
}

fn rejected(outcome: SendOutcome) -> Report {
    match outcome {
        SendOutcome::Rejected(report) => report,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn all_covered() {
    let world = World::new().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let second = world.further(&bob, "two").await;
    let outgoing = envelope(&alice, &[&bob, &second]);
    let body = alice.create_activity(&outgoing);
    let answer =
        alice.call(Method::POST, "/user/alice/outbox", Body::Json(&body), Auth::Device).await.unwrap();
    assert_eq!(answer.status, 201);
    let activity = answer.json().unwrap()["id"].as_str().unwrap().to_owned();
    assert_eq!(answer.headers["location"], activity.as_str());
    // One message of the queue for the whole envelope, nothing in a mailbox before it is delivered.
    assert_eq!(world.queued().await, (1, 0));
    assert_eq!(world.messages(&bob).await, []);
    world.deliver().await;
    for device in [&bob, &second] {
        let [message] = <[_; 1]>::try_from(world.messages(device).await).unwrap();
        assert_eq!(message.content, ciphertext(device));
        assert_eq!((message.envelope, message.activity), (outgoing.id.clone(), activity.clone()));
        assert_eq!((message.from, message.device), (alice.address(), device.address()));
    }
    assert_eq!(world.messages(&alice).await, []);
}

#[tokio::test]
async fn partial_then_completed_under_the_same_id() {
    let world = World::new().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let second = world.further(&bob, "two").await;
    let third = world.further(&bob, "three").await;
    let whole = envelope(&alice, &[&bob, &second, &third]);
    let part = |index: usize| Outgoing { messages: vec![whole.messages[index].clone()], ..whole.clone() };
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
    // Parts of one envelope: one activity, accepted at one time.
    for device in [&bob, &second, &third] {
        let entries = device.fetch().await.unwrap().entries;
        let of_messages = entries.iter().filter(|entry| matches!(entry.content, Content::Message(_)));
        assert_eq!(of_messages.map(|entry| entry.received_ms).collect::<Vec<_>>(), [START_MS]);
        let [message] = <[_; 1]>::try_from(world.messages(device).await).unwrap();
        assert_eq!((message.content, message.activity), (ciphertext(device), activity.clone()));
    }
}

#[tokio::test]
async fn a_partial_delivery_can_be_completed_when_it_was_acknowledged_already() {
    let world = World::new().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let second = world.further(&bob, "two").await;
    let first = envelope(&alice, &[&bob]);
    partial(alice.send(&first).await.unwrap());
    world.deliver().await;
    world.confirm(&bob).await;
    world.deliver().await;
    assert_eq!(world.reports(&alice).await.len(), 1);
    let rest = Outgoing { id: first.id.clone(), ..envelope(&alice, &[&second]) };
    accepted(alice.send(&rest).await.unwrap());
    world.deliver().await;
    assert_eq!(world.messages(&bob).await, []);
    assert_eq!(world.messages(&second).await.len(), 1);
}

#[tokio::test]
async fn a_device_approved_in_between_is_missing_as_well() {
    let world = World::new().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let second = world.further(&bob, "two").await;
    let first = envelope(&alice, &[&bob]);
    partial(alice.send(&first).await.unwrap());
    let third = world.further(&bob, "three").await;
    let report = partial(
        alice.send(&Outgoing { id: first.id.clone(), ..envelope(&alice, &[&second]) }).await.unwrap(),
    );
    assert_eq!(report.missing_key_packages, [bob.origin().key_package(bob.user(), third.id())]);
    world.deliver().await;
}

#[tokio::test]
async fn stale_is_rejected_and_nothing_is_queued() {
    let world = World::new().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let second = world.further(&bob, "two").await;
    let third = world.further(&bob, "three").await;
    bob.revoke(second.id()).await.unwrap();
    let before = world.stored().await;

    let report = rejected(alice.send(&envelope(&alice, &[&bob, &second, &third])).await.unwrap());
    assert_eq!(report.kind, ReportKind::Reject);
    assert!(report.device_set_out_of_date);
    assert_eq!(report.stale_devices, [second.address()]);
    assert_eq!(report.missing_key_packages, Vec::<String>::new());
    assert_eq!(report.device_set, alice.chain(bob.user()).await.unwrap().1.device_set().reference());

    // Stale and missing at once; a device that never was is as stale as one that was revoked.
    let unknown = world.device("bob", "never registered", BARE);
    let report = rejected(alice.send(&envelope(&alice, &[&bob, &unknown])).await.unwrap());
    assert_eq!(report.stale_devices, [unknown.address()]);
    assert_eq!(report.missing_key_packages, [bob.origin().key_package(bob.user(), third.id())]);
    assert_eq!(world.stored().await.difference(&before), []);
    assert_eq!(world.deliver().await, 0);
}

#[tokio::test]
async fn a_device_that_waits_is_neither_missing_nor_to_be_written_to() {
    let world = World::new().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let waiting = world.pending(&bob, "two").await;
    accepted(alice.send(&envelope(&alice, &[&bob])).await.unwrap());
    let report = rejected(alice.send(&envelope(&alice, &[&bob, &waiting])).await.unwrap());
    assert_eq!(report.stale_devices, [waiting.address()]);
    world.deliver().await;
    // Not even the notice of itself.
    assert_eq!(world.stored().await.keys(waiting.id().as_str(), "M#").len(), 0);
}

#[tokio::test]
async fn a_device_revoked_between_partial_and_completion_counts_for_nothing() {
    let world = World::new().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let second = world.further(&bob, "two").await;
    let third = world.further(&bob, "three").await;
    let first = envelope(&alice, &[&bob, &second]);
    partial(alice.send(&first).await.unwrap());
    world.deliver().await;
    bob.revoke(second.id()).await.unwrap();
    accepted(alice.send(&Outgoing { id: first.id.clone(), ..envelope(&alice, &[&third]) }).await.unwrap());
    world.deliver().await;
    assert_eq!(world.messages(&third).await.len(), 1);
}

#[tokio::test]
async fn nobody_of_that_name() {
    let world = World::new().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let before = world.stored().await;
    let mut body = alice.create_activity(&envelope(&alice, &[&bob]));
    body["to"] = json!("https://eko.example/user/nobody");
    body["object"]["messages"][0]["to"] =
        json!(format!("https://eko.example/user/nobody/device/{}", bob.id()));
    let answer =
        alice.call(Method::POST, "/user/alice/outbox", Body::Json(&body), Auth::Device).await.unwrap();
    assert_eq!(refusal(&answer), "404 not-found");
    assert_eq!(world.stored().await.difference(&before), []);
}

#[tokio::test]
async fn a_retried_envelope_has_the_same_answer_and_no_second_entry() {
    let world = World::new().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let second = world.further(&bob, "two").await;
    let outgoing = envelope(&alice, &[&bob, &second]);
    let first = accepted(alice.send(&outgoing).await.unwrap());
    // Before it is delivered, and after.
    world.advance(1500);
    assert_eq!(accepted(alice.send(&outgoing).await.unwrap()), first);
    world.deliver().await;
    world.advance(MINUTE_MS);
    assert_eq!(accepted(alice.send(&outgoing).await.unwrap()), first);
    world.deliver().await;
    for device in [&bob, &second] {
        assert_eq!(device.fetch().await.unwrap().entries.len(), 1);
    }
    // Nothing comes back to a device that has acknowledged it; the other still has its one entry.
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
    let world = World::new().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let second = world.further(&bob, "two").await;
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
    // Rejected as a whole: the id may be used for the right devices.
    accepted(alice.send(&Outgoing { id: outgoing.id.clone(), ..envelope(&alice, &[&bob]) }).await.unwrap());
    world.deliver().await;
    assert_eq!(world.messages(&bob).await.len(), 2);
}

#[tokio::test]
async fn two_authors_may_choose_one_id() {
    let world = World::new().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let carol = world.user("carol").await;
    let outgoing = envelope(&alice, &[&bob]);
    let activities =
        [accepted(alice.send(&outgoing).await.unwrap()), accepted(carol.send(&outgoing).await.unwrap())];
    assert_ne!(activities[0], activities[1]);
    world.deliver().await;
    let mut authors: Vec<String> = world.messages(&bob).await.into_iter().map(|m| m.actor).collect();
    authors.sort();
    assert_eq!(authors, [alice.actor(), carol.actor()]);
    world.confirm(&bob).await;
    world.deliver().await;
    assert_eq!((world.reports(&alice).await.len(), world.reports(&carol).await.len()), (1, 1));
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

#[tokio::test]
async fn what_has_expired_is_never_returned() {
    let world = World::new().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let until = |ms: i64| Outgoing { expires_ms: Some(START_MS + ms), ..envelope(&alice, &[&bob]) };
    let (soon, late, never) = (until(MINUTE_MS), until(40 * DAY_MS), envelope(&alice, &[&bob]));
    for outgoing in [&soon, &late, &never] {
        accepted(alice.send(outgoing).await.unwrap());
        world.advance(1);
    }
    world.deliver().await;
    let ids = |messages: Vec<eko_protocol::activity::QueuedMessage>| -> Vec<_> {
        messages.into_iter().map(|message| message.envelope).collect()
    };
    let kept = bob.fetch().await.unwrap().entries;
    assert_eq!(ids(world.messages(&bob).await), [soon.id.clone(), late.id.clone(), never.id.clone()]);
    world.advance(MINUTE_MS - 4);
    assert_eq!(world.messages(&bob).await.len(), 3);
    world.advance(1);
    assert_eq!(ids(world.messages(&bob).await), [late.id.clone(), never.id.clone()]);
    // It is still stored, and acknowledging it says nothing to its author.
    assert_eq!(world.stored().await.keys(bob.id().as_str(), "M#").len(), 3);
    bob.acknowledge(&[kept[0].address.clone()]).await.unwrap();
    assert_eq!(world.queued().await, (0, 0));
    // The server's own 30 days are the most.
    world.advance(30 * DAY_MS - MINUTE_MS - 1000);
    sign_in_again(&world, &bob).await;
    assert_eq!(world.messages(&bob).await.len(), 2);
    world.advance(1000);
    assert_eq!(world.messages(&bob).await, []);
}

#[tokio::test]
async fn what_expires_on_its_way_is_never_returned() {
    let world = World::new().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let expires_ms = Some(START_MS + MINUTE_MS);
    accepted(alice.send(&Outgoing { expires_ms, ..envelope(&alice, &[&bob]) }).await.unwrap());
    world.advance(MINUTE_MS);
    world.deliver().await;
    assert_eq!(world.messages(&bob).await, []);
}

#[tokio::test]
async fn an_id_is_forgotten_when_its_entries_may_live_no_longer() {
    let world = World::new().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
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

async fn sign_in_again(world: &World, device: &eko_client::Device<eko_testkit::Direct>) {
    device.sign_in_again(&world.id_token(device.user().as_str()).await).await.unwrap();
}
