//! The messenger: a person signs in, sends, receives, forms groups, and verifies contacts.
//!
//! A [`Messenger`] combines the calls of a [`Device`], the sessions behind [`SignalSessions`], and
//! a [`DeviceStore`]. It does nothing in the background. What cannot be sent stays in the store
//! until it is due, and [`Messenger::flush`] tries what is due. Several processes may share a
//! store; one of them should receive.
//!
//! # Errors
//!
//! Methods that call a server can fail with [`MessengerError::Client`], with
//! [`MessengerError::SignedOut`], [`MessengerError::Pending`] or [`MessengerError::Revoked`] if the
//! device may not take part, with [`MessengerError::Distrust`] if its server shows it a false chain
//! of its own user, and with [`MessengerError::Store`]. The methods name only the errors that they
//! add to these.

mod again;
mod announced_moves;
mod announcing;
mod awaiting;
mod blocks;
mod carried;
mod clocks;
mod contact;
mod controls;
mod decisions;
mod deletion;
mod deliver;
mod device_names;
mod devices;
mod ending;
mod error;
mod exporting;
mod following;
mod freshness;
mod groups;
mod growth;
mod heads;
mod holding;
mod incoming;
mod invitations;
mod joining;
mod keeping;
mod kept_forms;
mod known;
mod known_at_server;
mod lanes;
mod leaving;
mod live;
mod move_news;
mod moving;
mod notice;
mod passing_on;
mod person;
mod profile;
mod reading;
mod receipts;
mod receive;
mod register;
mod rekeying;
mod reporting;
mod reports;
mod requests;
mod resending;
mod send;
mod sessions;
mod standing;
mod state_keys;
mod states;
mod step;
mod stray_records;
mod successors;
mod tokens;
mod trust;
mod typing;
mod unknown;
mod unseen;
mod untold;
mod upkeep;
mod verify;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use eko_protocol::address::Origin;
use eko_protocol::chain::ChainState;
use tokio::sync::Mutex;

pub use announced_moves::ANNOUNCED_READS;
pub use announcing::{ANNOUNCERS, BEHIND_MINUTES};
pub use blocks::{UserBlock, UserBlocks};
pub use devices::{OwnDevice, OwnDevices};
pub use error::{Distrust, MessengerError};
pub use following::{NewMessages, StoreView};
pub use freshness::{READ_AFTER_DAYS, REFUSED_AFTER_DAYS, SHOWN_AFTER_DAYS, WITHOUT_READING_DAYS};
pub use groups::{ChangedGroup, Group};
pub use growth::DeviceChanges;
pub use heads::{READ_AGAIN_MINUTES, READ_FOR_PROOFS, READ_FOR_VIEWS};
pub use holding::HeldItem;
pub use incoming::REMEMBERED_MS;
pub use invitations::{ALL_TOLD, Invitation};
pub use joining::JoinState;
pub use kept_forms::is_readable;
pub use known::{FELLOWS_OF_ALL, FELLOWS_OF_GROUP, FORGOTTEN_AFTER_DAYS};
pub use leaving::CALL_PAUSE_MS;
pub use live::{
    ANSWER_MS, APPROVAL_PAUSE_MS, DeliveryMode, FIRST_CONNECT_PAUSE_MS, FetchingReason,
    LONGEST_CONNECT_PAUSE_MS, LiveFeed, PING_MS, RECEIPTS_PAUSE_MS, RENEWED_AFTER_MS, STABLE_AFTER_MS,
};
pub use move_news::MOST_GAPS;
pub use moving::{Departure, MoveProgress};
pub use notice::{GroupEvent, Notice, Severity, UnreadableReason};
pub use person::Person;
pub use receipts::{READ_FOR_RECEIPTS, SIDE_ENVELOPES};
pub use receive::{HOLD_MS, ReceivedBatch};
pub use register::{PreparedSignIn, SignInRequest};
pub use rekeying::RENEWAL_PAUSE_MS;
pub use requests::{ENDED_AFTER_DAYS, MessageRequest, STRANGERS_KNOWN};
pub use resending::RESENT_FOR_DAYS;
pub use send::{MessageDraft, SentActivity};
pub use states::{COMPLETED_AFTER_MS, TOLD_FOR_DAYS};
pub use step::ProgressStep;
pub use successors::FOLLOWED_AT_ONCE;
pub use trust::Trust;
pub use typing::{TYPING_LIVES_MS, TYPING_PAUSE_MS};
pub use unknown::{ENTRIES_AT_ONCE, READ_FOR_SENDERS, SENDER_PAUSE_MINUTES};
pub use untold::UntoldChange;
pub use upkeep::KeyStatus;
pub use verify::Verification;

use crate::shares::Shares;
use crate::store::{DeviceStore, DeviceStoreError, StoredMessage};
use crate::{Device, Environment, SignalSessions, Transport};

/// A device of one user that sends and receives, with its store.
pub struct Messenger<T, S> {
    device: Device<T>,
    sessions: S,
    store: DeviceStore,
    environment: Environment,
    /// Held while key packages are taken and sessions begun, so that two tasks do not begin a
    /// session with one device.
    beginning: Mutex<()>,
    lanes: lanes::SendingLanes,
    /// Held while the tokens are replaced.
    refreshing: Mutex<()>,
    /// The entries that stay in the mailbox for now, by address, each with the time until which it
    /// is left alone, in epoch milliseconds.
    left: std::sync::Mutex<BTreeMap<String, i64>>,
    /// The chains of senders that could not be read.
    failed: std::sync::Mutex<unknown::FailedReads>,
    /// The users whose devices have proven heads that the pinned chains lack. Their chains are read in
    /// this look.
    doubted: std::sync::Mutex<Shares<(), Person>>,
    /// The times at which chains were last read for a reason that others may repeat at will, by that
    /// reason: an actor id or a proven head. In epoch milliseconds.
    looks: std::sync::Mutex<BTreeMap<String, i64>>,
    /// The last chains that were replayed, by actor id, with the hash of the last node.
    replayed: std::sync::Mutex<BTreeMap<String, (String, ChainState)>>,
    /// The times at which others were last told that this user is writing, by conversation, in epoch
    /// milliseconds.
    told_typing: std::sync::Mutex<BTreeMap<String, i64>>,
    /// The lengths of the chains whose changes were returned as notices, by actor id.
    returned: std::sync::Mutex<BTreeMap<String, u64>>,
    /// The stored notices that were returned.
    returned_notices: std::sync::Mutex<BTreeSet<i64>>,
    watcher: Option<Arc<dyn Fn(ProgressStep) + Send + Sync>>,
}

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Opens the device of a store, or returns `None` if nobody has signed in with this store.
    /// Makes no call.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn open(
        transport: T,
        sessions: S,
        store: DeviceStore,
        environment: Environment,
    ) -> Result<Option<Self>, DeviceStoreError> {
        let Some(saved) = store.read(|tx| tx.account())? else { return Ok(None) };
        let device = Device::restore(transport, saved, environment.clone());
        Ok(Some(Self::new(device, sessions, store, environment)))
    }

    fn new(device: Device<T>, sessions: S, store: DeviceStore, environment: Environment) -> Self {
        Self {
            device,
            sessions,
            store,
            environment,
            beginning: Mutex::default(),
            lanes: lanes::SendingLanes::default(),
            refreshing: Mutex::default(),
            left: std::sync::Mutex::default(),
            failed: std::sync::Mutex::default(),
            doubted: std::sync::Mutex::new(Shares::new(READ_FOR_PROOFS)),
            looks: std::sync::Mutex::default(),
            replayed: std::sync::Mutex::default(),
            told_typing: std::sync::Mutex::default(),
            returned: std::sync::Mutex::default(),
            returned_notices: std::sync::Mutex::default(),
            watcher: None,
        }
    }

    /// Has `watcher` told of each step before it is taken, for a progress display.
    #[must_use]
    pub fn watched(mut self, watcher: impl Fn(ProgressStep) + Send + Sync + 'static) -> Self {
        self.watcher = Some(Arc::new(watcher));
        self
    }

    /// Also fetches from these servers on this machine; see [`Device::with_local_servers`].
    #[must_use]
    pub fn with_local_servers(mut self, servers: Vec<Origin>) -> Self {
        self.device = self.device.with_local_servers(servers);
        self
    }

    /// Returns the device, for single calls.
    pub fn device(&self) -> &Device<T> {
        &self.device
    }

    /// Returns this user.
    pub fn me(&self) -> Person {
        Person { origin: self.device.origin().clone(), user: self.device.user().clone() }
    }

    /// Returns the last messages of a conversation, oldest first. `conversation` is an actor id or
    /// a group's id; `None` selects all conversations. Those with all accounts of a person who has moved are
    /// one conversation.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn history(
        &self,
        conversation: Option<&str>,
        last: u32,
    ) -> Result<Vec<StoredMessage>, DeviceStoreError> {
        self.store.read(|tx| {
            let accounts = conversation.map(|conversation| tx.accounts_of(conversation)).transpose()?;
            tx.history(accounts.as_ref(), last)
        })
    }

    /// Returns the messages that arrived and were not shown yet, in order.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn unshown(&self) -> Result<Vec<StoredMessage>, DeviceStoreError> {
        self.store.read(|tx| tx.unshown())
    }

    /// Records that the messages up to this position were shown.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be written.
    pub fn note_shown(&self, position: i64) -> Result<(), DeviceStoreError> {
        self.store.write(|tx| tx.note_shown(position))
    }

    /// Returns a message by the actor id of its author and its activity's id.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn message(&self, actor: &str, id: &str) -> Result<Option<StoredMessage>, DeviceStoreError> {
        self.store.read(|tx| tx.message(actor, id))
    }

    /// Returns the messages of all authors with an activity's id. There may be several, because each
    /// author draws the ids.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn messages_with_id(&self, id: &str) -> Result<Vec<StoredMessage>, DeviceStoreError> {
        self.store.read(|tx| tx.messages_with_id(id))
    }

    fn now_ms(&self) -> i64 {
        self.environment.now_ms()
    }

    fn step(&self, step: ProgressStep) {
        if let Some(watcher) = &self.watcher {
            watcher(step);
        }
    }
}
