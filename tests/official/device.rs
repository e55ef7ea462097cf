//! Official devices: users of a local server whose cryptography is Signal's own library.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eko_protocol::json::has_type;
use serde_json::{Value, json};

use crate::local_server::LocalServer;
use crate::official::{Library, OfficialProcess};

/// A registered device.
pub(crate) struct OfficialDevice {
    official: OfficialProcess,
    library: Library,
    /// The id of the device's user.
    pub(crate) actor: String,
    /// The device's URL.
    pub(crate) address: String,
    /// The device's joining code, which a further device is approved by.
    pub(crate) joining_code: String,
    /// The ids of envelopes that it has sent and nobody has acknowledged, with the activities in them.
    unconfirmed: BTreeMap<String, Value>,
}

/// The result of the command `send` (README.md).
pub(crate) struct SendResult(Value);

impl OfficialDevice {
    /// Registers the first device of a new user.
    pub(crate) async fn first(library: Library, here: &LocalServer, user: &str) -> Self {
        Self::registered(library, &registration(library, here, user, true)).await
    }

    /// Registers a device by this command, as the first one of its user.
    pub(crate) async fn registered(library: Library, registration: &Value) -> Self {
        let mut official = OfficialProcess::start(library).await;
        let registered = official.command(registration).await;
        assert_eq!(registered["status"], "active");
        Self::new(official, library, &registered)
    }

    /// Registers a device by this command, as a further one of its user, which is pending then.
    pub(crate) async fn waiting(library: Library, registration: &Value) -> Self {
        let mut official = OfficialProcess::start(library).await;
        let registered = official.command(registration).await;
        assert_eq!(registered["status"], "pending");
        Self::new(official, library, &registered)
    }

    /// Registers another device of this user and approves it.
    pub(crate) async fn further(&mut self, here: &LocalServer) -> Self {
        let user = self.actor.rsplit('/').next().unwrap();
        let device = Self::waiting(self.library, &registration(self.library, here, user, false)).await;
        self.command(json!({ "do": "approve", "code": device.joining_code })).await;
        device
    }

    fn new(official: OfficialProcess, library: Library, registered: &Value) -> Self {
        let text = |name: &str| registered[name].as_str().unwrap().to_owned();
        let (actor, address, joining_code) = (text("actor"), text("device"), text("joiningCode"));
        Self { official, library, actor, address, joining_code, unconfirmed: BTreeMap::new() }
    }

    /// Registers a new user with two devices.
    pub(crate) async fn two(library: Library, here: &LocalServer, user: &str) -> [Self; 2] {
        let mut first = Self::first(library, here, user).await;
        let second = first.further(here).await;
        [first, second]
    }

    /// Gives the device a command that must succeed, and returns the result.
    pub(crate) async fn command(&mut self, command: Value) -> Value {
        self.official.command(&command).await
    }

    /// Gives the device a command that the server must refuse, and returns the status and the body.
    pub(crate) async fn refused(&mut self, command: Value) -> (u64, Value) {
        self.official.refused(&command).await
    }

    /// Sends a text to a user.
    pub(crate) async fn send(&mut self, to: &str, text: &str) -> SendResult {
        self.sent(json!({ "do": "send", "to": to, "text": text })).await
    }

    /// Sends an activity to the user's own other devices.
    pub(crate) async fn sync(&mut self, activity: &Value) -> SendResult {
        let to = self.actor.clone();
        self.send_activity(&to, activity).await
    }

    /// Sends an activity to a user.
    pub(crate) async fn send_activity(&mut self, to: &str, activity: &Value) -> SendResult {
        self.sent(json!({ "do": "send", "to": to, "activity": activity })).await
    }

    /// Gives the device a command that sends an envelope.
    pub(crate) async fn sent(&mut self, command: Value) -> SendResult {
        let sent = SendResult(self.command(command).await);
        self.unconfirmed.insert(sent.envelope().to_owned(), sent.activity()["id"].clone());
        sent
    }

    /// Fetches until this many messages are there, reads and acknowledges them, and returns them.
    pub(crate) async fn fetch(&mut self, messages: usize) -> Vec<Value> {
        self.fetch_until(json!({ "do": "fetch", "messages": messages }), messages).await
    }

    async fn fetch_until(&mut self, command: Value, messages: usize) -> Vec<Value> {
        let fetched = self.command(command).await;
        let list = |name: &str| fetched[name].as_array().unwrap().clone();
        for report in list("reports").iter().filter(|report| has_type(report, "Delivered")) {
            self.unconfirmed.remove(report["object"].as_str().unwrap());
        }
        for receipt in list("receipts") {
            let received = receipt["object"].as_array().unwrap();
            self.unconfirmed.retain(|_, activity| !received.contains(activity));
        }
        let read = list("messages");
        assert_eq!(read.len(), messages, "{read:#?}");
        read
    }

    /// Reads the messages of these envelopes, which the device holds, in this order.
    pub(crate) async fn read(&mut self, sent: &[&SendResult]) -> Vec<Value> {
        let envelopes: Vec<_> = sent.iter().map(|sent| sent.envelope()).collect();
        let read = self.command(json!({ "do": "read", "envelopes": envelopes })).await;
        read["messages"].as_array().unwrap().clone()
    }

    /// Drops a message of `by` that the device holds and has not read, so that nobody will
    /// acknowledge it.
    pub(crate) async fn drop(&mut self, sent: &SendResult, by: &mut Self) {
        self.command(json!({ "do": "drop", "envelope": sent.envelope() })).await;
        by.lost(sent);
    }

    /// Expects no acknowledgement of this envelope any longer.
    pub(crate) fn lost(&mut self, sent: &SendResult) {
        self.unconfirmed.remove(sent.envelope());
    }

    /// Fetches until all that the device has sent is acknowledged.
    pub(crate) async fn settled(&mut self) {
        while !self.unconfirmed.is_empty() {
            self.fetch_until(json!({ "do": "fetch", "reports": 1 }), 0).await;
        }
    }
}

impl SendResult {
    /// Returns the envelope's id.
    pub(crate) fn envelope(&self) -> &str {
        self.0["envelope"].as_str().unwrap()
    }

    /// Returns the activity that was encrypted.
    pub(crate) fn activity(&self) -> &Value {
        &self.0["activity"]
    }

    /// Returns the tries that the send took, each with `status`, `messages` and `answer`.
    pub(crate) fn tries(&self) -> &[Value] {
        self.0["tries"].as_array().unwrap()
    }

    /// Returns the packages that were taken for the send.
    pub(crate) fn taken(&self) -> &[Value] {
        self.0["taken"].as_array().unwrap()
    }

    /// Returns the message to a device, from the last of the tries that had one.
    pub(crate) fn message(&self, device: &str) -> &Value {
        let messages = self.tries().iter().rev().flat_map(|attempt| attempt["messages"].as_array().unwrap());
        messages.into_iter().find(|message| message["to"] == device).expect("a message to that device")
    }

    /// Asserts that the envelope was accepted at once, with a message to this many devices.
    pub(crate) fn assert_accepted(&self, devices: usize) {
        let [attempt] = self.tries() else { panic!("tried again: {:#?}", self.tries()) };
        assert_eq!(attempt["status"], 201, "{attempt:#}");
        assert_eq!(attempt["messages"].as_array().unwrap().len(), devices);
    }

    /// Asserts that `by` sent this message to `to`: its ciphertext byte for byte, and the activity
    /// encrypted in it.
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

/// Returns the ratchet key of a message that begins no session.
pub(crate) fn ratchet_key(content: &Value) -> Vec<u8> {
    let content = STANDARD.decode(content.as_str().unwrap()).unwrap();
    // After the version byte comes protobuf field 1: 33 bytes.
    assert_eq!(content[1..3], [0x0A, 33]);
    content[3..36].to_vec()
}

/// Returns the command that registers a device.
pub(crate) fn registration(library: Library, here: &LocalServer, user: &str, first: bool) -> Value {
    let keys = match library {
        Library::Current => json!({ "preKeys": 10, "kyberPreKeys": 10, "lastResort": true }),
        Library::X3dh => json!({ "preKeys": 10 }),
    };
    json!({ "do": "register", "origin": here.origin.to_string(), "user": user, "first": first, "keys": keys })
}
