//! Sending notes: to a person, and to the devices of this user.

use std::collections::BTreeMap;

use eko_protocol::key::FrankingKey;

use super::trust::ChainRoute;
use super::typing::TYPING_LIVES_MS;
use super::{Messenger, MessengerError, Person};
use crate::attachment::Attachment;
use crate::content::{Activity, ActivityContent, ActivityId, GroupRef, Note, NoteId, with_key};
use crate::store::{EnvelopeState, MessageContent, NewEnvelope, OutboxEnvelope, Transaction};
use crate::{SignalSessions, Transport};

/// The content of a message that a person wants to send.
#[derive(Debug, Clone, Default)]
pub struct MessageDraft {
    /// The text.
    pub text: String,
    /// The files that go with it, sealed.
    pub attachments: Vec<Attachment>,
}

/// An activity that was sent, with the states of its envelopes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentActivity {
    /// The activity's id.
    pub id: String,
    /// The envelopes, one for each recipient. A copy for the own devices is among them.
    pub envelopes: Vec<OutboxEnvelope>,
}

impl SentActivity {
    /// Returns the worst state that any recipient's envelope is in, not counting the own devices:
    /// `Refused` or `Failed`, then `ToSend`, then the others.
    pub fn state(&self, me: &Person) -> EnvelopeState {
        use EnvelopeState::{Accepted, Failed, Queued, Refused, ToSend};
        let own = me.actor();
        let states = || self.envelopes.iter().filter(|e| e.recipient != own).map(|e| e.state);
        [Refused, Failed, ToSend, Queued, Accepted]
            .into_iter()
            .find(|state| states().any(|found| found == *state))
            .unwrap_or(EnvelopeState::Delivered)
    }
}

/// An activity that has no id yet.
pub(super) struct OutgoingActivity {
    /// The other person's actor id, or the group's id.
    pub(super) conversation: String,
    pub(super) group: Option<GroupRef>,
    pub(super) content: ActivityContent,
}

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Sends a message to a person: stores it, and sends it to the person's devices and to this
    /// user's other devices. What cannot be sent now stays due.
    ///
    /// # Errors
    /// [`MessengerError::NoSuchPerson`], [`MessengerError::Distrust`] or [`MessengerError::Blocked`]: then
    /// nothing was stored. Any other failure is in the envelopes of the result.
    pub async fn send(&self, to: &Person, draft: MessageDraft) -> Result<SentActivity, MessengerError> {
        self.check_addressee(to).await?;
        let id = self.put_message(to, draft).await?;
        self.send_message(&id).await
    }

    /// Succeeds if a message to a person may be stored: nothing speaks against their devices, as far as
    /// their server answers.
    ///
    /// # Errors
    /// [`MessengerError::NoSuchPerson`], [`MessengerError::Distrust`] or [`MessengerError::Blocked`].
    pub async fn check_addressee(&self, to: &Person) -> Result<(), MessengerError> {
        self.require_joined().await?;
        let to = &self.whereabouts(to)?;
        self.require_not_blocked(&to.actor())?;
        if self.knows_as_stranger(&to.actor())? {
            // What the own server has shown is compared with what theirs shows.
            match self.look_again_by(to, ChainRoute::Direct).await {
                Err(error) if error.retry_after_s().is_none() => return Err(error),
                _ => {}
            }
        }
        match self.require_trusted(to).await {
            // This device has just followed.
            Err(MessengerError::PersonMoved(_)) => Ok(()),
            trusted => trusted,
        }
    }

    /// Stores a message to a person with its envelopes, and returns its id. What the person wrote as a stranger,
    /// and this device has kept, is in the conversation before it. [`Messenger::send_message`]
    /// sends it, and says in its result if the person's devices are not to be trusted, or if there is no
    /// such person. Makes no call if they are known.
    ///
    /// # Errors
    /// [`MessengerError::NoSuchPerson`], [`MessengerError::Distrust`] or [`MessengerError::Blocked`]: then
    /// nothing was stored.
    pub async fn put_message(&self, to: &Person, draft: MessageDraft) -> Result<String, MessengerError> {
        self.require_joined().await?;
        let mut to = self.whereabouts(to)?;
        self.require_not_blocked(&to.actor())?;
        if !self.store.read(|tx| tx.is_pinned(&to.actor()))? {
            match self.require_trusted(&to).await {
                Err(MessengerError::PersonMoved(_)) => to = self.whereabouts(&to)?,
                trusted => trusted?,
            }
        }
        self.store.write(|tx| self.take_as_contact(tx, &to.actor()))?;
        let content = ActivityContent::Note(self.note(draft));
        let outgoing = OutgoingActivity { conversation: to.actor(), group: None, content };
        self.put_activity(outgoing, vec![to]).await
    }

    /// Sends the envelopes of a message that was stored, after those before it to the same recipients.
    ///
    /// # Errors
    /// Those of every call. The failure of an envelope is in the result.
    pub async fn send_message(&self, id: &str) -> Result<SentActivity, MessengerError> {
        self.send_envelopes(id).await
    }

    pub(super) fn note(&self, draft: MessageDraft) -> Note {
        let MessageDraft { text, attachments } = draft;
        Note { id: NoteId::generate(&self.environment), text, attachments }
    }

    /// Stores an activity with an envelope for each recipient, and returns its id.
    pub(super) async fn put_activity(
        &self,
        outgoing: OutgoingActivity,
        to: Vec<Person>,
    ) -> Result<String, MessengerError> {
        self.require_joined().await?;
        self.require_left()?;
        for person in &to {
            // The hash of the device sets needs the chains of all. Whoever cannot be looked up now is
            // looked up again when the envelope is sent.
            if !self.store.read(|tx| tx.is_pinned(&person.actor()))? {
                let _ = self.contact(person).await;
            }
        }
        self.say_carried().await?;
        let sync = self.has_other_devices().await?;
        self.store.write(|tx| {
            self.put_decisions(tx)?;
            let activity = self.put_down(tx, &outgoing)?;
            self.enclose(tx, &activity, &to, sync)?;
            Ok(activity.id.to_string())
        })
    }

    /// Returns the state of an activity that was sent.
    ///
    /// # Errors
    /// [`MessengerError::Store`] if the store cannot be read.
    pub fn sent(&self, id: &str) -> Result<SentActivity, MessengerError> {
        Ok(SentActivity { id: id.to_owned(), envelopes: self.store.read(|tx| tx.envelopes_of(id))? })
    }

    /// Sends the envelopes of an activity. Those before it to the same recipients are tried first,
    /// whenever they are due, so that it does not overtake them.
    pub(super) async fn send_envelopes(&self, id: &str) -> Result<SentActivity, MessengerError> {
        match Box::pin(self.try_envelopes(id)).await {
            Err(error) if !error.needs_sign_in() && !error.is_end() => Err(error),
            // They are kept until the user signs in again, which may be with another device.
            Ok(()) | Err(_) => self.sent(id),
        }
    }

    async fn try_envelopes(&self, id: &str) -> Result<(), MessengerError> {
        // Whoever answers must not be taken for a stranger.
        if let Err(error) = self.tell_known_if_due().await
            && error.holds_up_all()
        {
            return Err(error);
        }
        let now_ms = self.now_ms();
        self.store.release_ended_claims()?;
        let before = self.store.write(|tx| {
            tx.hasten(now_ms)?;
            tx.envelopes_before(id, now_ms)
        })?;
        self.deliver_all(before).await?;
        self.deliver_all(self.store.read(|tx| tx.envelopes_of(id))?).await?;
        Ok(())
    }

    /// Makes the activity. A note is put into its conversation.
    pub(super) fn put_down(
        &self,
        tx: &Transaction<'_>,
        outgoing: &OutgoingActivity,
    ) -> Result<Activity, MessengerError> {
        self.put_down_at(tx, self.now_ms(), outgoing)
    }

    /// Makes the activity as one of this time, in epoch milliseconds.
    pub(super) fn put_down_at(
        &self,
        tx: &Transaction<'_>,
        published_ms: i64,
        outgoing: &OutgoingActivity,
    ) -> Result<Activity, MessengerError> {
        self.put_down_as(tx, ActivityId::generate(&self.environment), published_ms, outgoing)
    }

    /// Makes the activity with this id and time, in epoch milliseconds. A note is put into its conversation.
    pub(super) fn put_down_as(
        &self,
        tx: &Transaction<'_>,
        id: ActivityId,
        published_ms: i64,
        outgoing: &OutgoingActivity,
    ) -> Result<Activity, MessengerError> {
        let mut activity = Activity {
            id,
            actor: self.device.actor(),
            to: outgoing.conversation.clone(),
            published_ms,
            sequence: None,
            void: Vec::new(),
            device_set: None,
            device_sets_hash: None,
            device_sets: BTreeMap::new(),
            group: outgoing.group.clone(),
            content: outgoing.content.clone(),
        };
        let ActivityContent::Note(note) = &outgoing.content else {
            self.attach_heads(tx, &mut activity, &outgoing.conversation)?;
            return Ok(activity);
        };
        activity.sequence = Some(tx.next_sequence(&outgoing.conversation)?);
        self.attach_heads(tx, &mut activity, &outgoing.conversation)?;
        let message = MessageContent {
            id: activity.id.to_string(),
            actor: activity.actor.clone(),
            device: self.device.address(),
            conversation: outgoing.conversation.clone(),
            outgoing: true,
            sequence: activity.sequence,
            published_ms: activity.published_ms,
            received_ms: activity.published_ms,
            text: note.text.clone(),
            attachments: note.attachments.clone(),
            warning: None,
        };
        tx.store_own(&message, activity.published_ms)?;
        Ok(activity)
    }

    /// Puts an activity into an envelope for each recipient, and into one for the other devices of
    /// this user. What clients tell each other by themselves is silent. A note to somebody else has a key
    /// of its own, so that its recipient can report it.
    pub(super) fn enclose(
        &self,
        tx: &Transaction<'_>,
        activity: &Activity,
        to: &[Person],
        sync: bool,
    ) -> Result<(), MessengerError> {
        let (plaintext, now_ms) = (activity.to_plaintext()?, self.now_ms());
        let own = sync.then(|| self.me());
        let silent = matches!(
            activity.content,
            ActivityContent::Receipt(_)
                | ActivityContent::Read(_)
                | ActivityContent::Typing
                | ActivityContent::TypingEnded
                | ActivityContent::Join(_)
                | ActivityContent::Announce(_)
                | ActivityContent::Block(_)
                | ActivityContent::Unblock(_)
                | ActivityContent::Decisions(_)
                | ActivityContent::Leave(_)
                | ActivityContent::Move(_)
                | ActivityContent::StateKeys(_)
        );
        let is_note = matches!(activity.content, ActivityContent::Note(_));
        let is_typing = matches!(activity.content, ActivityContent::Typing | ActivityContent::TypingEnded);
        let expires_ms = is_typing.then(|| now_ms.saturating_add(TYPING_LIVES_MS));
        for recipient in to.iter().chain(own.as_ref()) {
            let with_key = match (is_note, recipient == &self.me()) {
                (true, false) => Some(with_key(&plaintext, &FrankingKey::from(self.environment.bytes()))?),
                _ => None,
            };
            let id = self.device.envelope_id();
            let new = NewEnvelope {
                id: &id,
                message: activity.id.as_str(),
                recipient: &recipient.actor(),
                plaintext: with_key.as_ref().unwrap_or(&plaintext),
                silent,
                expires_ms,
            };
            tx.add_envelope(&new, now_ms)?;
            if matches!(&activity.content, ActivityContent::Receipt(receipt) if !receipt.unreadable.is_empty())
            {
                tx.mark_request(&id)?;
            }
        }
        Ok(())
    }
}
