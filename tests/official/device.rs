//! Devices of users of a local server, and what they say to each other.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::local_server::LocalServer;
use crate::official::{Library, OfficialProcess};

/// A registered device.
pub(crate) struct OfficialDevice {
    official: OfficialProcess,
    library: Library,
    /// Its user.
    pub(crate) actor: String,
    /// Its URL.
    pub(crate) address: String,
    /// The envelopes that it has sent and nobody has confirmed.
    unconfirmed: BTreeSet<String>,
}

/// What a device says that it has sent.
pub(crate) struct SentEnvelope(Value);

impl OfficialDevice {
    /// The first device of a new user.
    pub(crate) async fn first(library: Library, here: &LocalServer, user: &str) -> Self {
        Self::registered(library, &registration(library, here, user, true)).await
    }

    /// A device that is told this, to register as the first of a user.
    pub(crate) async fn registered(library: Library, registration: &Value) -> Self {
        let mut official = OfficialProcess::start(library).await;
        let registered = official.command(registration).await;
        assert_eq!(registered["status"], "active");
        Self::new(official, library, &registered)
    }

    /// A device that is told this, to register as a further one of a user: it waits for approval.
    pub(crate) async fn waiting(library: Library, registration: &Value) -> Self {
        let mut official = OfficialProcess::start(library).await;
        let registered = official.command(registration).await;
        assert_eq!(registered["status"], "pending");
        Self::new(official, library, &registered)
    }

    /// Another device of a user, which this one approves.
    pub(crate) async fn further(&mut self, here: &LocalServer) -> Self {
        let user = self.actor.rsplit('/').next().unwrap();
        let device = Self::waiting(self.library, &registration(self.library, here, user, false)).await;
        self.command(json!({ "do": "approve", "device": device.address })).await;
        device
    }

    fn new(official: OfficialProcess, library: Library, registered: &Value) -> Self {
        let text = |name: &str| registered[name].as_str().unwrap().to_owned();
        let (actor, address) = (text("actor"), text("device"));
        Self { official, library, actor, address, unconfirmed: BTreeSet::new() }
    }

    /// Two devices of a new user.
    pub(crate) async fn two(library: Library, here: &LocalServer, user: &str) -> [Self; 2] {
        let mut first = Self::first(library, here, user).await;
        let second = first.further(here).await;
        [first, second]
    }

    /// Has it do something that must succeed.
    pub(crate) async fn command(&mut self, command: Value) -> Value {
        self.official.command(&command).await
    }

    /// Has it do something that must be refused.
    pub(crate) async fn refused(&mut self, command: Value) -> (u64, Value) {
        self.official.refused(&command).await
    }

    /// Writes to a user.
    pub(crate) async fn send(&mut self, to: &str, text: &str) -> SentEnvelope {
        self.sent(json!({ "do": "send", "to": to, "text": text })).await
    }

    /// Sends a given activity, to its own user's other devices.
    pub(crate) async fn sync(&mut self, activity: &Value) -> SentEnvelope {
        let to = self.actor.clone();
        self.send_activity(&to, activity).await
    }

    /// Sends a given activity to a user.
    pub(crate) async fn send_activity(&mut self, to: &str, activity: &Value) -> SentEnvelope {
        self.sent(json!({ "do": "send", "to": to, "activity": activity })).await
    }

    /// Has it send what the command says.
    pub(crate) async fn sent(&mut self, command: Value) -> SentEnvelope {
        let sent = SentEnvelope(self.command(command).await);
        self.unconfirmed.insert(sent.envelope().to_owned());
        sent
    }

    /// Fetches until so many messages are there, reads and acknowledges them.
    pub(crate) async fn fetch(&mut self, messages: usize) -> Vec<Value> {
        self.fetch_until(json!({ "do": "fetch", "messages": messages }), messages).await
    }

    async fn fetch_until(&mut self, command: Value, messages: usize) -> Vec<Value> {
        let fetched = self.command(command).await;
        let list = |name: &str| fetched[name].as_array().unwrap().clone();
        for report in list("reports").iter().filter(|report| report["type"] == "Delivered") {
            self.unconfirmed.remove(report["object"].as_str().unwrap());
        }
        let read = list("messages");
        assert_eq!(read.len(), messages, "{read:#?}");
        read
    }

    /// Reads what it holds, in this order.
    pub(crate) async fn read(&mut self, sent: &[&SentEnvelope]) -> Vec<Value> {
        let envelopes: Vec<_> = sent.iter().map(|sent| sent.envelope()).collect();
        let read = self.command(json!({ "do": "read", "envelopes": envelopes })).await;
        read["messages"].as_array().unwrap().clone()
    }

    /// Holds a message of `by` no longer, without having read it: nobody will confirm it.
    pub(crate) async fn drop(&mut self, sent: &SentEnvelope, by: &mut Self) {
        self.command(json!({ "do": "drop", "envelope": sent.envelope() })).await;
        by.lost(sent);
    }

    /// Nobody will confirm what this one has sent.
    pub(crate) fn lost(&mut self, sent: &SentEnvelope) {
        self.unconfirmed.remove(sent.envelope());
    }

    /// Fetches until all that it has sent is confirmed, and nothing is under way any more.
    pub(crate) async fn settled(&mut self) {
        while !self.unconfirmed.is_empty() {
            self.fetch_until(json!({ "do": "fetch", "reports": 1 }), 0).await;
        }
    }
}

impl SentEnvelope {
    /// The envelope's id.
    pub(crate) fn envelope(&self) -> &str {
        self.0["envelope"].as_str().unwrap()
    }

    /// What was sealed.
    pub(crate) fn activity(&self) -> &Value {
        &self.0["activity"]
    }

    /// The tries that it took: status, messages, answer.
    pub(crate) fn tries(&self) -> &[Value] {
        self.0["tries"].as_array().unwrap()
    }

    /// The packages that were taken for it.
    pub(crate) fn taken(&self) -> &[Value] {
        self.0["taken"].as_array().unwrap()
    }

    /// The message to a device, in the last of the tries that had one.
    pub(crate) fn message(&self, device: &str) -> &Value {
        let messages = self.tries().iter().rev().flat_map(|attempt| attempt["messages"].as_array().unwrap());
        messages.into_iter().find(|message| message["to"] == device).expect("a message to that device")
    }

    /// Asserts that it was accepted at once, for so many devices.
    pub(crate) fn assert_accepted(&self, devices: usize) {
        let [attempt] = self.tries() else { panic!("tried again: {:#?}", self.tries()) };
        assert_eq!(attempt["status"], 201, "{attempt:#}");
        assert_eq!(attempt["messages"].as_array().unwrap().len(), devices);
    }

    /// Asserts that this is what `by` sent to `to`: the same ciphertext, byte for byte, and what was sealed in it.
    pub(crate) fn assert_is(&self, received: &Value, by: &OfficialDevice, to: &OfficialDevice) {
        assert_eq!(received["failed"], Value::Null, "{received:#}");
        assert_eq!(received["envelope"], self.envelope());
        assert_eq!((&received["actor"], &received["from"]), (&json!(by.actor), &json!(by.address)));
        let message = self.message(&to.address);
        assert_eq!(received["content"], message["content"]);
        assert_eq!(received["kind"], message["kind"]);
        assert_eq!(received["activity"], *self.activity());
    }
}

/// The ratchet key of a message that begins no session.
pub(crate) fn ratchet_key(content: &Value) -> Vec<u8> {
    let content = STANDARD.decode(content.as_str().unwrap()).unwrap();
    // After the version: protobuf field 1, bytes, 33 of them.
    assert_eq!(content[1..3], [0x0A, 33]);
    content[3..36].to_vec()
}

/// What a device is told, to register.
pub(crate) fn registration(library: Library, here: &LocalServer, user: &str, first: bool) -> Value {
    let keys = match library {
        Library::Current => json!({ "preKeys": 10, "kyberPreKeys": 10, "lastResort": true }),
        Library::X3dh => json!({ "preKeys": 10 }),
    };
    json!({ "do": "register", "origin": here.origin.to_string(), "user": user, "first": first, "keys": keys })
}
