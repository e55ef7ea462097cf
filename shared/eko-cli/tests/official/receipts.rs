//! Tests of receipts (protocol, section 9): each side understands what the other side makes.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::device::OfficialDevice;
use crate::eko_device::{EkoDevice, assert_heard};
use crate::local_server::LocalServer;
use crate::official::Library;

/// Fetches until there is a receipt of another device, and returns all that came. No message may
/// come meanwhile.
async fn receipts(of: &mut OfficialDevice) -> Vec<Value> {
    loop {
        let fetched = of.command(json!({ "do": "fetch", "reports": 1 })).await;
        assert_eq!(fetched["messages"], json!([]));
        let receipts = fetched["receipts"].as_array().unwrap().clone();
        if !receipts.is_empty() {
            return receipts;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_side_is_told_what_the_other_has() {
    let (hers, his) = (LocalServer::start().await, LocalServer::start().await);
    let alice = EkoDevice::first(&hers, "alice").await;
    let mut bob = OfficialDevice::first(Library::Current, &his, "bob").await;
    for round in 0..3 {
        for number in 0..3 {
            alice.say(&bob.actor, &format!("{round}: hers {number}")).await;
        }
        bob.fetch(3).await;
        bob.command(json!({ "do": "receipts" })).await;
        alice.delivered().await;
        let sent = bob.send(&alice.actor(), &format!("{round}: his")).await;
        assert_heard(&alice.hear(1).await[0], &sent, &bob);
        let told = receipts(&mut bob).await;
        let [receipt] = &told[..] else { panic!("{told:#?}") };
        assert_eq!((&receipt["type"], &receipt["to"]), (&json!("Delivered"), &json!([bob.actor])));
        assert_eq!(receipt["object"], json!([sent.activity()["id"]]));
        assert_eq!((receipt.get("eko:missing"), receipt.get("eko:unreadable")), (None, None));
    }
    hers.end().await;
    his.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ours_tells_what_is_missing_and_what_cannot_be_read() {
    let here = LocalServer::start().await;
    let alice = EkoDevice::first(&here, "alice").await;
    let mut bob = OfficialDevice::first(Library::Current, &here, "bob").await;
    alice.say(&bob.actor, "hello").await;
    bob.fetch(1).await;
    let first = bob.send(&alice.actor(), "one").await;
    alice.hear(1).await;
    receipts(&mut bob).await;
    // The number 2 is never used.
    let mut activity = first.activity().clone();
    (activity["id"], activity["eko:sequence"]) = (json!(format!("urn:uuid:{}", Uuid::new_v4())), json!(3));
    bob.send_activity(&alice.actor(), &activity).await;
    alice.hear(1).await;
    let mut told = receipts(&mut bob).await;
    while told.iter().all(|receipt| receipt.get("eko:missing").is_none()) {
        alice.client.receive().await.unwrap();
        told.extend(receipts(&mut bob).await);
    }
    let missing = json!([{ "device": bob.address, "conversation": alice.actor(), "sequence": [2] }]);
    assert!(told.iter().any(|receipt| receipt.get("eko:missing") == Some(&missing)), "{told:#?}");

    let spoil = json!({ "what": "message", "bit": 4_800 });
    let command = json!({ "do": "send", "to": alice.actor(), "text": "damaged", "spoil": spoil });
    let sent = bob.sent(command).await;
    alice.entry(&sent).await;
    alice.client.receive().await.unwrap();
    let told = receipts(&mut bob).await;
    let unreadable = json!([{ "device": bob.address, "envelope": sent.envelope() }]);
    assert_eq!(told[0]["eko:unreadable"], unreadable, "{told:#?}");
    bob.lost(&sent);
    let sent = bob.send(&alice.actor(), "after").await;
    assert_heard(&alice.hear(1).await[0], &sent, &bob);
    here.end().await;
}
