//! Sending a message again that could not be sent, and giving up one that waits.

use std::collections::BTreeMap;

use super::{Messenger, MessengerError, SentActivity};
use crate::content::{Activity, ActivityContent, ActivityId, Note, NoteId};
use crate::store::{DeviceStoreError, EnvelopeState, OutboxEnvelope, StoredMessage, Transaction};
use crate::{SignalSessions, Transport};

/// The reason of an envelope that the user has given up.
const DISCARDED: &str = "you have discarded it";

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Returns the messages of this device whose ids begin with these letters, without `urn:uuid:`.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn own_messages(&self, beginning: &str) -> Result<Vec<StoredMessage>, DeviceStoreError> {
        self.store.read(|tx| tx.own_messages(&self.device.address(), beginning))
    }

    /// Sends a message of this device again to those to whom it could not be sent, or who miss it, and
    /// tries at once what waits. It is the same message with the same place, so whoever has it sees it
    /// once. Whoever has left the group since gets nothing.
    ///
    /// # Errors
    /// [`MessengerError::NoSuchMessage`] if this device has not written it. The failure of an envelope
    /// is in the result.
    pub async fn send_again(&self, id: &str) -> Result<SentActivity, MessengerError> {
        self.require_joined().await?;
        self.store.release_ended_claims()?;
        self.store.write(|tx| {
            let activity = self.written(tx, id)?;
            let to = self.still_addressed(tx, &activity)?;
            let now_ms = self.now_ms();
            for envelope in tx.envelopes_of(id)? {
                let is_addressed = to.as_ref().is_none_or(|to| to.contains(&envelope.recipient));
                if envelope.state == EnvelopeState::ToSend {
                    tx.make_due(&envelope.id, now_ms)?;
                } else if is_addressed && is_to_be_resent(&envelope) {
                    self.send_anew(tx, &envelope.id, &activity.to_plaintext()?)?;
                }
            }
            Ok::<_, MessengerError>(())
        })?;
        self.send_message(id).await
    }

    /// Gives up sending a message of this device, as far as it waits here or was refused. Returns the number of
    /// recipients who do not get it.
    ///
    /// # Errors
    /// [`MessengerError::NoSuchMessage`] if this device has not written it.
    pub fn discard(&self, id: &str) -> Result<usize, MessengerError> {
        self.store.write(|tx| {
            self.written(tx, id)?;
            let own = self.device.actor();
            let mut count: usize = 0;
            for envelope in tx.envelopes_of(id)? {
                if matches!(envelope.state, EnvelopeState::ToSend | EnvelopeState::Refused) {
                    tx.settle(&envelope.id, EnvelopeState::Failed, Some(DISCARDED))?;
                    count = count.saturating_add(usize::from(envelope.recipient != own));
                }
            }
            Ok(count)
        })
    }

    /// Returns the activity of a message that this device has written.
    pub(super) fn written(&self, tx: &Transaction<'_>, id: &str) -> Result<Activity, MessengerError> {
        let stored = tx.message(&self.device.actor(), id)?;
        let stored = stored.filter(|message| message.content.device == self.device.address());
        let content = stored.ok_or_else(|| MessengerError::NoSuchMessage(id.to_owned()))?.content;
        let note = Note {
            id: NoteId::generate(&self.environment),
            text: content.text,
            attachments: content.attachments,
        };
        let mut activity = Activity {
            id: ActivityId::parse(id).map_err(|_| DeviceStoreError::Corrupt("message"))?,
            actor: content.actor,
            to: content.conversation.clone(),
            published_ms: content.published_ms,
            sequence: content.sequence,
            void: Vec::new(),
            device_set: None,
            device_sets_hash: None,
            device_sets: BTreeMap::new(),
            group: self.current_group(tx, &content.conversation)?,
            content: ActivityContent::Note(note),
        };
        self.attach_heads(tx, &mut activity, &content.conversation)?;
        Ok(activity)
    }

    /// Returns the actor ids of those who may get a message now, or `None` if it is for one person.
    pub(super) fn still_addressed(
        &self,
        tx: &Transaction<'_>,
        activity: &Activity,
    ) -> Result<Option<Vec<String>>, DeviceStoreError> {
        let known = tx.group(&activity.to)?;
        let me = self.device.actor();
        Ok(known.map(|known| match known.current.members().contains(&me) {
            true => known.current.members().iter().cloned().collect(),
            false => Vec::new(),
        }))
    }
}

/// True if an envelope could not be sent, or if its recipient says that it has not come.
fn is_to_be_resent(envelope: &OutboxEnvelope) -> bool {
    match envelope.state {
        EnvelopeState::Failed | EnvelopeState::Refused => true,
        EnvelopeState::Accepted => envelope.reason.is_some(),
        EnvelopeState::ToSend | EnvelopeState::Queued | EnvelopeState::Delivered => false,
    }
}
