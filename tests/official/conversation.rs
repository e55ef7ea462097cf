//! Conversations of two users with two devices each, in which the ratchet between each pair of
//! devices turns.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::device::{OfficialDevice, SendResult, ratchet_key};
use crate::local_server::LocalServer;
use crate::official::Library;

/// The rounds of a conversation. In each, every device writes once, to both devices of the other
/// user.
const ROUNDS: usize = 12;
/// The new ratchet keys that must be seen between two devices.
const STEPS: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pqxdh_on_one_server() {
    let here = LocalServer::start().await;
    converse(Library::Current, &here, &here).await;
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pqxdh_across_two_servers() {
    let (hers, his) = (LocalServer::start().await, LocalServer::start().await);
    converse(Library::Current, &hers, &his).await;
    hers.end().await;
    his.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x3dh_on_one_server() {
    let here = LocalServer::start().await;
    converse(Library::X3dh, &here, &here).await;
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x3dh_across_two_servers() {
    let (hers, his) = (LocalServer::start().await, LocalServer::start().await);
    converse(Library::X3dh, &hers, &his).await;
    hers.end().await;
    his.end().await;
}

/// Plays a conversation between Alice, who is on the first server, and Bob, who is on the second.
async fn converse(library: Library, hers: &LocalServer, his: &LocalServer) {
    let mut alice = OfficialDevice::two(library, hers, "alice").await;
    let mut bob = OfficialDevice::two(library, his, "bob").await;
    let mut ratchets = Ratchets::default();
    begins(library, &mut alice[0], &mut bob).await;
    for round in 0..ROUNDS {
        for index in [0, 1] {
            writes(&mut alice[index], &mut bob, &format!("{round}: hers"), &mut ratchets).await;
            writes(&mut bob[index], &mut alice, &format!("{round}: his"), &mut ratchets).await;
        }
    }
    for device in alice.iter_mut().chain(&mut bob) {
        device.settled().await;
    }
    for (pair, steps) in ratchets.0 {
        assert!(steps.len() >= STEPS, "{} steps between {pair:?}", steps.len());
    }
}

/// Sends the first message, and asserts that its session begins with the keys that were taken.
async fn begins(library: Library, by: &mut OfficialDevice, to: &mut [OfficialDevice; 2]) {
    let sent = by.send(&to[0].actor, "first").await;
    sent.assert_accepted(2);
    for device in to {
        let received = device.fetch(1).await.remove(0);
        sent.assert_is(&received, by, device);
        let package = sent.taken().iter().find(|package| package["device"] == device.address).unwrap();
        assert_eq!(received["kind"], "preKey");
        for id in ["preKeyId", "signedPreKeyId", "kyberPreKeyId"] {
            assert_eq!(received[id], package[id], "{id}");
        }
        assert!(received["preKeyId"].is_u64());
        match library {
            Library::Current => {
                assert!(package["kyberPreKey"].is_string() && received["kyberPreKeyId"].is_u64());
                assert_eq!(received["version"], 4);
            }
            Library::X3dh => {
                assert!(package.get("kyberPreKey").is_none() && received["kyberPreKeyId"].is_null());
                assert_eq!(received["version"], 3);
            }
        }
    }
}

/// Has one device write, and asserts that both devices of the other user read it.
async fn writes(by: &mut OfficialDevice, to: &mut [OfficialDevice; 2], text: &str, ratchets: &mut Ratchets) {
    let sent = by.send(&to[0].actor, text).await;
    sent.assert_accepted(2);
    assert_eq!(sent.activity()["object"]["content"], text);
    for device in to {
        let received = device.fetch(1).await.remove(0);
        sent.assert_is(&received, by, device);
        ratchets.saw(by, device, &sent);
    }
}

/// The ratchet keys that were seen between two devices, in either direction.
#[derive(Default)]
struct Ratchets(BTreeMap<[String; 2], BTreeSet<Vec<u8>>>);

impl Ratchets {
    /// Notes the ratchet key of a message, unless the message begins a session.
    fn saw(&mut self, by: &OfficialDevice, to: &OfficialDevice, sent: &SendResult) {
        let mut pair = [by.address.clone(), to.address.clone()];
        pair.sort();
        let steps = self.0.entry(pair).or_default();
        let message: &Value = sent.message(&to.address);
        if message["kind"] == "message" {
            steps.insert(ratchet_key(&message["content"]));
        }
    }
}
