//! Messages that a former device of the user has kept, and has not sent.

use std::collections::{BTreeMap, BTreeSet};

use super::contact::Contact;
use super::send::OutgoingActivity;
use super::{MessageDraft, Messenger, MessengerError, Person};
use crate::content::{ActivityContent, ActivityId};
use crate::group::GroupId;
use crate::store::{DeviceStoreError, EndedGroup, EnvelopeState, NewEnvelope, Transaction, UnsentMessage};
use crate::{SignalSessions, Transport};

/// The reason for which a message to a group is not sent any more.
const NO_MEMBER: &str = "this device is not in the group";
/// The reason for which a message to somebody who is blocked is not sent from the account to which this user
/// has moved: it would tell them where that is.
const BLOCKED: &str = "you block them";
/// The reason for which a note is not sent any more that an earlier version of this library has let be longer.
const TOO_LONG: &str = "it is too long";

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Returns the messages of a former device that this one has taken over and has not put to be sent yet:
    /// it cannot before it has joined. Each has its activity's id and the actor ids of those who lack it.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn taken_over(&self) -> Result<BTreeMap<String, Vec<String>>, DeviceStoreError> {
        let (unsent, me) = (self.store.read(|tx| tx.unsent())?, self.device.actor());
        let others = |recipients: Vec<String>| recipients.into_iter().filter(|it| *it != me).collect();
        Ok(unsent.into_iter().map(|unsent| (unsent.id, others(unsent.recipients))).collect())
    }

    /// Returns the addresses of this user's devices that are no more: those whose stores this one has taken over,
    /// and those that were revoked or that a reset has replaced. Nobody knows what became of their messages.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn former_devices(&self) -> Result<BTreeSet<String>, DeviceStoreError> {
        self.store.read(|tx| {
            let mut former = tx.former_devices()?;
            if let Some(pinned) = tx.pinned(&self.device.actor())? {
                former.extend(Contact::new(self.me(), pinned)?.ended());
            }
            former.remove(&self.device.address());
            Ok(former)
        })
    }

    /// Returns the groups that a reset of the account has ended for this user, by their ids. An admin may have
    /// added the user again since.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn ended_groups(&self) -> Result<BTreeMap<String, EndedGroup>, DeviceStoreError> {
        self.store.read(|tx| tx.ended_groups())
    }

    /// Puts to be sent what a former device has not sent. [`Messenger::receive`] and everything that is sent
    /// do so too.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn put_taken_over(&self) -> Result<(), MessengerError> {
        self.require_joined().await?;
        self.say_carried().await
    }

    /// Says anew what a former device has not sent: to those who lack it, and as messages of this device,
    /// since each activity is signed by the device that sends it. They are due at once. An account to which this
    /// user moves says nothing before the old one has been left, which sends them until then.
    pub(super) async fn say_carried(&self) -> Result<(), MessengerError> {
        let is_due = self.store.read(|tx| {
            Ok::<_, DeviceStoreError>(
                tx.awaited_move()?.is_none()
                    && (!tx.unsent()?.is_empty() || !tx.untold_controls()?.is_empty()),
            )
        })?;
        if !is_due {
            return Ok(());
        }
        let has_others = self.has_other_devices().await?;
        self.store.write(|tx| {
            self.pass_on_untold(tx)?;
            for unsent in tx.take_unsent()? {
                // One note that cannot be sent holds up nothing else.
                match tx.attempt(|| self.say_anew(tx, &unsent, has_others)) {
                    Err(MessengerError::Invalid(_)) => self.note_unsaid(tx, &unsent, TOO_LONG)?,
                    said => said?,
                }
            }
            Ok(())
        })
    }

    /// Says one message anew.
    fn say_anew(
        &self,
        tx: &Transaction<'_>,
        unsent: &UnsentMessage,
        has_others: bool,
    ) -> Result<(), MessengerError> {
        let me = self.device.actor();
        // The former device may be of the account that this user has left.
        let former = self.former_actor(tx)?;
        let author = match tx.message(&me, &unsent.id)? {
            Some(_) => me.clone(),
            None => former.clone().unwrap_or_default(),
        };
        let Some(message) = tx.message(&author, &unsent.id)? else { return Ok(()) };
        let conversation = message.content.conversation.clone();
        let members = tx.group(&conversation)?.map(|known| known.current.members().clone());
        let is_of_group = GroupId::parse(&conversation).is_ok();
        if is_of_group && !members.as_ref().is_some_and(|members| members.contains(&me)) {
            return Ok(self.note_unsaid(tx, unsent, NO_MEMBER)?);
        }
        if former.is_some() && !is_of_group && tx.is_blocked(&conversation)? {
            return Ok(self.note_unsaid(tx, unsent, BLOCKED)?);
        }
        let (own, others): (Vec<_>, Vec<_>) =
            unsent.recipients.iter().partition(|recipient| **recipient == me);
        // Whoever was removed meanwhile gets nothing.
        let is_meant = |actor: &&String| members.as_ref().is_none_or(|members| members.contains(*actor));
        let to: Vec<Person> = others
            .into_iter()
            .filter(is_meant)
            .filter(|actor| Some(*actor) != former.as_ref())
            .filter_map(|actor| Person::of(actor))
            .collect();
        tx.withdraw(&author, &unsent.id)?;
        let draft = MessageDraft { text: message.content.text, attachments: message.content.attachments };
        let (group, content) =
            (self.current_group(tx, &conversation)?, ActivityContent::Note(self.note(draft)));
        // The former device may have sent it, with the answer lost: whoever gets both sees it once.
        let id = ActivityId::parse(&unsent.id).map_err(|_| DeviceStoreError::Corrupt("message"))?;
        let outgoing = OutgoingActivity { conversation, group, content };
        let activity = self.put_down_as(tx, id, self.now_ms(), &outgoing)?;
        // The other devices of this user may have the copy of the former one.
        self.enclose(tx, &activity, &to, has_others && !own.is_empty())
    }

    /// Records that a message is not sent any more, and the reason.
    fn note_unsaid(
        &self,
        tx: &Transaction<'_>,
        unsent: &UnsentMessage,
        reason: &str,
    ) -> Result<(), DeviceStoreError> {
        for recipient in &unsent.recipients {
            let id = self.device.envelope_id();
            let (silent, expires_ms) = (false, None);
            let message = unsent.id.as_str();
            let new = NewEnvelope { id: &id, message, recipient, plaintext: &[], silent, expires_ms };
            tx.add_envelope(&new, self.now_ms())?;
            tx.settle(&id, EnvelopeState::Failed, Some(reason))?;
        }
        Ok(())
    }
}
