//! Message requests: what strangers wrote. It is shown apart, and nobody is told that it arrived,
//! until the user accepts its author as a contact.

use std::collections::BTreeMap;

use super::incoming::ActivitySource;
use super::receive::HOLD_MS;
use super::{Messenger, MessengerError, Notice, Person};
use crate::group::KnownGroup;
use crate::store::{DeviceStoreError, MessageContent, RequestOutcome, Transaction};
use crate::{SignalSessions, Transport};

/// The number of strangers whose chains are kept though no message of theirs is.
const STRANGERS_KNOWN: u32 = 200;

/// The messages of one stranger, until the user accepts or declines them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRequest {
    /// The stranger.
    pub person: Person,
    /// The first messages, oldest first, at most [`crate::store::MOST_OF_STRANGER`]. Their files must
    /// not be fetched before the request is accepted.
    pub messages: Vec<MessageContent>,
}

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Returns what strangers wrote and the user has neither accepted nor declined.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn requests(&self) -> Result<Vec<MessageRequest>, DeviceStoreError> {
        let mut requests: BTreeMap<String, MessageRequest> = BTreeMap::new();
        for message in self.store.read(|tx| tx.requests())? {
            let Some(person) = Person::of(&message.actor) else { continue };
            let request = requests.entry(message.actor.clone());
            request.or_insert(MessageRequest { person, messages: Vec::new() }).messages.push(message);
        }
        Ok(requests.into_values().collect())
    }

    /// Accepts a person as a contact. What they wrote is put into the conversation, and the next look
    /// into the mailbox sends the receipts for it.
    ///
    /// # Errors
    /// [`MessengerError::NoSuchPerson`] if this device does not know the person's devices;
    /// [`MessengerError::Store`] if the store cannot be written.
    pub fn accept_contact(&self, person: &Person) -> Result<(), MessengerError> {
        let (actor, now_ms) = (person.actor(), self.now_ms());
        self.store.write(|tx| {
            if !tx.is_pinned(&actor)? {
                return Err(MessengerError::NoSuchPerson(person.handle().to_string()));
            }
            tx.make_contact(&actor)?;
            // The chain came through the own server. The next message reads it from theirs.
            tx.have_chain_read(&actor)?;
            tx.place(now_ms, HOLD_MS)?;
            Ok(())
        })
    }

    /// Takes a person as a contact before anything was written. Reads their chain if it is not known.
    ///
    /// # Errors
    /// [`MessengerError::NoSuchPerson`] or [`MessengerError::Distrust`]: then nothing was stored.
    pub async fn add_contact(&self, person: &Person) -> Result<(), MessengerError> {
        self.trusted(person).await?;
        self.accept_contact(person)
    }

    /// Declines what a stranger wrote: deletes it, with the session and the chain unless they are
    /// needed otherwise. The stranger is told nothing, and may write again.
    ///
    /// # Errors
    /// [`MessengerError::Store`] if the store cannot be written.
    pub fn decline(&self, person: &Person) -> Result<(), MessengerError> {
        Ok(self.store.write(|tx| {
            tx.decline_requests(&person.actor())?;
            self.forget_stranger(tx, &person.actor())
        })?)
    }

    /// Stores a stranger's message as a request.
    pub(super) fn keep_request(
        &self,
        tx: &Transaction<'_>,
        message: &MessageContent,
        whence: &ActivitySource<'_>,
        notices: &mut Vec<Notice>,
    ) -> Result<(), DeviceStoreError> {
        let origin_of = |actor: &str| Person::of(actor).map(|person| person.origin.to_string());
        let outcome =
            tx.store_request(message, self.now_ms(), |actor| origin_of(actor).unwrap_or_default())?;
        if outcome == RequestOutcome::First {
            notices.push(Notice::Request { actor: whence.actor.to_owned() });
        }
        Ok(())
    }

    /// Forgets the strangers of whom no message is kept, but for the last [`STRANGERS_KNOWN`].
    pub(super) fn forget_strangers(&self) -> Result<(), DeviceStoreError> {
        self.store.write(|tx| {
            let strangers = tx.strangers_without_requests(STRANGERS_KNOWN)?;
            strangers.iter().try_for_each(|actor| self.forget_stranger(tx, actor))
        })
    }

    /// Forgets the chain and the sessions of a user who is neither a contact nor a member of a group
    /// with this user.
    fn forget_stranger(&self, tx: &Transaction<'_>, actor: &str) -> Result<(), DeviceStoreError> {
        if !self.is_stranger(tx, actor)? {
            return Ok(());
        }
        tx.forget_sessions(actor)?;
        tx.unpin(actor)
    }

    /// True if the chain of somebody is pinned who is a stranger.
    pub(super) fn knows_as_stranger(&self, actor: &str) -> Result<bool, DeviceStoreError> {
        self.store.read(|tx| Ok(tx.is_pinned(actor)? && self.is_stranger(tx, actor)?))
    }

    /// True if somebody is neither this user, nor a contact, nor a member of a group that this user
    /// is in.
    pub(super) fn is_stranger(&self, tx: &Transaction<'_>, actor: &str) -> Result<bool, DeviceStoreError> {
        let me = self.device.actor();
        if actor == me || tx.is_contact(actor)? {
            return Ok(false);
        }
        let both = |known: &KnownGroup| {
            let members = known.current.members();
            members.contains(actor) && members.contains(&me)
        };
        Ok(!tx.groups()?.iter().any(both))
    }
}
