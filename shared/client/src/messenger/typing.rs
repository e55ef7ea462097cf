//! `Typing`: contacts are told that this user is writing to them at this moment. It is encrypted as
//! everything else, wakes nobody, and is of no use soon.

use std::sync::PoisonError;

use super::incoming::{ActivitySource, conversation};
use super::send::OutgoingActivity;
use super::{Messenger, MessengerError, Notice, Person};
use crate::content::{Activity, ActivityContent};
use crate::store::{DeviceStoreError, Transaction};
use crate::stored_time::is_over;
use crate::{SignalSessions, Transport};

/// The time for which `Typing` is of use: no server keeps it longer, and no client shows it later.
pub const TYPING_LIVES_MS: i64 = 30_000;
/// The least time between two `Typing` in one conversation.
pub const TYPING_PAUSE_MS: i64 = 10_000;
/// The name under which the store keeps that the user has switched `Typing` off.
pub(super) const HIDES_TYPING: &str = "hides_typing";

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// True if others are told that this user is writing. It is so unless the user has switched it off
    /// on this device.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn tells_typing(&self) -> Result<bool, DeviceStoreError> {
        Ok(!self.store.read(|tx| tx.json::<bool>(HIDES_TYPING))?.unwrap_or(false))
    }

    /// Switches `Typing` of this device on or off.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be written.
    pub fn tell_typing(&self, tells: bool) -> Result<(), DeviceStoreError> {
        self.store.write(|tx| tx.put_json(HIDES_TYPING, &!tells))
    }

    /// Tells those in a conversation who are contacts that this user is writing, unless that was told a
    /// short time ago, or the user has switched it off. `conversation` is an actor id or a group's id. A
    /// program calls it with each key that is pressed. What cannot be sent now is not sent later, and
    /// nothing is sent to whom so much was sent in this minute that messages may need the rest.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn send_typing(&self, conversation: &str) -> Result<(), MessengerError> {
        if !self.tells_typing()? || !self.note_typing(conversation) {
            return Ok(());
        }
        self.say_typing(conversation, ActivityContent::Typing).await
    }

    /// Tells those whom [`Messenger::send_typing`] has told a short time ago that this user writes no more.
    /// A program calls it when what was typed is deleted.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn end_typing(&self, conversation: &str) -> Result<(), MessengerError> {
        if !self.forget_typing(conversation) {
            return Ok(());
        }
        self.say_typing(conversation, ActivityContent::TypingEnded).await
    }

    async fn say_typing(&self, conversation: &str, content: ActivityContent) -> Result<(), MessengerError> {
        let me = self.device.actor();
        let id = self.store.write(|tx| {
            let group = self.current_group(tx, conversation)?;
            let people: Vec<String> = match tx.group(conversation)? {
                Some(known) if known.current.members().contains(&me) => {
                    known.current.members().iter().cloned().collect()
                }
                Some(_) => Vec::new(),
                None => vec![conversation.to_owned()],
            };
            let (mut to, blocks) = (Vec::new(), tx.blocks()?);
            for actor in people.iter().filter(|actor| **actor != me) {
                if tx.is_contact(actor)? && !blocks.cover(actor) && self.side_room(tx, actor)? > 0 {
                    to.extend(Person::of(actor));
                }
            }
            if to.is_empty() {
                return Ok(None);
            }
            let outgoing = OutgoingActivity { conversation: conversation.to_owned(), group, content };
            let activity = self.put_down(tx, &outgoing)?;
            self.enclose(tx, &activity, &to, false)?;
            Ok::<_, MessengerError>(Some(activity.id))
        })?;
        if let Some(id) = id {
            self.send_envelopes(id.as_str()).await?;
        }
        Ok(())
    }

    /// Notes that others are told now. Returns false if they were told a short time ago.
    fn note_typing(&self, conversation: &str) -> bool {
        let now_ms = self.now_ms();
        let mut told = self.told_typing.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|_, at| !is_over(now_ms, *at, TYPING_PAUSE_MS));
        let is_new = !told.contains_key(conversation);
        if is_new {
            told.insert(conversation.to_owned(), now_ms);
        }
        is_new
    }

    /// Notes that others are told that this user writes no more. Returns false if they were not told that
    /// the user does.
    fn forget_typing(&self, conversation: &str) -> bool {
        self.told_typing.lock().unwrap_or_else(PoisonError::into_inner).remove(conversation).is_some()
    }

    /// Tells that a contact is writing, or is no more, if that came in time, and from a conversation that both are in.
    pub(super) fn keep_typing(
        &self,
        tx: &Transaction<'_>,
        activity: &Activity,
        whence: &ActivitySource<'_>,
        notices: &mut Vec<Notice>,
    ) -> Result<(), DeviceStoreError> {
        let me = self.device.actor();
        let is_late = self.now_ms().saturating_sub(whence.received_ms) >= TYPING_LIVES_MS;
        if whence.actor == me || whence.standing.is_in_doubt() || is_late || !tx.is_contact(whence.actor)? {
            return Ok(());
        }
        let conversation = match &activity.group {
            Some(group) => Some(group.id.to_string()),
            None => conversation(activity, &me, &[]),
        };
        let Some(conversation) = conversation else { return Ok(()) };
        if self.takes_part(tx, whence.actor, &conversation)? {
            let actor = whence.actor.to_owned();
            notices.push(match activity.content {
                ActivityContent::TypingEnded => Notice::TypingEnded { actor, conversation },
                _ => Notice::Typing { actor, conversation },
            });
        }
        Ok(())
    }
}
