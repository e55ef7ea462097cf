//! Lost answers of DynamoDB and SQS between two servers: whichever call was performed without an
//! answer, and whether or not the process died there, an envelope arrives once and its author is
//! told.

use eko_client::device::{OutgoingEnvelope, SendOutcome};
use eko_protocol::activity::{Report, ReportKind};
use eko_protocol::vocabulary::text_in_context;
use eko_store::parcels::{OutcomeAddress, Parcel, ParcelBody};
use eko_testkit::{BARE, Internet, Stranger, World, envelope, lose_each_answer};

use crate::{MINUTE_MS, ServerPair};

/// Lets waits and visibility timeouts pass, and pumps every queue until nothing is left to do.
async fn settle_later(pair: &ServerPair) {
    for _ in 0..3 {
        pair.internet.advance(MINUTE_MS);
        pair.settle().await;
    }
    pair.alice.refresh().await.unwrap();
    pair.bob.refresh().await.unwrap();
}

/// Returns the kind of all reports, which may come more than once.
fn only_kind(reports: &[Report]) -> Option<ReportKind> {
    let first = reports.first()?.kind;
    reports.iter().all(|report| report.kind == first).then_some(first)
}

/// Asserts that the other server's device has the envelope once.
async fn assert_arrived(pair: &ServerPair, outgoing: &OutgoingEnvelope, run: &str) {
    settle_later(pair).await;
    let got: Vec<_> = pair.b.messages(&pair.bob).await.into_iter().map(|m| m.letter.header.id).collect();
    assert_eq!(got, std::slice::from_ref(&outgoing.id), "{run}");
}

/// Makes two servers that know each other, and an envelope.
async fn pair_and_envelope() -> (ServerPair, OutgoingEnvelope) {
    let pair = ServerPair::new().await;
    pair.alice.send(&envelope(&pair.alice, &[&pair.bob])).await.unwrap();
    pair.settle().await;
    pair.b.empty(&pair.bob).await;
    let outgoing = envelope(&pair.alice, &[&pair.bob]);
    (pair, outgoing)
}

/// Sends an envelope to the other server. It may have to wait.
async fn send((pair, outgoing): &(ServerPair, OutgoingEnvelope), _: usize) -> Result<(), String> {
    match pair.alice.send(outgoing).await {
        Ok(SendOutcome::Accepted { .. } | SendOutcome::Queued { .. }) => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

#[tokio::test]
async fn an_envelope_at_the_server_that_sends_it() {
    lose_each_answer(
        pair_and_envelope,
        |(pair, _)| &pair.a.calls,
        send,
        async |(pair, outgoing), run| assert_arrived(pair, outgoing, run).await,
    )
    .await;
}

#[tokio::test]
async fn an_envelope_at_the_server_that_receives_it() {
    lose_each_answer(
        pair_and_envelope,
        |(pair, _)| &pair.b.calls,
        send,
        async |(pair, outgoing), run| assert_arrived(pair, outgoing, run).await,
    )
    .await;
}

/// An envelope cannot be sent and is queued. If the process dies, the device sends it again.
#[tokio::test]
async fn an_envelope_that_begins_to_wait() {
    lose_each_answer(
        async || {
            let (pair, outgoing) = pair_and_envelope().await;
            pair.internet.unplug(pair.b_address);
            (pair, outgoing)
        },
        |(pair, _)| &pair.a.calls,
        send,
        async |(pair, outgoing), run| {
            pair.internet.plug(pair.b_address);
            assert_arrived(pair, outgoing, run).await;
            assert_eq!(only_kind(&pair.a.reports(&pair.alice).await), Some(ReportKind::Confirm), "{run}");
        },
    )
    .await;
}

/// A long activity waits in the table. Whatever is lost, the other server gets all of it, its
/// author is told, and it leaves nothing.
#[tokio::test]
async fn a_stored_activity_that_is_sent_later() {
    let text = format!(r#"{{"type":"Create","content":"{}"}}"#, "x".repeat(1_200_000));
    lose_each_answer(
        async || {
            let internet = Internet::new();
            let (world, _) = World::online(&internet, "a.example").await;
            let other = Stranger::new(&internet, "other.example").await;
            let alice = world.user_with("alice", BARE).await;
            let parcel = Parcel {
                to: other.actor.clone(),
                author: alice.user().clone(),
                first_ms: internet.now_ms(),
                not_before_ms: None,
                expires_ms: None,
                outcome_to: Some(OutcomeAddress {
                    device: alice.id().clone(),
                    envelope: alice.envelope_id(),
                }),
                listed_as: None,
                is_deletion: false,
                by_server: false,
                body: ParcelBody::Text(text.clone()),
            };
            let store = world.state.store();
            store.queue_parcels(vec![parcel], internet.now_ms(), || "one".to_owned()).await.unwrap();
            assert_eq!(texts(&world).await.len(), 4);
            (world, other, alice)
        },
        |(world, ..)| &world.calls,
        async |(world, ..), _| {
            world.advance(3 * MINUTE_MS);
            world.federate().await;
            Ok(())
        },
        async |(world, other, alice), run| {
            world.advance(3 * MINUTE_MS);
            world.federate().await;
            world.deliver().await;
            assert!(!other.posts().is_empty(), "{run}");
            assert!(other.posts().iter().all(|post| post.body == text_in_context(&text)), "{run}");
            assert_eq!(texts(world).await, Vec::<String>::new(), "{run}");
            assert_eq!(world.waiting().await, (0, 0), "{run}");
            assert_eq!(only_kind(&world.reports(alice).await), Some(ReportKind::Confirm), "{run}");
        },
    )
    .await;
}

/// Returns the names of the parts of stored activities.
async fn texts(world: &World) -> Vec<String> {
    world.stored().await.keys("F#", "").into_iter().map(|(partition, _)| partition.clone()).collect()
}

/// A pair with a delivered envelope of Alice's in Bob's mailbox.
async fn pair_and_delivered() -> ServerPair {
    let pair = ServerPair::new().await;
    pair.alice.send(&envelope(&pair.alice, &[&pair.bob])).await.unwrap();
    pair.settle().await;
    pair
}

/// Bob acknowledges, and the receipt goes to the other server and into Alice's mailbox.
async fn acknowledge(pair: &ServerPair, attempt: usize) -> Result<(), String> {
    if attempt > 0 {
        pair.internet.advance(3 * MINUTE_MS);
    }
    pair.b.confirm(&pair.bob).await;
    pair.settle().await;
    Ok(())
}

/// Asserts that Alice has the receipt.
async fn assert_receipt(pair: &ServerPair, run: &str) {
    settle_later(pair).await;
    assert_eq!(only_kind(&pair.a.reports(&pair.alice).await), Some(ReportKind::Delivered), "{run}");
}

#[tokio::test]
async fn a_receipt_at_the_server_that_sends_it() {
    let check = async |pair: &ServerPair, run: &str| assert_receipt(pair, run).await;
    lose_each_answer(pair_and_delivered, |pair| &pair.b.calls, acknowledge, check).await;
}

#[tokio::test]
async fn a_receipt_at_the_server_that_receives_it() {
    let check = async |pair: &ServerPair, run: &str| assert_receipt(pair, run).await;
    lose_each_answer(pair_and_delivered, |pair| &pair.a.calls, acknowledge, check).await;
}
