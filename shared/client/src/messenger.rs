//! A device that talks: what a person does with a messenger, made of the calls of [`Device`], the sessions behind
//! [`SignalSessions`], and the [`DeviceStore`].
//!
//! Nothing here waits or repeats by itself: what could not be sent stays in the store, due at a moment, and
//! [`Messenger::flush`] tries what is due. Several processes may share a store; one of them should receive.

mod deliver;
mod devices;
mod error;
mod groups;
mod incoming;
mod notice;
mod person;
mod receive;
mod register;
mod rekeying;
mod reports;
mod send;
mod sessions;
mod step;
mod tokens;
mod trust;
mod upkeep;
mod verify;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Mutex;

pub use devices::{OwnDevice, OwnDevices};
pub use error::{Distrust, MessengerError};
pub use groups::Group;
pub use notice::{GroupEvent, Notice, Severity, UnreadableReason};
pub use person::Person;
pub use receive::ReceivedBatch;
pub use register::SignInRequest;
pub use send::{MessageDraft, SentActivity};
pub use step::ProgressStep;
pub use trust::Trust;
pub use upkeep::KeyStatus;
pub use verify::Verification;

use crate::store::{DeviceStore, DeviceStoreError, StoredMessage};
use crate::{Device, Environment, SignalSessions, Transport};

/// One device of one user, with what it keeps.
pub struct Messenger<T, S> {
    device: Device<T>,
    sessions: S,
    store: DeviceStore,
    environment: Environment,
    /// One at a time takes key packages and begins sessions.
    beginning: Mutex<()>,
    /// One at a time replaces the tokens.
    refreshing: Mutex<()>,
    /// Entries of the mailbox that are left in it for now, and until when; in epoch milliseconds.
    left: std::sync::Mutex<BTreeMap<String, i64>>,
    watcher: Option<Arc<dyn Fn(ProgressStep) + Send + Sync>>,
}

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// The device that a store is of; none where nobody has signed in. Makes no call.
    ///
    /// # Errors
    /// The store cannot be read.
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
        let (beginning, refreshing, left) = (Mutex::default(), Mutex::default(), std::sync::Mutex::default());
        Self { device, sessions, store, environment, beginning, refreshing, left, watcher: None }
    }

    /// The same, which tells `watcher` what it is about to do.
    #[must_use]
    pub fn watched(mut self, watcher: impl Fn(ProgressStep) + Send + Sync + 'static) -> Self {
        self.watcher = Some(Arc::new(watcher));
        self
    }

    /// The device, for single calls.
    pub fn device(&self) -> &Device<T> {
        &self.device
    }

    /// Whose it is.
    pub fn me(&self) -> Person {
        Person { origin: self.device.origin().clone(), user: self.device.user().clone() }
    }

    /// The last messages of a conversation (an actor id, or a group's id) or of all, oldest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn history(
        &self,
        conversation: Option<&str>,
        last: u32,
    ) -> Result<Vec<StoredMessage>, DeviceStoreError> {
        self.store.read(|tx| tx.history(conversation, last))
    }

    /// Messages that came and were not shown, in their order.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn unshown(&self) -> Result<Vec<StoredMessage>, DeviceStoreError> {
        self.store.read(|tx| tx.unshown())
    }

    /// Notes that messages up to this place were shown.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn note_shown(&self, position: i64) -> Result<(), DeviceStoreError> {
        self.store.write(|tx| tx.note_shown(position))
    }

    /// A message by its activity's id.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn message(&self, id: &str) -> Result<Option<StoredMessage>, DeviceStoreError> {
        self.store.read(|tx| tx.message(id))
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
