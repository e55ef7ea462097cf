//! One-time keys: each is handed out once, and when none is left, sessions begin with the
//! last-resort key.

use serde_json::{Value, json};

use crate::device::{OfficialDevice, registration};
use crate::local_server::LocalServer;
use crate::official::Library;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_time_keys_run_out_and_sessions_still_begin() {
    let (hers, his) = (LocalServer::start().await, LocalServer::start().await);
    let mut bob = bob(&his).await;
    let public = bob.command(json!({ "do": "packages", "of": bob.actor })).await;
    let last_resort = without_context(&public["items"][0]);
    assert!(last_resort.get("preKey").is_none());

    let mut alice = OfficialDevice::first(Library::Current, &hers, "alice").await;
    let take = json!({ "do": "take", "of": bob.actor });
    let mut taken = Vec::new();
    for left in [2, 1, 0] {
        taken.push(alice.command(take.clone()).await["items"][0].take());
        assert_eq!(left_of(&mut bob).await, [left, left]);
    }
    for member in ["preKeyId", "preKey", "kyberPreKeyId", "kyberPreKey"] {
        let [first, second, third] = [0, 1, 2].map(|index| &taken[index][member]);
        assert!(!first.is_null() && first != second && first != third && second != third, "{member}");
        assert!(taken.iter().all(|package| package[member] != last_resort[member]), "{member}");
    }

    // No one-time key is left: the session begins with the signed pre-key and the last-resort Kyber
    // key.
    let sent = alice.send(&bob.actor, "the pools are empty").await;
    sent.assert_accepted(1);
    assert_eq!(without_context(&sent.taken()[0]), last_resort);
    let received = bob.fetch(1).await.remove(0);
    sent.assert_is(&received, &alice, &bob);
    assert_eq!((&received["preKeyId"], received["version"].as_u64()), (&Value::Null, Some(4)));
    assert_eq!(received["kyberPreKeyId"], last_resort["kyberPreKeyId"]);

    // The last-resort key is not used up: another session begins with it too.
    let mut carol = OfficialDevice::first(Library::Current, &his, "carol").await;
    let sent = carol.send(&bob.actor, "still empty").await;
    assert_eq!(without_context(&sent.taken()[0]), last_resort);
    sent.assert_is(&bob.fetch(1).await[0], &carol, &bob);

    // Bob publishes more one-time keys, and they are handed out.
    let more = json!({ "do": "publish", "keys": { "preKeys": 1, "kyberPreKeys": 1 } });
    assert_eq!(bob.command(more).await, json!({ "preKeys": 1, "kyberPreKeys": 1 }));
    let mut dave = OfficialDevice::first(Library::Current, &hers, "dave").await;
    let sent = dave.send(&bob.actor, "with new keys").await;
    let received = bob.fetch(1).await.remove(0);
    sent.assert_is(&received, &dave, &bob);
    assert_eq!((&received["preKeyId"], &received["kyberPreKeyId"]), (&json!(4), &json!(5)));
    assert_eq!(left_of(&mut bob).await, [0, 0]);
    for sender in [&mut alice, &mut carol, &mut dave] {
        sender.settled().await;
    }
    hers.end().await;
    his.end().await;
}

/// Registers a device with three one-time keys of each kind.
async fn bob(here: &LocalServer) -> OfficialDevice {
    let mut command = registration(Library::Current, here, "bob", true);
    command["keys"] = json!({ "preKeys": 3, "kyberPreKeys": 3, "lastResort": true });
    OfficialDevice::registered(Library::Current, &command).await
}

/// Returns a package without the `@context` that it has if it is read alone.
fn without_context(package: &Value) -> Value {
    let mut package = package.clone();
    package.as_object_mut().unwrap().remove("@context");
    package
}

/// Returns how many one-time keys of each kind the server has of a device: Curve25519, then Kyber.
async fn left_of(device: &mut OfficialDevice) -> [u64; 2] {
    let counts = device.command(json!({ "do": "hold" })).await;
    ["preKeys", "kyberPreKeys"].map(|kind| counts[kind].as_u64().unwrap())
}
