//! The AWS calls and rounds that federation makes. A change that adds one fails here, and has to
//! say why it is worth it.

use eko_client::device::SendOutcome;
use eko_testkit::{Internet, Stranger, envelope};

use crate::ServerPair;

#[tokio::test]
async fn an_envelope_to_another_server() {
    let pair = ServerPair::new().await;
    let second = pair.b.further(&pair.bob, "two").await;
    // After a first envelope, both servers know each other.
    pair.alice.send(&envelope(&pair.alice, &[&pair.bob, &second])).await.unwrap();
    pair.settle().await;

    let outgoing = envelope(&pair.alice, &[&pair.bob, &second]);
    pair.a.calls.reset();
    pair.b.calls.reset();
    let outcome = pair.alice.send(&outgoing).await.unwrap();
    assert!(matches!(outcome, SendOutcome::Accepted { .. }), "{outcome:?}");
    // The sender's server. Round 1: devices, recipient and host in one call, and the budgets of the
    // account and of the recipient. Round 2: the record of what was sent.
    let mut made = pair.a.calls.made();
    made[..3].sort();
    assert_eq!(made, ["BatchGetItem", "UpdateItem", "UpdateItem", "UpdateItem"]);
    assert_eq!(pair.a.calls.rounds(), 2);
    // The recipient's server, which has the author in memory. Round 1: device set and budget. Round
    // 2: the envelope's record. Round 3: the queue.
    let mut made = pair.b.calls.made();
    made[..2].sort();
    assert_eq!(made, ["GetItem", "UpdateItem", "UpdateItem", "SendMessageBatch"]);
    assert_eq!(pair.b.calls.rounds(), 3);
    pair.settle().await;
}

#[tokio::test]
async fn a_first_envelope_to_another_server() {
    let pair = ServerPair::new().await;
    pair.a.calls.reset();
    pair.b.calls.reset();
    pair.alice.send(&envelope(&pair.alice, &[&pair.bob])).await.unwrap();
    // The first envelope also stores a copy of Bob's actor. The last call serves Alice's document
    // to the other server.
    let made = pair.a.calls.made();
    assert_eq!(made[3..], ["UpdateItem", "PutItem", "GetItem"]);
    assert_eq!(made.len(), 6);
    // The other server serves Bob's actor from his device set. Then it looks Alice up: a read of
    // her copy and of her server's record, and the place to wait in.
    let mut made = pair.b.calls.made();
    assert_eq!(made[..3], ["GetItem", "BatchGetItem", "UpdateItem"]);
    // After the fetch, the place is left while her copy is stored and her server is noted as
    // known. The rest is as for every envelope: device set and budget, record, queue; and beside
    // it, once in ten seconds, the record of her server, for which something may wait.
    made[3..9].sort();
    let fetched = ["GetItem", "GetItem", "PutItem", "UpdateItem", "UpdateItem", "UpdateItem"];
    assert_eq!(
        (&made[3..9], &made[9..]),
        (&fetched.map(String::from)[..], &["UpdateItem", "SendMessageBatch"].map(String::from)[..])
    );
    pair.settle().await;

    // Another actor of the same server costs the same, without the note.
    let anna = pair.a.user("anna").await;
    anna.send(&envelope(&anna, &[&pair.bob])).await.unwrap();
    pair.settle().await;
    pair.b.calls.reset();
    let berta = pair.a.user("berta").await;
    berta.send(&envelope(&berta, &[&pair.bob])).await.unwrap();
    let mut made = pair.b.calls.made();
    assert_eq!(made[..2], ["BatchGetItem", "UpdateItem"]);
    made[2..6].sort();
    assert_eq!(made[2..6], ["GetItem", "PutItem", "UpdateItem", "UpdateItem"]);
    assert_eq!(made.len(), 8, "{made:?}");
    pair.settle().await;
}

/// A chain costs as much as a take, and the other server no more than a reader of its own.
#[tokio::test]
async fn a_chain_of_another_servers_user() {
    let pair = ServerPair::new().await;
    pair.a.calls.reset();
    pair.b.calls.reset();
    pair.alice.chain_through_home(pair.bob.origin(), pair.bob.user()).await.unwrap();
    // Round 1: the own devices, and the budgets of the account and of the other server. Round 2: the
    // record of that server. The answer is not kept.
    let mut made = pair.a.calls.made();
    made[..3].sort();
    assert_eq!(made, ["GetItem", "UpdateItem", "UpdateItem", "GetItem"]);
    assert_eq!(pair.a.calls.rounds(), 2);
    assert_eq!(pair.b.calls.made(), ["Query"]);

    // A chain of the own server: the own devices beside the account's budget, and the chain.
    pair.a.calls.reset();
    pair.alice.chain_through_home(pair.alice.origin(), pair.alice.user()).await.unwrap();
    let mut made = pair.a.calls.made();
    made[..2].sort();
    assert_eq!(made, ["GetItem", "UpdateItem", "Query"]);
    assert_eq!(pair.a.calls.rounds(), 2);
}

#[tokio::test]
async fn a_receipt_from_another_server() {
    let pair = ServerPair::new().await;
    // After a first receipt, each function knows who is at the other end.
    pair.alice.send(&envelope(&pair.alice, &[&pair.bob])).await.unwrap();
    pair.settle().await;
    pair.b.confirm(&pair.bob).await;
    pair.settle().await;
    pair.alice.send(&envelope(&pair.alice, &[&pair.bob])).await.unwrap();
    pair.settle().await;
    pair.b.calls.reset();
    pair.b.confirm(&pair.bob).await;
    // The calls are for the page; the entry with the device's record; the acknowledgement in the
    // envelope's record; the queue for other servers; and the deletion.
    assert_eq!(
        pair.b.calls.made(),
        ["Query", "BatchGetItem", "UpdateItem", "SendMessageBatch", "BatchWriteItem"]
    );
    pair.b.calls.reset();
    pair.a.calls.reset();
    pair.b.federate().await;
    // The batch reads the state of the host. Alice's actor is in memory.
    let made = pair.b.calls.made();
    assert_eq!(made, ["ReceiveMessage", "BatchGetItem", "DeleteMessageBatch", "ReceiveMessage"]);
    // The calls are for the receipt's place in the record of what was sent, beside the budget of
    // reports; the queue; and the mark that the receipt came. Bob's actor is in memory.
    assert_eq!(pair.a.calls.made(), ["UpdateItem", "UpdateItem", "SendMessageBatch", "UpdateItem"]);
    assert_eq!(pair.a.calls.rounds(), 3);
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
        let id = alice.envelope_id();
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
    // Nothing connects to the server while its pause lasts.
    assert_eq!(internet.dialled(), []);
    let mut made = a.calls.made();
    made[..3].sort();
    // Round 1: the read, and the budgets of account and recipient. Then the record of what was
    // sent, the list of what waits, and the queue.
    let updates = ["UpdateItem"; 4];
    assert_eq!(made, [&["BatchGetItem"], updates.as_slice(), &["SendMessageBatch"]].concat());
    // During the pause the parcels stay hidden. After it both are received in one batch: one of
    // them claims the try, connects and records the failure, and both are hidden again in one call
    // and listed in another, so that a sign of life wakes them.
    a.calls.reset();
    a.federate().await;
    assert_eq!(a.calls.made(), ["ReceiveMessage"]);
    internet.advance(6_000);
    a.calls.reset();
    a.federate().await;
    let made = a.calls.made();
    assert_eq!(made[..3], ["ReceiveMessage", "BatchGetItem", "UpdateItem"]);
    assert_eq!(
        made[made.len() - 4..],
        ["UpdateItem", "ChangeMessageVisibilityBatch", "BatchWriteItem", "ReceiveMessage"]
    );
    assert_eq!(internet.dialled().len(), 1);
    let mut a = a;
    a.leave_queues();
}
