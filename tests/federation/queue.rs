//! The queue `federation`: long activities, failures in the middle, messages that cannot be
//! handled, and a dead server that holds up nobody.

use eko_client::device::{OutgoingEnvelope, SendOutcome};
use eko_protocol::activity::ReportKind;
use eko_protocol::address::UserName;
use eko_service::config::Config;
use eko_store::parcels::{OutcomeAddress, Parcel, ParcelBody};
use eko_store::resources::FEDERATION;
use eko_testkit::{CallFault, ChainChanges as _, Internet, Stranger, StrangerAnswer, World, envelope};
use http::Method;
use serde_json::json;

use crate::{HOUR_MS, MINUTE_MS, ServerPair, kinds};

const BOB: &str = "https://b.example/user/bob";

/// Returns a parcel of Alice's that is on its way since now, with nobody to tell; `n` tells it from
/// others.
fn parcel(to: &str, now_ms: i64, n: usize) -> Parcel {
    Parcel {
        to: to.to_owned(),
        author: UserName::parse("alice").unwrap(),
        first_ms: now_ms,
        not_before_ms: None,
        expires_ms: None,
        outcome_to: None,
        listed_as: None,
        is_deletion: false,
        by_server: false,
        body: ParcelBody::Text(format!(r#"{{"type":"Delivered","n":{n}}}"#)),
    }
}

/// An envelope that is too long for SQS is stored in the table while it waits, and leaves nothing
/// there.
#[tokio::test]
async fn an_envelope_too_long_for_the_queue() {
    let pair = ServerPair::new().await;
    let mut devices = vec![];
    for n in 0..13 {
        devices.push(pair.b.further(&pair.bob, &format!("device {n}")).await);
    }
    let all = devices.iter().chain([&pair.bob]);
    let messages = all.clone().map(|device| (device.id().clone(), vec![5; 96 * 1024])).collect();
    let id = pair.alice.envelope_id();
    let outgoing = OutgoingEnvelope::new(pair.bob.user().clone(), id, messages).at(pair.bob.origin());
    pair.settle().await;
    pair.internet.unplug(pair.b_address);
    assert!(matches!(pair.alice.send(&outgoing).await.unwrap(), SendOutcome::Queued { .. }));
    let parts = |stored: &eko_testkit::StoredState| stored.keys("F#", "").len();
    assert_eq!(parts(&pair.a.stored().await), 5);
    pair.internet.plug(pair.b_address);
    pair.internet.advance(10_000);
    pair.settle().await;
    for device in all {
        assert_eq!(pair.b.messages(device).await[0].ciphertext.len(), 96 * 1024);
    }
    assert_eq!(parts(&pair.a.stored().await), 0);
    assert_eq!(kinds(&pair.a.reports(&pair.alice).await), [ReportKind::Confirm]);
}

/// A step that failed in the store is repeated: nothing is lost, and nothing arrives twice.
#[tokio::test]
async fn calls_that_fail() {
    let pair = ServerPair::new().await;
    pair.alice.send(&envelope(&pair.alice, &[&pair.bob])).await.unwrap();
    pair.settle().await;
    pair.b.empty(&pair.bob).await;
    for (world, operation, fault, times) in [
        ("b", "SendMessageBatch", CallFault::Down, 3),
        ("b", "SendMessageBatch", CallFault::AnswerLost, 3),
        ("b", "UpdateItem", CallFault::Down, 3),
        // The device set, and the record of the other server.
        ("b", "GetItem", CallFault::Down, 6),
    ] {
        let failing = if world == "a" { &pair.a } else { &pair.b };
        failing.calls.fail(operation, fault, times);
        let outgoing = envelope(&pair.alice, &[&pair.bob]);
        let outcome = pair.alice.send(&outgoing).await.unwrap();
        // The other server answers 503, which decides nothing about the envelope.
        assert!(matches!(outcome, SendOutcome::Queued { .. }), "{operation} {fault:?}: {outcome:?}");
        for _ in 0..8 {
            pair.internet.advance(20_000);
            pair.settle().await;
        }
        let got: Vec<_> = pair.b.messages(&pair.bob).await.into_iter().map(|m| m.letter.header.id).collect();
        assert_eq!(got, [outgoing.id], "{operation} {fault:?}");
        pair.b.empty(&pair.bob).await;
        pair.a.empty(&pair.alice).await;
        pair.internet.advance(crate::MINUTE_MS);
        pair.alice.refresh().await.unwrap();
        pair.bob.refresh().await.unwrap();
    }
}

/// A report to the sender that could not be queued is queued later.
#[tokio::test]
async fn an_outcome_that_cannot_be_queued() {
    let pair = ServerPair::new().await;
    pair.internet.unplug(pair.b_address);
    pair.alice.send(&envelope(&pair.alice, &[&pair.bob])).await.unwrap();
    pair.internet.plug(pair.b_address);
    pair.internet.advance(10_000);
    pair.a.calls.fail("SendMessageBatch", CallFault::Down, 3);
    pair.a.federate().await;
    assert_eq!(pair.a.waiting().await.0, 1);
    pair.internet.advance(i64::from(FEDERATION.visibility_seconds) * 1_000);
    pair.settle().await;
    assert_eq!(kinds(&pair.a.reports(&pair.alice).await), [ReportKind::Confirm]);
    assert_eq!(pair.b.messages(&pair.bob).await.len(), 1);
}

/// A message that is no parcel ends in the dead-letter queue.
#[tokio::test]
async fn what_cannot_be_handled() {
    let mut pair = ServerPair::new().await;
    let queue = pair.a.cloud.federation.queue.clone();
    let to_nowhere = serde_json::to_string(&parcel("nowhere", pair.internet.now_ms(), 0)).unwrap();
    for body in ["nonsense", &to_nowhere] {
        pair.a.cloud.clients.sqs.send_message().queue_url(&queue).message_body(body).send().await.unwrap();
    }
    for _ in 0..=FEDERATION.max_receives {
        pair.a.federate().await;
        pair.internet.advance(i64::from(FEDERATION.visibility_seconds) * 1_000);
    }
    assert_eq!(pair.a.waiting().await, (0, 2));
    pair.a.leave_queues();
}

/// One parcel of two batches probes a failing server when its pause is over.
#[tokio::test]
async fn two_batches_and_one_try() {
    let mut pair = ServerPair::new().await;
    let dead = Stranger::new(&pair.internet, "dead.example").await;
    pair.internet.unplug(dead.address);
    let now_ms = pair.internet.now_ms();
    let parcel = |n| parcel(&dead.actor, now_ms, n);
    let parcels = (0..20).map(parcel).collect();
    pair.a.state.store().queue_parcels(parcels, now_ms, String::new).await.unwrap();
    assert_eq!(pair.a.federate().await, 20);
    pair.internet.advance(MINUTE_MS);
    pair.a.calls.reset();
    pair.internet.forget();
    // Both batches have read that the server may be tried before either claims the try.
    let held = pair.a.calls.hold("UpdateItem", 0);
    let release = async {
        held.reached().await;
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        held.release();
    };
    let (first, second, ()) = tokio::join!(pair.a.federate(), pair.a.federate(), release);
    assert_eq!((first, second), (10, 10));
    assert_eq!(pair.internet.dialled().len(), 1);
    pair.a.leave_queues();
}

/// Another server may ask for a longer wait than SQS can delay a message. The parcel is then
/// received and hidden again, also while the table is down.
#[tokio::test]
async fn a_long_wait_while_the_store_is_down() {
    let mut pair = ServerPair::new().await;
    let now_ms = pair.internet.now_ms();
    let parcel = |not_before_ms| Parcel { not_before_ms, ..parcel(BOB, now_ms, 0) };
    let store = pair.a.state.store();
    store.queue_parcels(vec![parcel(Some(now_ms + 2 * HOUR_MS))], now_ms, String::new).await.unwrap();
    pair.a.federate().await;
    assert_eq!(pair.a.waiting().await.0, 1);
    pair.internet.advance(HOUR_MS / 4);
    store.queue_parcels(vec![parcel(None)], now_ms, String::new).await.unwrap();
    pair.a.calls.fail("BatchGetItem", CallFault::Down, 3);
    pair.a.federate().await;
    assert_eq!(pair.a.waiting().await, (2, 0), "both are still there");
    pair.internet.forget();
    pair.internet.advance(HOUR_MS);
    pair.a.federate().await;
    assert_eq!(pair.a.waiting().await.0, 1, "the one that may");
    pair.internet.advance(HOUR_MS);
    pair.a.federate().await;
    assert_eq!(pair.a.waiting().await, (0, 0));
    pair.a.leave_queues();
}

/// A parcel for a server that the policy has excluded in the meantime is rejected, and its sender
/// told.
#[tokio::test]
async fn a_server_that_is_excluded_meanwhile() {
    let internet = Internet::new();
    let deny = |config: &mut Config| {
        let federation = config.federation.as_mut().unwrap();
        federation.policy.deny = vec!["b.example".to_owned()];
    };
    let a = World::at(&internet, "a.example", deny).await;
    let alice = a.user("alice").await;
    let envelope = alice.envelope_id();
    let parcel = Parcel {
        outcome_to: Some(OutcomeAddress { device: alice.id().clone(), envelope }),
        ..parcel(BOB, internet.now_ms(), 0)
    };
    a.state.store().queue_parcels(vec![parcel], internet.now_ms(), String::new).await.unwrap();
    a.federate().await;
    a.deliver().await;
    let reports = a.reports(&alice).await;
    assert_eq!(kinds(&reports), [ReportKind::Reject]);
    assert_eq!(reports[0].summary.as_deref(), Some("b.example is not federated with"));
    assert_eq!(internet.resolved(), Vec::<String>::new());
}

/// A thousand parcels for a dead server cost one look each now and then, and do not hold up a
/// parcel for a living server.
#[tokio::test]
async fn a_thousand_for_a_dead_server() {
    let mut pair = ServerPair::new().await;
    let dead = Stranger::new(&pair.internet, "dead.example").await;
    pair.internet.unplug(dead.address);
    let now_ms = pair.internet.now_ms();
    let parcel = |n| parcel(&dead.actor, now_ms, n);
    pair.a
        .state
        .store()
        .queue_parcels((0..1_000).map(parcel).collect(), pair.internet.now_ms(), String::new)
        .await
        .unwrap();
    let outgoing = envelope(&pair.alice, &[&pair.bob]);
    pair.internet.forget();
    pair.a.calls.reset();
    assert_eq!(pair.a.federate().await, 1_000);
    // One parcel finds out that the server is dead. The others do not connect.
    assert_eq!(pair.internet.dialled().len(), 1);
    let made = pair.a.calls.made();
    let count = |name: &str| made.iter().filter(|call| *call == name).count();
    assert_eq!(count("BatchGetItem"), 100);
    assert_eq!(count("ChangeMessageVisibilityBatch"), 100);
    // One notes the failure. Each of the receipts is listed as one of its account and of its site.
    assert_eq!(count("UpdateItem"), 2_001);
    // An envelope for the living server is delivered at once.
    assert!(matches!(pair.alice.send(&outgoing).await.unwrap(), SendOutcome::Accepted { .. }));
    pair.b.deliver().await;
    assert_eq!(pair.b.messages(&pair.bob).await.len(), 1);
    // When the pause is over, one parcel probes the server for all of them.
    pair.internet.forget();
    pair.internet.advance(30_000);
    pair.a.federate().await;
    assert_eq!(pair.internet.dialled().len(), 1);
    // When the server is back, all parcels arrive.
    pair.internet.plug(dead.address);
    for _ in 0..6 {
        pair.internet.advance(HOUR_MS);
        pair.a.federate().await;
    }
    assert_eq!(dead.posts().len(), 1_000);
    assert_eq!(pair.a.waiting().await, (0, 0));
    pair.a.leave_queues();
}

/// A server that answers nothing but 502 is probed once a minute, and each parcel that waits for it
/// is received a few times only. Their time ends before the queue gives them up, and the sender is
/// told.
#[tokio::test]
async fn parcels_for_a_server_that_is_left_alone_are_received_few_times() {
    let pair = ServerPair::new().await;
    let busy = Stranger::new(&pair.internet, "busy.example").await;
    busy.script(|request| (request.method == Method::POST).then(|| StrangerAnswer::status(502)));
    let now_ms = pair.internet.now_ms();
    let parcels = (0..20).map(|number| {
        let to = format!("{}/users/{number}", busy.origin);
        let mut document = busy.actor_document();
        (document["id"], document["inbox"]) = (json!(to), json!(format!("{to}/inbox")));
        busy.document(&format!("/users/{number}"), StrangerAnswer::activity(200, &document));
        let author = UserName::parse(&format!("author_{number}")).unwrap();
        Parcel { author, ..parcel(&to, now_ms, number) }
    });
    let mut parcels = Vec::from_iter(parcels);
    parcels[0].author = pair.alice.user().clone();
    parcels[0].outcome_to = Some(OutcomeAddress {
        device: pair.alice.id().clone(),
        envelope: envelope(&pair.alice, &[&pair.bob]).id,
    });
    pair.a.state.store().queue_parcels(parcels, now_ms, String::new).await.unwrap();
    for _ in 0..540 {
        pair.a.federate().await;
        pair.internet.advance(20_000);
    }
    assert_eq!(pair.a.waiting().await, (20, 0), "after three hours");
    for _ in 0..48 {
        pair.a.federate().await;
        pair.internet.advance(HOUR_MS);
    }
    pair.settle().await;
    assert_eq!(pair.a.waiting().await, (0, 0));
    pair.alice.refresh().await.unwrap();
    assert_eq!(kinds(&pair.a.reports(&pair.alice).await), [ReportKind::Reject]);
}

/// The outcome of an envelope reaches no device that was revoked meanwhile.
#[tokio::test]
async fn a_revoked_device_is_told_no_outcome() {
    let pair = ServerPair::new().await;
    let tablet = pair.a.further(&pair.alice, "tablet").await;
    pair.internet.unplug(pair.b_address);
    let sent = tablet.send(&envelope(&tablet, &[&pair.bob])).await.unwrap();
    assert!(matches!(sent, SendOutcome::Queued { .. }), "{sent:?}");
    pair.alice.revoke(tablet.id()).await.unwrap();
    pair.a.erase().await;
    pair.internet.plug(pair.b_address);
    pair.internet.advance(HOUR_MS);
    pair.settle().await;
    assert_eq!(pair.a.waiting().await, (0, 0));
    let partition = format!("D#alice#{}", tablet.id());
    let left = pair.a.stored().await.keys(&partition, "").len();
    assert_eq!(left, 1, "the record that the device is revoked");
}
