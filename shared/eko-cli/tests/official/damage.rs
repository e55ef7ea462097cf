//! Tests of messages that were changed on their way: ours reports them and begins a new session,
//! with which the official library goes on.

use eko_client::messenger::Notice;
use serde_json::json;

use crate::device::OfficialDevice;
use crate::eko_device::{EkoDevice, assert_heard};
use crate::local_server::LocalServer;
use crate::official::Library;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_message_is_told_and_the_next_begins_anew() {
    let here = LocalServer::start().await;
    let alice = EkoDevice::first(&here, "alice").await;
    let mut bob = OfficialDevice::first(Library::Current, &here, "bob").await;
    // The first message is damaged. There is no session yet, and Bob's next message begins one with
    // the same keys.
    damaged(&alice, &mut bob).await;
    let sent = bob.send(&alice.actor(), "hello").await;
    assert_eq!(sent.message(&alice.address())["kind"], "preKey");
    assert_heard(&alice.hear(1).await[0], &sent, &bob);
    for round in 0..3 {
        let mut kinds = ["message"; 3];
        if round > 0 {
            damaged(&alice, &mut bob).await;
        }
        // The second damage within an hour ends no session.
        if round == 1 {
            kinds[0] = "preKey";
        }
        for (step, kind) in kinds.into_iter().enumerate() {
            let said = alice.say(&bob.actor, &format!("{round}: hers {step}")).await;
            let received = bob.fetch(1).await.remove(0);
            said.assert_is(&received, &alice, &bob.actor);
            assert_eq!(received["kind"], kind, "{round} {step}");
            let sent = bob.send(&alice.actor(), &format!("{round}: his {step}")).await;
            assert_eq!(sent.message(&alice.address())["kind"], "message");
            assert_heard(&alice.hear(1).await[0], &sent, &bob);
        }
    }
    alice.settled().await;
    bob.settled().await;
    here.end().await;
}

/// Sends a message from Bob with one flipped bit in the ciphertext.
async fn damaged(alice: &EkoDevice, bob: &mut OfficialDevice) {
    let spoil = json!({ "what": "message", "bit": 4_800 });
    let command = json!({ "do": "send", "to": alice.actor(), "text": "damaged", "spoil": spoil });
    let sent = bob.sent(command).await;
    alice.entry(&sent).await;
    let received = alice.client.receive().await.unwrap();
    assert_eq!(received.messages, []);
    assert!(
        matches!(&received.notices[..], [Notice::Awaited { actor } | Notice::Unreadable { actor, .. }] if *actor == bob.actor),
        "{:?}",
        received.notices
    );
    bob.lost(&sent);
}
