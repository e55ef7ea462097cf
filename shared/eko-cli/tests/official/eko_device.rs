//! Devices with this project's own client.

use std::sync::{Arc, Mutex};

use eko_cli::LibSignal;
use eko_client::device::{EntryContent, PendingDevice, RegistrationStatus};
use eko_client::messenger::{
    JoinState, MessageDraft, Notice, Person, PreparedSignIn, ProgressStep, SignInRequest,
};
use eko_client::store::{EnvelopeState, MessageContent, OutboxEnvelope, StoredMessage};
use eko_client::{DeviceStore, Environment, JoiningCode, KeyCounts, Messenger, messenger};
use eko_local::server::AUDIENCE;
use eko_protocol::address::UserName;
use serde_json::{Value, json};

use crate::device::{OfficialDevice, SendResult};
use crate::local_server::{LocalServer, eventually};
use crate::ordered_transport::OrderedTransport;

/// The numbers of keys. They are so large that no device publishes more in between.
pub(crate) const KEYS: KeyCounts = KeyCounts { pre_keys: 40, kyber_pre_keys: 40, last_resort: true };

/// A device of a user, with this project's client.
pub(crate) struct EkoDevice {
    pub(crate) client: Messenger<OrderedTransport, LibSignal>,
    line: OrderedTransport,
    steps: Arc<Mutex<Vec<ProgressStep>>>,
    /// The ids of the activities that it has sent, without those that were lost on purpose.
    said: Mutex<Vec<String>>,
}

/// A message that a device has sent.
pub(crate) struct SentText {
    words: String,
    sent: messenger::SentActivity,
}

impl EkoDevice {
    /// Signs in the first device of a new user.
    pub(crate) async fn first(here: &LocalServer, user: &str) -> Self {
        Self::with_keys(here, user, KEYS).await
    }

    /// Signs in the first device of a new user, with these numbers of keys.
    pub(crate) async fn with_keys(here: &LocalServer, user: &str, counts: KeyCounts) -> Self {
        Self::signed_in(here, user, counts, RegistrationStatus::Active, false).await
    }

    /// Signs in a device that replaces all others of the user.
    pub(crate) async fn resetting(here: &LocalServer, user: &str) -> Self {
        Self::signed_in(here, user, KEYS, RegistrationStatus::Active, true).await
    }

    /// Signs in a further device of a user, which is pending.
    pub(crate) async fn waiting(here: &LocalServer, user: &str) -> Self {
        Self::signed_in(here, user, KEYS, RegistrationStatus::Pending, false).await
    }

    /// Signs in a further device of this user, and approves it with this device.
    pub(crate) async fn further(&self, here: &LocalServer) -> Self {
        let device = Self::waiting(here, self.client.me().user.as_str()).await;
        self.approve(&device.address(), &device.joining_code()).await;
        assert_eq!(device.client.join().await.unwrap(), JoinState::Joined);
        device
    }

    /// Signs in two devices of a new user.
    pub(crate) async fn two(here: &LocalServer, user: &str) -> [Self; 2] {
        let first = Self::first(here, user).await;
        let second = first.further(here).await;
        [first, second]
    }

    async fn signed_in(
        here: &LocalServer,
        user: &str,
        counts: KeyCounts,
        status: RegistrationStatus,
        reset: bool,
    ) -> Self {
        let sign_in = SignInRequest {
            origin: here.origin.clone(),
            issuer: here.issuer(),
            audience: AUDIENCE.to_owned(),
            user: UserName::parse(user).unwrap(),
            device_name: None,
            counts,
            reset,
        };
        let (line, store, environment) =
            (OrderedTransport::new(), DeviceStore::in_memory().unwrap(), Environment::system());
        let prepared = PreparedSignIn::new(line.clone(), store, environment, sign_in).unwrap();
        let id_token = here.issue(user, prepared.challenge().nonce()).await;
        let (client, registered) = prepared.complete(LibSignal, &id_token).await.unwrap();
        assert_eq!(registered.status, status);
        let steps: Arc<Mutex<Vec<ProgressStep>>> = Arc::default();
        let noted = Arc::clone(&steps);
        let client = client.watched(move |step| noted.lock().unwrap().push(step));
        let client = client.with_local_servers(LocalServer::started());
        Self { client, line, steps, said: Mutex::default() }
    }

    /// Waits for the notice of a pending device, and asserts that it is this one.
    pub(crate) async fn told_of(&self, device: &str) -> PendingDevice {
        let told = async || {
            let notices = self.client.receive().await.unwrap().notices;
            notices.into_iter().find_map(|notice| match notice {
                Notice::DeviceWaits(waiting) => Some(waiting),
                _ => None,
            })
        };
        let waiting = eventually("a device that waits", told).await;
        let me = self.client.me();
        assert_eq!(me.origin.device(&me.user, &waiting.device.id), device);
        waiting
    }

    /// Returns the code of this device, which waits.
    pub(crate) fn joining_code(&self) -> String {
        self.client.joining_code().unwrap().unwrap().digits()
    }

    /// Waits for the pending device with this address, and approves it by its joining code.
    pub(crate) async fn approve(&self, device: &str, code: &str) {
        let waiting = self.told_of(device).await;
        let code = JoiningCode::parse(code).unwrap();
        assert_eq!(self.client.approve(&code).await.unwrap().device, waiting.device);
    }

    pub(crate) fn actor(&self) -> String {
        self.client.me().actor()
    }

    pub(crate) fn address(&self) -> String {
        self.client.device().address()
    }

    /// Returns the steps since the last call, without looks at chains and the publishing of keys.
    pub(crate) fn steps(&self) -> Vec<ProgressStep> {
        let steps = std::mem::take(&mut *self.steps.lock().unwrap());
        steps
            .into_iter()
            .filter(|step| !matches!(step, ProgressStep::Chain { .. } | ProgressStep::Publish))
            .collect()
    }

    /// Sends a text to a user, and asserts that it was accepted for every device.
    pub(crate) async fn say(&self, to: &str, words: &str) -> SentText {
        let draft = MessageDraft { text: words.to_owned(), attachments: Vec::new() };
        let sent = self.client.send(&Person::of(to).unwrap(), draft).await.unwrap();
        for envelope in &sent.envelopes {
            assert_eq!(envelope.state, EnvelopeState::Accepted, "{envelope:?}");
        }
        self.said.lock().unwrap().push(sent.id.clone());
        SentText { words: words.to_owned(), sent }
    }

    /// Looks into the mailbox until so many messages were shown, and asserts that there are no
    /// more. No other notice than deliveries may come.
    pub(crate) async fn hear(&self, messages: usize) -> Vec<MessageContent> {
        let mut heard = Vec::new();
        let look = async || {
            heard.extend(self.look().await);
            (heard.len() >= messages).then_some(())
        };
        eventually("messages", look).await;
        assert_eq!(heard.len(), messages, "{heard:#?}");
        heard
    }

    async fn look(&self) -> Vec<MessageContent> {
        let mut received = self.client.receive().await.unwrap();
        for notice in &received.notices {
            let settled =
                matches!(notice, Notice::Settled(envelope) if envelope.state == EnvelopeState::Delivered);
            let news = matches!(notice, Notice::Request { .. } | Notice::DevicesChanged { .. });
            assert!(settled || news, "{notice:?}");
        }
        for request in self.client.requests().unwrap() {
            self.client.accept_contact(&request.person).unwrap();
            self.client.place(&mut received).unwrap();
        }
        if let Some(last) = received.messages.last() {
            self.client.note_shown(last.position).unwrap();
        }
        received.messages.into_iter().map(|message| message.content).collect()
    }

    /// Receives these messages in this order, and returns what can be shown then.
    pub(crate) async fn read(&self, sent: &[&SendResult]) -> Vec<MessageContent> {
        for one in sent {
            self.entry(one).await;
        }
        self.line.show(Some(sent.iter().map(|one| one.envelope().to_owned()).collect()));
        let heard = self.look().await;
        assert_eq!(self.client.device().fetch().await.unwrap().entries, []);
        self.line.show(None);
        heard
    }

    /// Removes a message of `by` from the mailbox unread.
    pub(crate) async fn lose(&self, sent: &SendResult, by: &mut OfficialDevice) {
        self.client.device().discard(&self.entry(sent).await).await.unwrap();
        by.lost(sent);
    }

    /// Waits until a message is in the mailbox, and returns the address of its entry.
    pub(crate) async fn entry(&self, sent: &SendResult) -> String {
        let its = |content: &EntryContent| match content {
            EntryContent::Message(message) => message.letter.header.id.as_str() == sent.envelope(),
            _ => false,
        };
        let look = async || {
            let page = self.client.device().fetch().await.unwrap();
            page.entries.into_iter().find(|entry| its(&entry.content)).map(|entry| entry.address)
        };
        eventually("a message", look).await
    }

    /// Expects no confirmation of this message.
    pub(crate) fn lost(&self, said: &SentText) {
        self.said.lock().unwrap().retain(|id| *id != said.sent.id);
    }

    /// Looks into the mailbox until every sent message is acknowledged: by a receipt, or by a report,
    /// which official devices have their server send. No message may come meanwhile.
    pub(crate) async fn settled(&self) {
        let me = self.actor();
        self.until(|envelope| {
            let delivered = envelope.state == EnvelopeState::Delivered;
            envelope.recipient == me || delivered || self.line.is_reported(envelope.id.as_str())
        })
        .await;
    }

    /// Looks into the mailbox until there is a receipt for every sent message. No message may come
    /// meanwhile.
    pub(crate) async fn delivered(&self) {
        let me = self.actor();
        let delivered = |envelope: &OutboxEnvelope| envelope.state == EnvelopeState::Delivered;
        self.until(|envelope| envelope.recipient == me || delivered(envelope)).await;
    }

    async fn until(&self, is_done: impl Fn(&OutboxEnvelope) -> bool) {
        let said = std::mem::take(&mut *self.said.lock().unwrap());
        let look = async || {
            assert_eq!(self.look().await, []);
            let done = |id: &String| self.client.sent(id).unwrap().envelopes.iter().all(&is_done);
            said.iter().all(done).then_some(())
        };
        eventually("acknowledgements", look).await;
    }

    /// Returns the messages of the conversation with a user: the author's actor id and the text.
    pub(crate) fn history(&self, with: &str) -> Vec<(String, String)> {
        let history = self.client.history(Some(with), 1000).unwrap();
        let said = |message: StoredMessage| (message.content.actor, message.content.text);
        history.into_iter().map(said).collect()
    }
}

impl SentText {
    /// Returns the id of the envelope to a user.
    pub(crate) fn envelope(&self, to: &str) -> &str {
        let envelope = self.sent.envelopes.iter().find(|envelope| envelope.recipient == to);
        envelope.unwrap().id.as_str()
    }

    /// Returns the id of the activity.
    pub(crate) fn id(&self) -> &str {
        &self.sent.id
    }

    /// Asserts that an official device of the user `to` has received this message from `by`.
    pub(crate) fn assert_is(&self, received: &Value, by: &EkoDevice, to: &str) {
        assert_eq!(received["failed"], Value::Null, "{received:#}");
        assert_eq!(received["envelope"], self.envelope(to));
        assert_eq!((&received["actor"], &received["from"]), (&json!(by.actor()), &json!(by.address())));
        assert_eq!(received["activity"]["id"], self.id());
        assert_eq!(received["activity"]["object"]["content"], self.words);
    }
}

/// Asserts that a received message is the one that an official device has sent.
pub(crate) fn assert_heard(heard: &MessageContent, sent: &SendResult, by: &OfficialDevice) {
    let activity = sent.activity();
    assert_eq!((&heard.actor, &heard.device), (&by.actor, &by.address));
    assert_eq!(activity["id"], heard.id);
    assert_eq!(activity["object"]["content"], heard.text);
    assert_eq!(activity["eko:sequence"].as_u64(), heard.sequence);
    assert_eq!(heard.warning, None);
}
