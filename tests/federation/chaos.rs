//! No accepted envelope is lost: whatever fails on the way, each accepted send ends as an entry in
//! the recipient's mailbox or as a report to the sender.

use std::collections::{BTreeMap, BTreeSet};

use eko_client::device::{EntryContent, SendOutcome};
use eko_protocol::activity::ReportKind;
use eko_testkit::{CallFault, envelope, seeded};

use crate::{HOUR_MS, MINUTE_MS, ServerPair};

/// The AWS operations that may fail, on either server, once or for all tries of the SDK.
const OPERATIONS: [&str; 10] = [
    "BatchGetItem",
    "GetItem",
    "UpdateItem",
    "PutItem",
    "BatchWriteItem",
    "SendMessageBatch",
    "ReceiveMessage",
    "DeleteMessageBatch",
    "ChangeMessageVisibilityBatch",
    "Query",
];
/// The envelopes that each play sends.
const SENDS: usize = 80;

#[tokio::test]
async fn every_accepted_send_is_delivered_or_reported_first_seed() {
    play("first").await;
}

#[tokio::test]
async fn every_accepted_send_is_delivered_or_reported_second_seed() {
    play("second").await;
}

#[tokio::test]
async fn every_accepted_send_is_delivered_or_reported_third_seed() {
    play("third").await;
}

/// Sends envelopes while calls and servers fail at random, then lets everything recover, and
/// accounts for each envelope.
async fn play(seed: &str) {
    let pair = ServerPair::new().await;
    let random = seeded(seed);
    let below = |n: usize| {
        let mut bytes = [0; 2];
        random(&mut bytes);
        usize::from(u16::from_be_bytes(bytes)) % n
    };
    let mut accepted = BTreeSet::new();
    let (mut queued, mut refused) = (0, 0);
    for _ in 0..SENDS {
        let world = if below(2) == 0 { &pair.a } else { &pair.b };
        let fault = if below(2) == 0 { CallFault::Down } else { CallFault::AnswerLost };
        if below(3) > 0 {
            world.calls.fail(OPERATIONS[below(OPERATIONS.len())], fault, 1 + below(8));
        }
        match below(6) {
            0 => pair.internet.unplug(pair.b_address),
            1..3 => pair.internet.plug(pair.b_address),
            _ => {}
        }
        let outgoing = envelope(&pair.alice, &[&pair.bob]);
        match pair.alice.send(&outgoing).await {
            Ok(SendOutcome::Accepted { .. }) => _ = accepted.insert(outgoing.id),
            Ok(SendOutcome::Queued { .. }) => {
                queued += 1;
                accepted.insert(outgoing.id);
            }
            Ok(other) => panic!("{other:?}"),
            // The envelope was not accepted. The client knows, and may send it again.
            Err(error) => {
                refused += 1;
                assert!(matches!(error.problem().unwrap().status, 429 | 503), "{error}");
            }
        }
        pair.internet.advance(i64::try_from(below(20_000)).unwrap());
        pump(&pair).await;
    }
    assert!(queued > 0 && refused > 0, "{queued} queued, {refused} refused: nothing failed");
    for operation in OPERATIONS {
        pair.a.calls.fail(operation, CallFault::Down, 0);
        pair.b.calls.fail(operation, CallFault::Down, 0);
    }
    pair.internet.plug(pair.b_address);
    for _ in 0..30 {
        pair.internet.advance(MINUTE_MS);
        pair.settle().await;
    }
    for _ in 0..10 {
        pair.internet.advance(HOUR_MS);
        pair.settle().await;
    }
    pair.alice.refresh().await.unwrap();
    pair.bob.refresh().await.unwrap();
    let mut entries: BTreeMap<_, usize> = BTreeMap::new();
    for message in pair.b.messages(&pair.bob).await {
        *entries.entry(message.letter.header.id).or_default() += 1;
    }
    let rejected: BTreeSet<_> = pair
        .alice
        .fetch()
        .await
        .unwrap()
        .entries
        .into_iter()
        .filter_map(|entry| match entry.content {
            EntryContent::Report(report) if report.kind == ReportKind::Reject => Some(report.envelope),
            _ => None,
        })
        .collect();
    for envelope in &accepted {
        assert!(entries.contains_key(envelope) || rejected.contains(envelope), "{envelope} is lost");
    }
    assert!(entries.values().all(|count| *count == 1), "an envelope has two entries");
    assert_eq!(pair.a.waiting().await, (0, 0));
}

/// Pumps the queues of both servers once, whatever fails.
async fn pump(pair: &ServerPair) {
    for world in [&pair.a, &pair.b] {
        world.try_pump().await;
    }
}
