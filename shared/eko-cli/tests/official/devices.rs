//! Tests of changes of a user's devices while somebody of the other kind writes to them.

use eko_client::messenger::{MessengerError, ProgressStep};
use serde_json::json;

use crate::device::OfficialDevice;
use crate::eko_device::{EkoDevice, SentText, assert_heard};
use crate::local_server::LocalServer;
use crate::official::Library;

/// The number of messages that are sent while devices change.
const MESSAGES: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn theirs_change_on_one_server() {
    let here = LocalServer::start().await;
    theirs_change(&here, &here).await;
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn theirs_change_across_two_servers() {
    let (hers, his) = (LocalServer::start().await, LocalServer::start().await);
    theirs_change(&hers, &his).await;
    hers.end().await;
    his.end().await;
}

async fn theirs_change(hers: &LocalServer, his: &LocalServer) {
    let alice = EkoDevice::first(hers, "alice").await;
    let mut phone = OfficialDevice::first(Library::Current, his, "bob").await;
    let bob = phone.actor.clone();
    alice.say(&bob, "to the phone").await.assert_is(&phone.fetch(1).await[0], &alice, &bob);
    let take = || ProgressStep::Take { actor: bob.clone(), devices: 1 };
    let send = |devices| ProgressStep::Send { actor: bob.clone(), devices };
    let again = |missing, stale| ProgressStep::Again { actor: bob.clone(), missing, stale };
    assert_eq!(alice.steps(), [take(), send(1)]);

    // Alice does not know of the tablet. Her client completes the envelope by itself.
    let mut tablet = phone.further(his).await;
    let said = alice.say(&bob, "to both").await;
    assert_eq!(alice.steps(), [send(1), again(1, 0), take(), send(1)]);
    for device in [&mut phone, &mut tablet] {
        said.assert_is(&device.fetch(1).await[0], &alice, &bob);
    }

    // Alice does not know that the tablet was revoked. Her client sends to the remaining device.
    phone.command(json!({ "do": "revoke", "device": tablet.address })).await;
    let said = alice.say(&bob, "to the phone again").await;
    assert_eq!(alice.steps(), [send(2), again(0, 1), send(1)]);
    said.assert_is(&phone.fetch(1).await[0], &alice, &bob);
    let (status, problem) = tablet.refused(json!({ "do": "fetch" })).await;
    assert_eq!(status, 401, "{problem:#}");
    alice.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn theirs_change_while_ours_sends() {
    let (hers, his) = (LocalServer::start().await, LocalServer::start().await);
    let alice = EkoDevice::first(&hers, "alice").await;
    let mut phone = OfficialDevice::first(Library::Current, &his, "bob").await;
    let bob = phone.actor.clone();
    let says = async |count: usize| {
        let mut said = Vec::new();
        for number in 0..count {
            said.push(alice.say(&bob, &format!("number {number}")).await);
        }
        said
    };
    let (mut said, mut tablet) = tokio::join!(says(MESSAGES), phone.further(&his));
    said.extend(says(1).await);
    assert_read(&said, &alice, &mut phone).await;
    // The tablet has every message since it was approved: the one that was completed for it, if
    // any, and all after that.
    let for_both = |step: &ProgressStep| match step {
        ProgressStep::Send { devices, .. } => *devices == 2,
        ProgressStep::Again { missing, .. } => *missing == 1,
        _ => false,
    };
    let since = said.len() - alice.steps().iter().filter(|step| for_both(step)).count();
    assert_read(&said[since..], &alice, &mut tablet).await;

    let revoke = json!({ "do": "revoke", "device": tablet.address });
    let (mut said, _) = tokio::join!(says(MESSAGES), phone.command(revoke));
    said.extend(says(1).await);
    assert_read(&said, &alice, &mut phone).await;
    alice.settled().await;
    hers.end().await;
    his.end().await;
}

/// Asserts that a device receives exactly these messages, in any order.
async fn assert_read(said: &[SentText], by: &EkoDevice, device: &mut OfficialDevice) {
    assert!(!said.is_empty());
    let read = device.fetch(said.len()).await;
    for said in said {
        let received = read.iter().find(|read| read["envelope"] == said.envelope(&device.actor));
        said.assert_is(received.expect("each of them"), by, &device.actor);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ours_change_while_theirs_sends() {
    let (hers, his) = (LocalServer::start().await, LocalServer::start().await);
    let phone = EkoDevice::first(&hers, "alice").await;
    let mut bob = OfficialDevice::first(Library::Current, &his, "bob").await;
    let alice = phone.actor();
    let sent = bob.send(&alice, "to the phone").await;
    assert_heard(&phone.hear(1).await[0], &sent, &bob);

    let tablet = phone.further(&hers).await;
    let sent = bob.send(&alice, "to both").await;
    let statuses: Vec<_> = sent.tries().iter().map(|attempt| attempt["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [207, 201]);
    for device in [&phone, &tablet] {
        assert_heard(&device.hear(1).await[0], &sent, &bob);
    }
    // The new device writes first, to a device that has a session with the other one.
    let said = tablet.say(&bob.actor, "from the tablet").await;
    said.assert_is(&bob.fetch(1).await[0], &tablet, &bob.actor);
    assert_eq!(phone.hear(1).await[0].text, "from the tablet");

    tablet.client.revoke(phone.client.device().id()).await.unwrap();
    let sent = bob.send(&alice, "to the tablet").await;
    let statuses: Vec<_> = sent.tries().iter().map(|attempt| attempt["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [409, 201]);
    assert_heard(&tablet.hear(1).await[0], &sent, &bob);
    assert!(matches!(phone.client.receive().await, Err(MessengerError::Revoked)));
    tablet.settled().await;
    bob.settled().await;
    hers.end().await;
    his.end().await;
}
