//! A server that is back says so by sending something: what waits for it is tried at once.

use eko_client::device::{EntryContent, OutgoingEnvelope, SendOutcome};
use eko_protocol::activity::{Report, ReportKind};
use eko_store::parcels::{Parcel, ParcelBody};
use eko_testkit::{Stranger, envelope};
use serde_json::json;

use crate::{HOUR_MS, MINUTE_MS, ServerPair, kinds};

/// Sends an envelope of Alice's, which has to wait.
async fn send_waiting(pair: &ServerPair) -> OutgoingEnvelope {
    let outgoing = envelope(&pair.alice, &[&pair.bob]);
    let sent = pair.alice.send(&outgoing).await.unwrap();
    assert!(matches!(sent, SendOutcome::Queued { .. }), "{sent:?}");
    outgoing
}

/// The other server is away for so long, in milliseconds. Then its user writes: the reply and the
/// older messages arrive at once, and time does not move.
async fn returns_after(away_ms: i64) {
    let pair = ServerPair::new().await;
    pair.b.send(&pair.bob, &[&pair.alice]).await;
    pair.settle().await;
    pair.internet.unplug(pair.b_address);
    let first = send_waiting(&pair).await;
    for _ in 0..away_ms / 5_000 {
        pair.internet.advance(5_000);
        pair.a.federate().await;
    }
    pair.alice.refresh().await.unwrap();
    pair.bob.refresh().await.unwrap();
    let second = send_waiting(&pair).await;
    // The second one is received once, and waits for the breaker then.
    pair.internet.advance(6_000);
    pair.a.federate().await;
    assert_eq!(pair.a.waiting().await, (2, 0));

    pair.internet.plug(pair.b_address);
    pair.b.send(&pair.bob, &[&pair.alice]).await;
    pair.settle().await;
    assert_eq!(pair.a.waiting().await, (0, 0), "after {away_ms} ms");
    let reply = envelope(&pair.alice, &[&pair.bob]);
    let sent = pair.alice.send(&reply).await.unwrap();
    assert!(matches!(sent, SendOutcome::Accepted { .. }), "{sent:?}");
    pair.settle().await;
    let mut got: Vec<_> = pair.b.messages(&pair.bob).await.into_iter().map(|m| m.letter.header.id).collect();
    let mut sent = [first.id, second.id, reply.id];
    got.sort();
    sent.sort();
    assert_eq!(got, sent);
    assert_eq!(kinds(&confirmed(&pair).await), [ReportKind::Confirm; 2]);
}

/// Returns the reports for Alice, after the messages of Bob.
async fn confirmed(pair: &ServerPair) -> Vec<Report> {
    let entries = pair.alice.fetch().await.unwrap().entries;
    let report = |content| match content {
        EntryContent::Report(report) => Some(report),
        _ => None,
    };
    entries.into_iter().filter_map(|entry| report(entry.content)).collect()
}

#[tokio::test]
async fn after_a_minute_and_a_half() {
    returns_after(95_000).await;
}

#[tokio::test]
async fn after_two_hours() {
    returns_after(2 * HOUR_MS).await;
}

/// A server that sends and does not answer is tried more and more seldom, and what waits for it is
/// not given up before its time.
#[tokio::test]
async fn a_server_that_sends_and_does_not_answer() {
    let mut pair = ServerPair::new().await;
    let half = Stranger::new(&pair.internet, "half.example").await;
    let like = |n: usize| json!({"type": "Like", "actor": half.actor, "object": format!("x{n}")});
    assert_eq!(half.deliver(&pair.a, "/inbox", &like(0)).await.0, 202);
    let parcel = Parcel {
        to: half.actor.clone(),
        author: pair.alice.user().clone(),
        first_ms: pair.internet.now_ms(),
        not_before_ms: None,
        expires_ms: None,
        outcome_to: None,
        listed_as: None,
        is_deletion: false,
        by_server: false,
        body: ParcelBody::Text(r#"{"type":"Delivered"}"#.to_owned()),
    };
    pair.internet.unplug(half.address);
    let store = pair.a.state.store();
    store.queue_parcels(vec![parcel], pair.internet.now_ms(), String::new).await.unwrap();
    pair.a.federate().await;
    pair.a.calls.reset();
    for number in 1..=24 * 60 {
        pair.internet.advance(MINUTE_MS);
        assert_eq!(half.deliver(&pair.a, "/inbox", &like(number)).await.0, 202);
        pair.a.federate().await;
    }
    // Each attempt ends with a wait, and each sign of life that counts ends one.
    let made = pair.a.calls.made();
    let waits = made.iter().filter(|call| *call == "ChangeMessageVisibilityBatch").count();
    assert!(waits < 60, "{waits} waits in a day");
    assert_eq!(pair.a.waiting().await, (1, 0));
    pair.a.leave_queues();
}
