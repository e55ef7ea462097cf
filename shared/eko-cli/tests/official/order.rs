//! Tests of messages that are read in another order than they were sent in, and of one that is
//! never read.

use serde_json::{Value, json};

use crate::device::{OfficialDevice, SendResult};
use crate::eko_device::{EkoDevice, SentText, assert_heard};
use crate::local_server::LocalServer;
use crate::official::Library;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ours_reads_out_of_order_and_misses_one() {
    let here = LocalServer::start().await;
    let alice = EkoDevice::first(&here, "alice").await;
    let mut bob = OfficialDevice::first(Library::Current, &here, "bob").await;
    // All five messages begin the session, since Alice has not answered yet.
    let sent = bob_sends(&mut bob, &alice, 5).await;
    alice.lose(&sent[1], &mut bob).await;
    let mut heard = alice.read(&[&sent[3], &sent[0], &sent[4], &sent[2]]).await;
    // The messages after the gap are shown after a waiting time.
    heard.extend(alice.hear(4 - heard.len()).await);
    let texts: Vec<_> = heard.into_iter().map(|message| message.text).collect();
    assert_eq!(texts, ["number 0", "number 2", "number 3", "number 4"]);
    alternate(&alice, &mut bob, 3).await;

    // Alice reads the last of three messages and answers. She reads the other two after Bob's
    // answer to that.
    let before = bob_sends(&mut bob, &alice, 3).await;
    let mut heard = alice.read(&[&before[2]]).await;
    let said = alice.say(&bob.actor, "an answer").await;
    said.assert_is(&bob.fetch(1).await[0], &alice, &bob.actor);
    let after = bob.send(&alice.actor(), "number 3").await;
    heard.extend(alice.read(&[&after, &before[1], &before[0]]).await);
    heard.extend(alice.hear(4 - heard.len()).await);
    let mut texts: Vec<_> = heard.into_iter().map(|message| message.text).collect();
    texts.sort();
    assert_eq!(texts, ["number 0", "number 1", "number 2", "number 3"]);
    alternate(&alice, &mut bob, 3).await;
    alice.settled().await;
    bob.settled().await;
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn theirs_reads_out_of_order_and_misses_one() {
    let here = LocalServer::start().await;
    let alice = EkoDevice::first(&here, "alice").await;
    let mut bob = OfficialDevice::first(Library::Current, &here, "bob").await;
    let said = alice_says(&alice, &bob, 5).await;
    bob.command(json!({ "do": "hold", "messages": 5 })).await;
    bob.command(json!({ "do": "drop", "envelope": said[1].envelope(&bob.actor) })).await;
    alice.lost(&said[1]);
    bob_reads(&mut bob, &alice, &[&said[3], &said[0], &said[4], &said[2]]).await;
    assert_eq!(bob.command(json!({ "do": "hold" })).await["held"], json!([]));
    alternate(&alice, &mut bob, 3).await;

    let before = alice_says(&alice, &bob, 3).await;
    bob.command(json!({ "do": "hold", "messages": 3 })).await;
    bob_reads(&mut bob, &alice, &[&before[2]]).await;
    let answer = bob.send(&alice.actor(), "an answer").await;
    answer.assert_accepted(1);
    assert_eq!(alice.hear(1).await[0].text, "an answer");
    let after = alice.say(&bob.actor, "after it").await;
    bob.command(json!({ "do": "hold", "messages": 3 })).await;
    bob_reads(&mut bob, &alice, &[&after, &before[1], &before[0]]).await;
    alternate(&alice, &mut bob, 3).await;
    alice.settled().await;
    bob.settled().await;
    here.end().await;
}

async fn bob_sends(bob: &mut OfficialDevice, alice: &EkoDevice, count: usize) -> Vec<SendResult> {
    let mut sent = Vec::new();
    for number in 0..count {
        let one = bob.send(&alice.actor(), &format!("number {number}")).await;
        one.assert_accepted(1);
        sent.push(one);
    }
    sent
}

async fn alice_says(alice: &EkoDevice, bob: &OfficialDevice, count: usize) -> Vec<SentText> {
    let mut said = Vec::new();
    for number in 0..count {
        said.push(alice.say(&bob.actor, &format!("number {number}")).await);
    }
    said
}

/// Reads the messages that Bob holds, in this order.
async fn bob_reads(bob: &mut OfficialDevice, alice: &EkoDevice, said: &[&SentText]) {
    let envelopes: Vec<_> = said.iter().map(|one| one.envelope(&bob.actor)).collect();
    let read = bob.command(json!({ "do": "read", "envelopes": envelopes })).await;
    let read: &Vec<Value> = read["messages"].as_array().unwrap();
    assert_eq!(read.len(), said.len());
    for (one, received) in said.iter().zip(read) {
        one.assert_is(received, alice, &bob.actor);
    }
}

/// Asserts that both sides can still write to each other.
async fn alternate(alice: &EkoDevice, bob: &mut OfficialDevice, rounds: usize) {
    for round in 0..rounds {
        let said = alice.say(&bob.actor, &format!("{round}: on")).await;
        said.assert_is(&bob.fetch(1).await[0], alice, &bob.actor);
        let sent = bob.send(&alice.actor(), &format!("{round}: and on")).await;
        assert_heard(&alice.hear(1).await[0], &sent, bob);
    }
}
