//! A server of two users, with its own table and queues in memory.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use aws_credential_types::Credentials;
use aws_sdk_sqs::types::Message;
use eko_engines::Engines;
use eko_messaging::{Limits, Messaging, QueueMessage};
use eko_protocol::address::{Origin, UserName};
use eko_protocol::chain::{ChainNode, ChainPosition, DeviceSetChange, NextNode};
use eko_protocol::envelope::Create;
use eko_protocol::id::DeviceId;
use eko_protocol::key::{CurveKey, IdentityKey, JoiningMac, KeyId, RegistrationId, Signature};
use eko_protocol::key_package::{PublishedKeys, SignedPreKey};
use eko_store::accounts::{AccountOutcome, DeviceRegistration, OidcSubject, PendingOutcome};
use eko_store::chain::AppendOutcome;
use eko_store::device::DeviceAddress;
use eko_store::device_keys::LastingKeys;
use eko_store::mailbox::{Entry, EntryContent};
use eko_store::resources::{self, DELIVERIES, FEDERATION};
use eko_store::sessions::NewSession;
use eko_store::{Names, Store};
use serde_json::{Value, json};

/// The time of a fresh server, in epoch milliseconds.
pub(crate) const START_MS: i64 = 1_800_000_000_000;
/// The origin of the server under test.
pub(crate) const ORIGIN: &str = "https://a.example";

/// A server with a store of its own, and no functions.
pub(crate) struct TestServer {
    pub(crate) messaging: Messaging,
    sqs: aws_sdk_sqs::Client,
    deliveries_url: String,
    federation_url: String,
    now_ms: Arc<AtomicI64>,
}

impl TestServer {
    pub(crate) async fn new() -> Self {
        Self::with(Limits::default()).await
    }

    pub(crate) async fn with(limits: Limits) -> Self {
        let now_ms = Arc::new(AtomicI64::new(START_MS));
        let clock = {
            let now_ms = Arc::clone(&now_ms);
            Arc::new(move || now_ms.load(Ordering::SeqCst))
        };
        let engines = Engines::in_memory_with_clock(clock.clone()).unwrap();
        let credentials = Credentials::new("local", "local", None, None, "local");
        let dynamodb = aws_sdk_dynamodb::Client::from_conf(
            aws_sdk_dynamodb::Config::builder()
                .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::latest())
                .region(aws_sdk_dynamodb::config::Region::new("us-east-1"))
                .credentials_provider(credentials.clone())
                .http_client(engines.http_client())
                .build(),
        );
        let sqs = aws_sdk_sqs::Client::from_conf(
            aws_sdk_sqs::Config::builder()
                .behavior_version(aws_sdk_sqs::config::BehaviorVersion::latest())
                .region(aws_sdk_sqs::config::Region::new("us-east-1"))
                .credentials_provider(credentials)
                .http_client(engines.http_client())
                .build(),
        );
        resources::create_table(&dynamodb, "eko", resources::TimeToLive::On).await.unwrap();
        let deliveries_url = resources::create_queue(&sqs, "deliveries", &DELIVERIES).await.unwrap().queue;
        let federation_url = resources::create_queue(&sqs, "federation", &FEDERATION).await.unwrap().queue;
        let names = Names {
            table: "eko".to_owned(),
            deliveries_url: deliveries_url.clone(),
            federation_url: federation_url.clone(),
            pushes_url: String::new(),
        };
        let lazy = {
            let sqs = sqs.clone();
            Arc::new(LazyLock::new(Box::new(move || sqs) as Box<dyn FnOnce() -> _ + Send>))
        };
        let store = Store::new(dynamodb, lazy, None, names);
        let drawn = AtomicU64::new(1);
        let random = Arc::new(move |bytes: &mut [u8]| {
            for byte in bytes {
                *byte = drawn.fetch_add(1, Ordering::SeqCst).to_le_bytes()[0];
            }
        });
        let origin = Origin::parse(ORIGIN).unwrap();
        let messaging = Messaging::new(origin, store, limits, clock, random);
        Self { messaging, sqs, deliveries_url, federation_url, now_ms }
    }

    /// Lets time pass.
    pub(crate) fn advance(&self, ms: i64) {
        self.now_ms.fetch_add(ms, Ordering::SeqCst);
    }

    /// Creates a user whose active devices have these numbers.
    pub(crate) async fn user(&self, name: &str, devices: &[u8]) -> TestUser {
        let user = TestUser { name: UserName::parse(name).unwrap() };
        let (first, further) = devices.split_first().unwrap();
        let subject = OidcSubject { issuer: "https://id.example", subject: name };
        let one_time = PublishedKeys::default();
        let store = self.messaging.store();
        let id = device(*first);
        let new = registration(user.at(&id), &one_time);
        let node = addition(&new, &ChainPosition::default());
        let created = store.create_account(subject, &new, &node).await.unwrap();
        assert_eq!(created, AccountOutcome::Created);
        for number in further {
            let id = device(*number);
            self.pending(&user, *number).await;
            let seen = store.device_set(&user.name).await.unwrap().stored().unwrap();
            let new = registration(user.at(&id), &one_time);
            let node = addition(&new, &seen.position());
            let registration_id = new.keys.registration_id;
            let approve = DeviceSetChange::Approve { device: id.clone(), registration_id };
            let appended = store.append(&user.name, &seen, &node, &approve, 0).await.unwrap();
            assert_eq!(appended, AppendOutcome::Done);
        }
        user
    }

    /// Registers a device that waits for approval.
    pub(crate) async fn pending(&self, user: &TestUser, number: u8) {
        let (id, one_time) = (device(number), PublishedKeys::default());
        let added = self.messaging.store().add_pending(&registration(user.at(&id), &one_time)).await.unwrap();
        assert_eq!(added, PendingOutcome::Added);
    }

    /// Receives the messages of the queue `deliveries`, delivers them, and deletes those that did
    /// not fail.
    pub(crate) async fn deliver(&self) {
        let received = self.receive(&self.deliveries_url).await;
        let batch: Vec<QueueMessage> = received.iter().map(queue_message).collect();
        assert_eq!(self.messaging.deliver(&batch).await, Vec::<String>::new());
        for message in received {
            let delete = self.sqs.delete_message().queue_url(&self.deliveries_url);
            delete.set_receipt_handle(message.receipt_handle).send().await.unwrap();
        }
    }

    /// Returns the bodies of the messages that wait in the queue `federation`.
    pub(crate) async fn parcels(&self) -> Vec<String> {
        let received = self.receive(&self.federation_url).await;
        received.into_iter().filter_map(|message| message.body).collect()
    }

    /// Receives the messages of the queue `federation` that are visible.
    pub(crate) async fn receive_parcels(&self) -> Vec<QueueMessage> {
        self.receive(&self.federation_url).await.iter().map(queue_message).collect()
    }

    /// Returns the number of messages that wait in the queue `deliveries`.
    pub(crate) async fn waiting(&self) -> usize {
        self.receive(&self.deliveries_url).await.len()
    }

    async fn receive(&self, url: &str) -> Vec<Message> {
        let receive = self.sqs.receive_message().queue_url(url).max_number_of_messages(10);
        receive.send().await.unwrap().messages.unwrap_or_default()
    }

    /// Returns the entries of a device's mailbox.
    pub(crate) async fn entries(&self, user: &TestUser, number: u8) -> Vec<Entry> {
        let id = device(number);
        let now_ms = self.messaging.now_ms();
        self.messaging.store().fetch(user.at(&id), None, now_ms).await.unwrap().unwrap().entries
    }

    /// Returns the ciphertexts in a device's mailbox.
    pub(crate) async fn ciphertexts(&self, user: &TestUser, number: u8) -> Vec<Vec<u8>> {
        let letter = |entry: Entry| match entry.content {
            EntryContent::Letter { ciphertext, .. } => ciphertext,
            EntryContent::Report { activity: report, .. } => panic!("a report: {report}"),
        };
        self.entries(user, number).await.into_iter().map(letter).collect()
    }

    /// Returns the reports in a device's mailbox.
    pub(crate) async fn reports(&self, user: &TestUser, number: u8) -> Vec<Value> {
        let report = |entry: Entry| match entry.content {
            EntryContent::Report { activity, .. } => activity,
            EntryContent::Letter { letter, .. } => panic!("a letter: {letter:?}"),
        };
        self.entries(user, number).await.into_iter().map(report).collect()
    }

    /// Acknowledges everything in a device's mailbox.
    pub(crate) async fn acknowledge(&self, user: &TestUser, number: u8) {
        let keys: Vec<_> = self.entries(user, number).await.into_iter().map(|entry| entry.key).collect();
        self.messaging.acknowledge(false, user.at(&device(number)), &keys).await.unwrap();
    }
}

/// A user of the server.
pub(crate) struct TestUser {
    pub(crate) name: UserName,
}

impl TestUser {
    pub(crate) fn at<'a>(&'a self, device: &'a DeviceId) -> DeviceAddress<'a> {
        DeviceAddress::new(&self.name, device)
    }
}

/// Returns the id of the device with this number.
pub(crate) fn device(number: u8) -> DeviceId {
    DeviceId::parse(&format!("0f3c9b1e-5a57-4b0e-9c39-0000000000{number:02x}")).unwrap()
}

/// Returns an envelope of `author`, an actor id, for these devices of a local user. `number` makes
/// its id.
pub(crate) fn envelope(author: &str, to: &TestUser, devices: &[u8], number: u8) -> Create {
    let user = format!("{ORIGIN}/user/{}", to.name);
    const CONTENTS: [&str; 4] = ["AQ==", "Ag==", "Aw==", "BA=="];
    let message = |to: &u8| {
        let content = CONTENTS[usize::from(*to) % CONTENTS.len()];
        json!({
            "to": format!("{user}/device/{}", device(*to)),
            "from": format!("{author}/device/{}", device(1)),
            "content": content,
        })
    };
    let messages: Vec<Value> = devices.iter().map(message).collect();
    let create = json!({
        "type": "Create", "actor": author, "to": user,
        "object": {
            "type": "SignalEnvelope", "messages": messages,
            "id": format!("urn:uuid:0f3c9b1e-5a57-4b0e-9c39-1000000000{number:02x}"),
        },
    });
    Create::parse(&create, START_MS).unwrap()
}

/// Returns the devices with these numbers.
pub(crate) fn devices(numbers: &[u8]) -> BTreeSet<String> {
    numbers.iter().map(|number| device(*number).to_string()).collect()
}

fn queue_message(message: &Message) -> QueueMessage {
    QueueMessage {
        id: message.message_id.clone().unwrap(),
        body: message.body.clone().unwrap(),
        receipt_handle: message.receipt_handle.clone().unwrap(),
        receives: 1,
    }
}

/// Returns an `AddDevice` node of a device. Its signature is not a real one.
fn addition(registration: &DeviceRegistration<'_>, position: &ChainPosition) -> ChainNode {
    let DeviceAddress { user, device } = registration.address;
    let origin = Origin::parse(ORIGIN).unwrap();
    let (next, new) =
        (NextNode::new(&origin, user, position, START_MS), registration.keys.new_device(device));
    let node = match position.length {
        0 => next.begin(&new),
        _ => next.approve(&new, &JoiningMac::from([1; 32])),
    };
    ChainNode::parse(&node.finish(device, &Signature::from_bytes(&[1; 64]).unwrap())).unwrap()
}

fn registration<'a>(address: DeviceAddress<'a>, one_time: &'a PublishedKeys) -> DeviceRegistration<'a> {
    let signature = Signature::from_bytes(&[1; 64]).unwrap();
    let keys = LastingKeys {
        identity_key: IdentityKey::of_secret(&[3; 32]),
        registration_id: RegistrationId::from_random(7),
        possession: signature,
        joining_mac: None,
        name: None,
        registered_ms: START_MS,
        signed_pre_key: SignedPreKey {
            id: KeyId::new(1).unwrap(),
            key: CurveKey::of_secret(&[4; 32]),
            signature,
        },
        last_resort: None,
    };
    let session = NewSession {
        token_hash: format!("{}-{}", address.user, address.device),
        family: "family".to_owned(),
        ttl: START_MS,
    };
    DeviceRegistration { address, keys, one_time, session }
}
