//! Users of our own client.

use std::sync::{Arc, Mutex};

use eko_cli::LibSignal;
use eko_client::device::{EntryContent, PendingDevice, RegistrationStatus};
use eko_client::messenger::{MessageDraft, Notice, Person, ProgressStep, SignInRequest};
use eko_client::store::{EnvelopeState, MessageContent, StoredMessage};
use eko_client::{DeviceStore, Environment, KeyCounts, Messenger, messenger};
use eko_protocol::address::UserName;
use serde_json::{Value, json};

use crate::device::{Device, Sent};
use crate::here::{Here, eventually};
use crate::ordered_transport::OrderedTransport;

/// So many that none are made in between.
pub(crate) const KEYS: KeyCounts = KeyCounts { pre_keys: 40, kyber_pre_keys: 40, last_resort: true };

/// A device of a user.
pub(crate) struct EkoDevice {
    pub(crate) client: Messenger<OrderedTransport, LibSignal>,
    line: OrderedTransport,
    steps: Arc<Mutex<Vec<ProgressStep>>>,
    /// The activities that it has sent, and that were not dropped.
    said: Mutex<Vec<String>>,
}

/// Something that a device has said.
pub(crate) struct SentText {
    words: String,
    sent: messenger::SentActivity,
}

impl EkoDevice {
    /// The first device of a new user.
    pub(crate) async fn first(here: &Here, user: &str) -> Self {
        Self::with_keys(here, user, KEYS).await
    }

    /// The same, which begins with so many keys.
    pub(crate) async fn with_keys(here: &Here, user: &str, counts: KeyCounts) -> Self {
        Self::signed_in(here, user, counts, RegistrationStatus::Active, false).await
    }

    /// A device that replaces all others of a user.
    pub(crate) async fn resetting(here: &Here, user: &str) -> Self {
        Self::signed_in(here, user, KEYS, RegistrationStatus::Active, true).await
    }

    /// A further device of a user, which waits for approval.
    pub(crate) async fn waiting(here: &Here, user: &str) -> Self {
        Self::signed_in(here, user, KEYS, RegistrationStatus::Pending, false).await
    }

    /// A further device of this one's user, which this one approves.
    pub(crate) async fn further(&self, here: &Here) -> Self {
        let device = Self::waiting(here, self.client.me().user.as_str()).await;
        self.approve(&device.address(), &device.client.fingerprint()).await;
        device
    }

    /// Two devices of a new user.
    pub(crate) async fn two(here: &Here, user: &str) -> [Self; 2] {
        let first = Self::first(here, user).await;
        let second = first.further(here).await;
        [first, second]
    }

    async fn signed_in(
        here: &Here,
        user: &str,
        counts: KeyCounts,
        status: RegistrationStatus,
        reset: bool,
    ) -> Self {
        let sign_in = SignInRequest {
            origin: here.origin.clone(),
            user: UserName::parse(user).unwrap(),
            device_name: None,
            counts,
            id_token: here.id_token(user).await,
            reset,
        };
        let (line, store, environment) =
            (OrderedTransport::new(), DeviceStore::in_memory().unwrap(), Environment::system());
        let signed_in = Messenger::sign_in(line.clone(), LibSignal, store, environment, sign_in).await;
        let (client, registered) = signed_in.unwrap();
        assert_eq!(registered.status, status);
        let steps: Arc<Mutex<Vec<ProgressStep>>> = Arc::default();
        let noted = Arc::clone(&steps);
        let client = client.watched(move |step| noted.lock().unwrap().push(step));
        Self { client, line, steps, said: Mutex::default() }
    }

    /// Waits until it is told of a device that waits, which must be this.
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

    /// Approves the device with this address once it is told of it, if it has this fingerprint.
    pub(crate) async fn approve(&self, device: &str, fingerprint: &str) {
        let waiting = self.told_of(device).await;
        assert_eq!(self.client.fingerprint_of(&waiting), fingerprint);
        self.client.approve(&waiting).await.unwrap();
    }

    pub(crate) fn actor(&self) -> String {
        self.client.me().actor()
    }

    pub(crate) fn address(&self) -> String {
        self.client.device().address()
    }

    /// What it has done since it was asked for it last, but for looking at chains and making keys.
    pub(crate) fn steps(&self) -> Vec<ProgressStep> {
        let steps = std::mem::take(&mut *self.steps.lock().unwrap());
        steps
            .into_iter()
            .filter(|step| !matches!(step, ProgressStep::Chain { .. } | ProgressStep::Publish))
            .collect()
    }

    /// Says something to a user, of whom every device must get it at once.
    pub(crate) async fn say(&self, to: &str, words: &str) -> SentText {
        let draft = MessageDraft { text: words.to_owned(), attachments: Vec::new() };
        let sent = self.client.send(&Person::of(to).unwrap(), draft).await.unwrap();
        for envelope in &sent.envelopes {
            assert_eq!(envelope.state, EnvelopeState::Accepted, "{envelope:?}");
        }
        self.said.lock().unwrap().push(sent.id.clone());
        SentText { words: words.to_owned(), sent }
    }

    /// Looks into its mailbox until so many messages were shown, and no more. Nothing else may be
    /// told than what became of its own.
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
        let received = self.client.receive().await.unwrap();
        for notice in &received.notices {
            let settled =
                matches!(notice, Notice::Settled(envelope) if envelope.state == EnvelopeState::Delivered);
            assert!(settled, "{notice:?}");
        }
        if let Some(last) = received.messages.last() {
            self.client.note_shown(last.position).unwrap();
        }
        received.messages.into_iter().map(|message| message.content).collect()
    }

    /// Reads of its mailbox these messages, in this order; what can be shown then.
    pub(crate) async fn read(&self, sent: &[&Sent]) -> Vec<MessageContent> {
        for one in sent {
            self.entry(one).await;
        }
        self.line.show(Some(sent.iter().map(|one| one.envelope().to_owned()).collect()));
        let heard = self.look().await;
        assert_eq!(self.client.device().fetch().await.unwrap().entries, []);
        self.line.show(None);
        heard
    }

    /// Loses a message of `by`.
    pub(crate) async fn lose(&self, sent: &Sent, by: &mut Device) {
        self.client.device().discard(&self.entry(sent).await).await.unwrap();
        by.lost(sent);
    }

    /// The entry of a message in its mailbox, once it is there.
    pub(crate) async fn entry(&self, sent: &Sent) -> String {
        let its = |content: &EntryContent| match content {
            EntryContent::Message(message) => message.envelope.as_str() == sent.envelope(),
            _ => false,
        };
        let look = async || {
            let page = self.client.device().fetch().await.unwrap();
            page.entries.into_iter().find(|entry| its(&entry.content)).map(|entry| entry.address)
        };
        eventually("a message", look).await
    }

    /// Nobody will confirm this.
    pub(crate) fn lost(&self, said: &SentText) {
        self.said.lock().unwrap().retain(|id| *id != said.sent.id);
    }

    /// Looks into its mailbox until all that it has said is confirmed. No message may come
    /// meanwhile.
    pub(crate) async fn settled(&self) {
        let said = std::mem::take(&mut *self.said.lock().unwrap());
        let me = self.client.me();
        let look = async || {
            assert_eq!(self.look().await, []);
            let confirmed =
                |id: &String| self.client.sent(id).unwrap().state(&me) == EnvelopeState::Delivered;
            said.iter().all(confirmed).then_some(())
        };
        eventually("confirmations", look).await;
    }

    /// What was said in the conversation with a user: by whom, and what.
    pub(crate) fn history(&self, with: &str) -> Vec<(String, String)> {
        let history = self.client.history(Some(with), 1000).unwrap();
        let said = |message: StoredMessage| (message.content.actor, message.content.text);
        history.into_iter().map(said).collect()
    }
}

impl SentText {
    /// The envelope to a user.
    pub(crate) fn envelope(&self, to: &str) -> &str {
        let envelope = self.sent.envelopes.iter().find(|envelope| envelope.recipient == to);
        envelope.unwrap().id.as_str()
    }

    /// The activity's id.
    pub(crate) fn id(&self) -> &str {
        &self.sent.id
    }

    /// Asserts that an official device of the user `to` has read this, as `by` has said it.
    pub(crate) fn assert_is(&self, received: &Value, by: &EkoDevice, to: &str) {
        assert_eq!(received["failed"], Value::Null, "{received:#}");
        assert_eq!(received["envelope"], self.envelope(to));
        assert_eq!((&received["actor"], &received["from"]), (&json!(by.actor()), &json!(by.address())));
        assert_eq!(received["activity"]["id"], self.id());
        assert_eq!(received["activity"]["object"]["content"], self.words);
    }
}

/// Asserts that this is what an official device has sent.
pub(crate) fn assert_heard(heard: &MessageContent, sent: &Sent, by: &Device) {
    let activity = sent.activity();
    assert_eq!((&heard.actor, &heard.device), (&by.actor, &by.address));
    assert_eq!(activity["id"], heard.id);
    assert_eq!(activity["object"]["content"], heard.text);
    assert_eq!(activity["eko:sequence"].as_u64(), heard.sequence);
    assert_eq!(heard.warning, None);
}
