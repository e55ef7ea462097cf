//! Tests of sessions that begin with the last resort key, because no one-time keys are left. Ours
//! publishes more in time.

use eko_client::KeyCounts;
use serde_json::{Value, json};

use crate::device::{OfficialDevice, registration};
use crate::eko_device::{EkoDevice, assert_heard};
use crate::local_server::LocalServer;
use crate::official::Library;

/// The keys that Alice's device publishes at once.
const TWO: KeyCounts = KeyCounts { pre_keys: 2, kyber_pre_keys: 2, last_resort: true };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ours_begins_with_a_last_resort() {
    let here = LocalServer::start().await;
    let mut command = registration(Library::Current, &here, "bob", true);
    command["keys"] = json!({ "lastResort": true });
    let mut bob = OfficialDevice::registered(Library::Current, &command).await;
    let public = bob.command(json!({ "do": "packages", "of": bob.actor })).await;
    // The last resort key is not used up.
    for user in ["alice", "carol"] {
        let user = EkoDevice::first(&here, user).await;
        let said = user.say(&bob.actor, "hello").await;
        let received = bob.fetch(1).await.remove(0);
        said.assert_is(&received, &user, &bob.actor);
        assert_eq!((&received["preKeyId"], &received["version"]), (&Value::Null, &json!(4)));
        assert_eq!(received["kyberPreKeyId"], public["items"][0]["kyberPreKeyId"]);
        let sent = bob.send(&user.actor(), "hello yourself").await;
        assert_heard(&user.hear(1).await[0], &sent, &bob);
        user.settled().await;
    }
    bob.settled().await;
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn theirs_begins_with_a_last_resort_until_there_are_more() {
    let here = LocalServer::start().await;
    let alice = EkoDevice::with_keys(&here, "alice", TWO).await;
    let last_resort = json!(alice.client.device().keys().last_resort().unwrap().id);
    let (mut early, mut late) = (Vec::new(), Vec::new());
    for user in ["bob", "carol", "dave", "erin"] {
        early.push(OfficialDevice::first(Library::Current, &here, user).await);
    }
    let mut sent = Vec::new();
    for (place, user) in early.iter_mut().enumerate() {
        let one = user.send(&alice.actor(), "hello").await;
        let package = &one.taken()[0];
        let are_taken = place >= 2;
        assert_eq!(package.get("preKey").is_none(), are_taken, "{place}");
        assert_eq!(package["kyberPreKeyId"] == last_resort, are_taken, "{place}");
        sent.push(one);
    }
    for (sent, user) in sent.iter().zip(&early) {
        assert_heard(&alice.read(&[sent]).await[0], sent, user);
    }
    // Alice's client has seen that none were left, and has published more.
    let left = alice.client.key_status().await.unwrap().left;
    assert_eq!((left.pre_keys, left.kyber_pre_keys), (2, 2));
    for user in ["frank", "grace"] {
        let mut user = OfficialDevice::first(Library::Current, &here, user).await;
        let one = user.send(&alice.actor(), "hello").await;
        let package = &one.taken()[0];
        assert!(package["preKey"].is_string() && package["kyberPreKeyId"] != last_resort);
        assert_heard(&alice.hear(1).await[0], &one, &user);
        late.push(user);
    }
    for user in early.iter_mut().chain(&mut late) {
        let said = alice.say(&user.actor, "hello yourself").await;
        said.assert_is(&user.fetch(1).await[0], &alice, &user.actor);
    }
    alice.settled().await;
    for user in early.iter_mut().chain(&mut late) {
        user.settled().await;
    }
    here.end().await;
}
