//! What federation costs in AWS calls and rounds. A change that adds one fails here, and has to say why.

use eko_client::device::SendOutcome;
use eko_testkit::{Internet, Stranger, envelope};

use crate::Pair;

#[tokio::test]
async fn an_envelope_to_another_server() {
    let pair = Pair::new().await;
    let second = pair.b.further(&pair.bob, "two").await;
    // Both know each other.
    pair.alice.send(&envelope(&pair.alice, &[&pair.bob, &second])).await.unwrap();
    pair.settle().await;

    let outgoing = envelope(&pair.alice, &[&pair.bob, &second]);
    pair.a.calls.reset();
    pair.b.calls.reset();
    let outcome = pair.alice.send(&outgoing).await.unwrap();
    assert!(matches!(outcome, SendOutcome::Accepted { .. }), "{outcome:?}");
    // The sender: devices, recipient and host in one, the budget beside it; the record of the sending.
    let mut made = pair.a.calls.made();
    made[..2].sort();
    assert_eq!(made, ["BatchGetItem", "UpdateItem", "UpdateItem"]);
    assert_eq!(pair.a.calls.rounds(), 2);
    // The recipient, who has the author in memory: device set and budget, the envelope's record, the queue.
    let mut made = pair.b.calls.made();
    made[..2].sort();
    assert_eq!(made, ["GetItem", "UpdateItem", "UpdateItem", "SendMessageBatch"]);
    assert_eq!(pair.b.calls.rounds(), 3);
    pair.settle().await;
}

#[tokio::test]
async fn a_first_envelope_to_another_server() {
    let pair = Pair::new().await;
    pair.a.calls.reset();
    pair.b.calls.reset();
    pair.alice.send(&envelope(&pair.alice, &[&pair.bob])).await.unwrap();
    // One more: bob is kept. The last is the other server's, which asks for alice's document.
    let made = pair.a.calls.made();
    assert_eq!(made[2..], ["UpdateItem", "PutItem", "GetItem"]);
    assert_eq!(made.len(), 5);
    let made = pair.b.calls.made();
    // The actor's document is served from the other's device set; then alice is looked up and kept.
    assert_eq!(made.iter().filter(|call| *call == "PutItem").count(), 1, "{made:?}");
    assert!(made.len() <= 7, "{made:?}");
    pair.settle().await;
}

#[tokio::test]
async fn a_receipt_from_another_server() {
    let pair = Pair::new().await;
    // By a first one each function comes to know who is at the other end.
    pair.alice.send(&envelope(&pair.alice, &[&pair.bob])).await.unwrap();
    pair.settle().await;
    pair.b.confirm(&pair.bob).await;
    pair.settle().await;
    pair.alice.send(&envelope(&pair.alice, &[&pair.bob])).await.unwrap();
    pair.settle().await;
    pair.b.calls.reset();
    pair.b.confirm(&pair.bob).await;
    // The page, the entry, the claim, the queue for other servers.
    assert_eq!(pair.b.calls.made(), ["Query", "DeleteItem", "UpdateItem", "SendMessageBatch"]);
    pair.b.calls.reset();
    pair.a.calls.reset();
    pair.b.federate().await;
    // How the host fares; alice is in memory.
    let made = pair.b.calls.made();
    assert_eq!(made, ["ReceiveMessage", "BatchGetItem", "DeleteMessageBatch", "ReceiveMessage"]);
    // bob is in memory; the record of the sending, the queue, the note.
    assert_eq!(pair.a.calls.made(), ["GetItem", "SendMessageBatch", "UpdateItem"]);
    pair.settle().await;
}

#[tokio::test]
async fn a_dead_server_costs_its_first_senders_only() {
    let internet = Internet::new();
    let (a, _) = eko_testkit::World::online(&internet, "a.example").await;
    let alice = a.user("alice").await;
    let dead = Stranger::new(&internet, "dead.example").await;
    internet.unplug(dead.address);
    let there = eko_protocol::address::Origin::parse("https://dead.example").unwrap();
    let send = async || {
        let id = alice.environment().envelope_id().unwrap();
        let device = eko_protocol::id::DeviceId::parse("00000000-0000-4000-8000-000000000001").unwrap();
        let user = eko_protocol::address::UserName::parse("eve").unwrap();
        let outgoing =
            eko_client::device::OutgoingEnvelope::new(user, id, vec![(device, vec![1])]).at(&there);
        alice.send(&outgoing).await.unwrap()
    };
    assert!(matches!(send().await, SendOutcome::Queued { .. }));
    internet.forget();
    a.calls.reset();
    assert!(matches!(send().await, SendOutcome::Queued { .. }));
    // Nobody dials while the pause lasts.
    assert_eq!(internet.dialled(), []);
    let mut made = a.calls.made();
    made[..2].sort();
    assert_eq!(made, ["BatchGetItem", "UpdateItem", "UpdateItem", "SendMessageBatch"]);
    // Nobody looks at them either. Then both are looked at in one batch: one claims the try, dials and notes what
    // came of it, and both are hidden in one call.
    a.calls.reset();
    a.federate().await;
    assert_eq!(a.calls.made(), ["ReceiveMessage"]);
    internet.advance(6_000);
    a.calls.reset();
    a.federate().await;
    let made = a.calls.made();
    assert_eq!(made[..3], ["ReceiveMessage", "BatchGetItem", "UpdateItem"]);
    assert_eq!(made[made.len() - 3..], ["UpdateItem", "ChangeMessageVisibilityBatch", "ReceiveMessage"]);
    assert_eq!(internet.dialled().len(), 1);
    let mut a = a;
    a.leave_queues();
}
