//! Read receipts: what this user tells the authors of messages that were shown.
//!
//! They are a person's word, unlike the receipts of devices, and the user can switch them off.

use super::send::OutgoingActivity;
use super::{Messenger, Person};
use crate::content::{ActivityContent, ActivityId, GroupRef};
use crate::store::{DeviceStoreError, StoredMessage, Transaction};
use crate::{SignalSessions, Transport};

/// The name under which the store keeps that the user has switched read receipts off.
pub(super) const HIDES_READING: &str = "hides_reading";
/// The beginning of the names under which the store keeps up to which position the messages of a device
/// in a conversation were read.
pub(super) const READ_UP_TO: &str = "read_up_to";

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// True if authors are told that this user has read their messages. It is so unless the user has
    /// switched it off on this device.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn tells_reading(&self) -> Result<bool, DeviceStoreError> {
        Ok(!self.store.read(|tx| tx.json::<bool>(HIDES_READING))?.unwrap_or(false))
    }

    /// Switches read receipts of this device on or off.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be written.
    pub fn tell_reading(&self, tells: bool) -> Result<(), DeviceStoreError> {
        self.store.write(|tx| tx.put_json(HIDES_READING, &!tells))
    }

    /// Notes that this user has read messages, in the order in which they were shown. The last one of
    /// each device in a conversation becomes a read receipt for its author, which is owed like the
    /// receipts of this device. It counts for those before it.
    ///
    /// Only contacts are told, and nobody if the user has switched it off. Nobody is told of a message
    /// with a warning, nor twice of one that several programs have shown.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be used.
    pub fn put_reading(&self, messages: &[StoredMessage]) -> Result<(), DeviceStoreError> {
        if !self.tells_reading()? {
            return Ok(());
        }
        self.store.write(|tx| {
            for StoredMessage { position, content, .. } in messages {
                let is_told = !content.outgoing && content.warning.is_none();
                if is_told
                    && tx.is_contact(&content.actor)?
                    && self.may_answer(tx, &content.conversation)?
                    && tx.pass_mark(
                        &format!("{READ_UP_TO} {} {}", content.device, content.conversation),
                        *position,
                    )?
                {
                    tx.owe_read(&content.actor, &content.id)?;
                }
            }
            Ok(())
        })
    }

    /// Takes the read receipts that an author is owed. Each says that its message has arrived, too.
    pub(super) fn take_read(
        &self,
        tx: &Transaction<'_>,
        actor: &str,
    ) -> Result<Vec<OutgoingActivity>, DeviceStoreError> {
        let mut outgoing = Vec::new();
        for content in tx.take_read(actor)?.into_iter().map(|message| message.content) {
            if !self.may_answer(tx, &content.conversation)? {
                continue;
            }
            tx.forget_receipt(actor, &content.id)?;
            let id = ActivityId::parse(&content.id).map_err(|_| DeviceStoreError::Corrupt("message"))?;
            outgoing.push(OutgoingActivity {
                group: self.current_group(tx, &content.conversation)?,
                conversation: content.conversation,
                content: ActivityContent::Read(id),
            });
        }
        Ok(outgoing)
    }

    /// True if a conversation is with one person, or that of a group that this user is a member of.
    fn may_answer(&self, tx: &Transaction<'_>, conversation: &str) -> Result<bool, DeviceStoreError> {
        Ok(match tx.group(conversation)? {
            Some(known) => known.current.members().contains(&self.device.actor()),
            None => Person::of(conversation).is_some(),
        })
    }

    /// Returns the group of a conversation as this device has it, if it is one.
    pub(super) fn current_group(
        &self,
        tx: &Transaction<'_>,
        conversation: &str,
    ) -> Result<Option<GroupRef>, DeviceStoreError> {
        Ok(tx.group(conversation)?.map(|known| {
            let state = &known.current;
            GroupRef { id: state.id().clone(), epoch: state.epoch(), state: state.hash() }
        }))
    }
}
