//! Tests of conversations between a device of ours and an official one. Either side or both begin,
//! and each message turns the ratchet.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eko_protocol::address::{Handle, UserName};
use serde_json::{Value, json};

use crate::device::{OfficialDevice, SendResult, ratchet_key};
use crate::eko_device::{EkoDevice, KEYS, SentText, assert_heard};
use crate::local_server::LocalServer;
use crate::official::Library;

/// The number of messages that each side writes, in turns.
const ROUNDS: usize = 22;
/// The size of the largest activity without its text.
const AROUND: usize = 1_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ours_begins_on_one_server() {
    let here = LocalServer::start().await;
    ours_begins(&here, &here).await;
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ours_begins_across_two_servers() {
    let (hers, his) = (LocalServer::start().await, LocalServer::start().await);
    ours_begins(&hers, &his).await;
    hers.end().await;
    his.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn theirs_begins_on_one_server() {
    let here = LocalServer::start().await;
    theirs_begins(&here, &here).await;
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn theirs_begins_across_two_servers() {
    let (hers, his) = (LocalServer::start().await, LocalServer::start().await);
    theirs_begins(&hers, &his).await;
    hers.end().await;
    his.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_begin_at_once_on_one_server() {
    let here = LocalServer::start().await;
    both_begin(&here, &here).await;
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_begin_at_once_across_two_servers() {
    let (hers, his) = (LocalServer::start().await, LocalServer::start().await);
    both_begin(&hers, &his).await;
    hers.end().await;
    his.end().await;
}

async fn ours_begins(hers: &LocalServer, his: &LocalServer) {
    let mut talk = Conversation::between(hers, his).await;
    let handle = Handle::new(UserName::parse("bob").unwrap(), &his.origin);
    assert_eq!(talk.alice.client.find(&handle).await.unwrap().actor(), talk.bob.actor);
    let public = talk.bob.command(json!({ "do": "packages", "of": talk.bob.actor })).await;

    let said = talk.alice.say(&talk.bob.actor, "hello").await;
    let received = talk.bob_reads(&said).await;
    assert_pqxdh(&received);
    // The message uses one-time keys of both kinds, and not the last resort key.
    for id in ["preKeyId", "signedPreKeyId", "kyberPreKeyId"] {
        assert!(received[id].is_u64(), "{id}");
    }
    assert_eq!(received["signedPreKeyId"], public["items"][0]["signedPreKeyId"]);
    assert_ne!(received["kyberPreKeyId"], public["items"][0]["kyberPreKeyId"]);
    let left = talk.bob.command(json!({ "do": "hold" })).await;
    assert_eq!((&left["preKeys"], &left["kyberPreKeys"]), (&json!(9), &json!(9)));
    talk.goes_on([Side::Bob, Side::Alice]).await;
}

async fn theirs_begins(hers: &LocalServer, his: &LocalServer) {
    let mut talk = Conversation::between(hers, his).await;
    let sent = talk.bob.send(&talk.alice.actor(), "hello").await;
    sent.assert_accepted(1);
    let [package] = sent.taken() else { panic!("{:?}", sent.taken()) };
    let last_resort = talk.alice.client.device().keys().last_resort().unwrap().id.get();
    assert!(package["kyberPreKey"].is_string() && package["preKey"].is_string());
    assert!(package["kyberPreKeyId"].is_u64() && package["kyberPreKeyId"] != last_resort);
    assert_pqxdh(sent.message(&talk.alice.address()));
    talk.alice_reads(&sent).await;
    let left = talk.alice.client.key_status().await.unwrap().left;
    let full = (u64::from(KEYS.pre_keys), u64::from(KEYS.kyber_pre_keys));
    assert_eq!((left.pre_keys, left.kyber_pre_keys), (full.0 - 1, full.1 - 1));
    talk.goes_on([Side::Alice, Side::Bob]).await;
}

/// Both sides begin at once: their first messages cross, and so do the next ones.
async fn both_begin(hers: &LocalServer, his: &LocalServer) {
    let mut talk = Conversation::between(hers, his).await;
    for round in 0..3 {
        let (hers, his) = (format!("{round}: hers"), format!("{round}: his"));
        let (alice, bob) = (talk.alice.actor(), talk.bob.actor.clone());
        let (said, sent) = tokio::join!(talk.alice.say(&bob, &hers), talk.bob.send(&alice, &his));
        sent.assert_accepted(1);
        let received = talk.bob_reads(&said).await;
        talk.alice_reads(&sent).await;
        if round == 0 {
            assert_pqxdh(&received);
            assert_pqxdh(sent.message(&talk.alice.address()));
        }
    }
    talk.goes_on([Side::Alice, Side::Bob]).await;
}

/// Asserts that a message begins a session with a Kyber key, which is version 4.
fn assert_pqxdh(message: &Value) {
    assert_eq!(message["kind"], "preKey");
    assert_eq!(STANDARD.decode(message["content"].as_str().unwrap()).unwrap()[0], 0x44);
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Alice,
    Bob,
}

/// A conversation between Alice, whose device is ours, and Bob, whose device is official.
struct Conversation {
    alice: EkoDevice,
    bob: OfficialDevice,
    /// All messages that were read: the author's actor id and the text.
    heard: Vec<(String, String)>,
}

impl Conversation {
    async fn between(hers: &LocalServer, his: &LocalServer) -> Self {
        let bob = OfficialDevice::first(Library::Current, his, "bob").await;
        Self { alice: EkoDevice::first(hers, "alice").await, bob, heard: Vec::new() }
    }

    async fn bob_reads(&mut self, said: &SentText) -> Value {
        let received = self.bob.fetch(1).await.remove(0);
        said.assert_is(&received, &self.alice, &self.bob.actor);
        let text = received["activity"]["object"]["content"].as_str().unwrap();
        self.heard.push((self.alice.actor(), text.to_owned()));
        received
    }

    async fn alice_reads(&mut self, sent: &SendResult) {
        let heard = self.alice.hear(1).await.remove(0);
        assert_heard(&heard, sent, &self.bob);
        self.heard.push((heard.actor, heard.text));
    }

    /// Both write in turns, and each message is a step of the ratchet. In the end both have read
    /// all messages.
    async fn goes_on(&mut self, order: [Side; 2]) {
        let mut keys = BTreeSet::new();
        for round in 0..ROUNDS {
            for who in order {
                let words = words(round);
                let content = match who {
                    Side::Alice => {
                        let said = self.alice.say(&self.bob.actor, &words).await;
                        let received = self.bob_reads(&said).await;
                        assert_eq!(received["kind"], "message");
                        received["content"].clone()
                    }
                    Side::Bob => {
                        let sent = self.bob.send(&self.alice.actor(), &words).await;
                        sent.assert_accepted(1);
                        self.alice_reads(&sent).await;
                        let message = sent.message(&self.alice.address());
                        assert_eq!(message["kind"], "message");
                        message["content"].clone()
                    }
                };
                assert!(keys.insert(ratchet_key(&content)), "a step of the ratchet");
            }
        }
        self.alice.settled().await;
        self.bob.settled().await;
        let mut history = self.alice.history(&self.bob.actor);
        assert!(history.len() > 2 * ROUNDS);
        history.sort();
        self.heard.sort();
        assert!(history == self.heard, "both have read the same");
    }
}

/// Returns a text for a round. The texts have many lengths and scripts, and one is as long as an
/// activity allows.
fn words(round: usize) -> String {
    const SOME: [&str; 5] =
        ["", "plain", "Grüße, 世界 🦀\n\"quoted\" \\ \u{1}\u{2028}", "\u{80}\0\u{80}", "\u{200f}שלום"];
    match round {
        0..5 => SOME[round].to_owned(),
        5 => "x".repeat(94_080 - AROUND),
        _ => "y".repeat(round * 31),
    }
}
