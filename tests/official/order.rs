//! Messages that are read in another order than they were sent in, and one that is never read.

use serde_json::json;

use crate::device::{OfficialDevice, SendResult};
use crate::local_server::LocalServer;
use crate::official::Library;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn out_of_order_and_with_one_lost() {
    for library in [Library::Current, Library::X3dh] {
        let (hers, his) = (LocalServer::start().await, LocalServer::start().await);
        let mut alice = OfficialDevice::first(library, &hers, "alice").await;
        let mut bob = OfficialDevice::first(library, &his, "bob").await;
        shuffled(&mut alice, &mut bob).await;
        over_a_turn_of_the_ratchet(&mut alice, &mut bob).await;
        alice.settled().await;
        bob.settled().await;
        hers.end().await;
        his.end().await;
    }
}

/// Each of the messages begins the session, since Bob has not answered yet.
async fn shuffled(alice: &mut OfficialDevice, bob: &mut OfficialDevice) {
    let sent = several(alice, &bob.actor, 5).await;
    bob.command(json!({ "do": "hold", "messages": 5 })).await;
    bob.drop(&sent[1], alice).await;
    let order = [&sent[3], &sent[0], &sent[4], &sent[2]];
    for (sent, received) in order.into_iter().zip(bob.read(&order).await) {
        sent.assert_is(&received, alice, bob);
    }
    let nothing = bob.command(json!({ "do": "hold" })).await;
    assert_eq!(nothing["held"], json!([]));
}

/// Bob reads the last of three messages and answers. He reads the first two after Alice's reply to
/// his answer.
async fn over_a_turn_of_the_ratchet(alice: &mut OfficialDevice, bob: &mut OfficialDevice) {
    let before = several(alice, &bob.actor, 3).await;
    bob.command(json!({ "do": "hold", "messages": 3 })).await;
    let received = bob.read(&[&before[2]]).await;
    before[2].assert_is(&received[0], alice, bob);

    let answer = bob.send(&alice.actor, "an answer").await;
    answer.assert_is(&alice.fetch(1).await[0], bob, alice);
    let after = alice.send(&bob.actor, "after it").await;
    bob.command(json!({ "do": "hold", "messages": 3 })).await;
    let order = [&after, &before[1], &before[0]];
    for (sent, received) in order.into_iter().zip(bob.read(&order).await) {
        sent.assert_is(&received, alice, bob);
    }
}

/// Sends this many messages, each of which must be accepted at once.
async fn several(by: &mut OfficialDevice, to: &str, count: usize) -> Vec<SendResult> {
    let mut sent = Vec::new();
    for number in 0..count {
        let one = by.send(to, &format!("number {number}")).await;
        one.assert_accepted(1);
        sent.push(one);
    }
    sent
}
