//! Messages that could not be decrypted: their devices are asked to send them again, and do so once.
//!
//! The request is what a receipt calls `eko:unreadable`. The answer is an envelope with an id that follows
//! from the first one and the device that asks, so that both sides know it, and nobody can have it made
//! twice. What a user sends anew, to all devices, has an id that follows from the first one alone.

use eko_protocol::id::EnvelopeId;
use eko_protocol::letter::FetchedLetter;

use super::incoming::{ActivitySource, key};
use super::standing::Standing;
use super::{Messenger, MessengerError, Notice, Person, UnreadableReason};
use crate::content::{Activity, ActivityContent};
use crate::store::{
    AWAITED_MS, AwaitedMessage, AwaitedTimes, CiphertextKey, DeviceStoreError, OutboxEnvelope, Transaction,
};
use crate::{SessionError, SignalSessions, Transport};

/// The days for which a device keeps what it has sent, to send it again. An entry lives 30 days in the
/// recipient's mailbox, and a server tries for two days to reach another one.
pub const RESENT_FOR_DAYS: i64 = 32;
/// The prefix of the bytes under the hash that makes the id of an envelope that is sent again.
const DOMAIN: &[u8] = b"eko-resend-v1\0";
/// The prefix of the bytes under the hash that makes the id of an envelope that is sent anew.
const ANEW: &[u8] = b"eko-anew-v1\0";
/// The number of times that an activity is sent anew of which a reader knows that they belong together.
const MOST_ANEW: usize = 8;

/// Returns the id of the envelope in which an author sends `envelope` again to a device.
pub(super) fn resend_id(author: &Person, envelope: &EnvelopeId, device: &str) -> EnvelopeId {
    following_id(author, &[DOMAIN, envelope.key().as_bytes(), b"\0", device.as_bytes()])
}

/// Returns the id of the envelope in which an author sends anew what was in `envelope`.
pub(super) fn anew_id(author: &Person, envelope: &EnvelopeId) -> EnvelopeId {
    following_id(author, &[ANEW, envelope.key().as_bytes()])
}

/// Returns the ids of the envelopes in which an author may send anew what was in `envelope`.
fn later_ids(author: &Person, envelope: &EnvelopeId) -> impl Iterator<Item = EnvelopeId> {
    std::iter::successors(Some(anew_id(author, envelope)), |id| Some(anew_id(author, id))).take(MOST_ANEW)
}

fn following_id(author: &Person, bytes: &[&[u8]]) -> EnvelopeId {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes.concat());
    let first = hash.as_ref().first_chunk::<16>().copied().unwrap_or_default();
    EnvelopeId::from_hash(&author.origin, first)
}

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Returns the messages that could not be decrypted and that were not sent again yet, in order. Their
    /// positions are among those of [`Messenger::history`]. `conversation` is an actor id or a group's
    /// id; `None` selects all. To whom an undecryptable message was written is not known, so it is in
    /// the conversation with its author.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn awaited(&self, conversation: Option<&str>) -> Result<Vec<AwaitedMessage>, DeviceStoreError> {
        self.store.read(|tx| tx.awaited(conversation))
    }

    /// Remembers a message that cannot be decrypted, so that it is recognised if it comes again. The
    /// session may be the cause, so the next message to its sender begins a new one, if the last one
    /// is not too young. If its author is somebody whom this user knows, or this user, their device is owed
    /// a report of it, and what would have woken this device is awaited. Returns the notice of that, or
    /// `None` if the sender has sent it anew, and that has come.
    pub(super) fn give_up(
        &self,
        message: &FetchedLetter,
        whence: &ActivitySource<'_>,
        error: SessionError,
    ) -> Result<Option<Notice>, DeviceStoreError> {
        let (key, now_ms) = (key(message), self.now_ms());
        let is_awaited = self.store.write(|tx| {
            self.note_given_up(tx, key)?;
            if matches!(error, SessionError::MissingKey(_)) {
                self.doubt_keys(tx)?;
            }
            let author = Person::of(key.actor);
            if let Some(author) = &author {
                for later in later_ids(author, &message.letter.header.id) {
                    if tx.was_read(CiphertextKey { envelope: later.as_str(), ..key })? {
                        return Ok(None);
                    }
                }
            }
            let is_known = match whence.standing {
                Standing::Accepted | Standing::Own => true,
                Standing::Stranger => !self.is_stranger(tx, key.actor)?,
                Standing::Reset | Standing::Former | Standing::Revoked => false,
            };
            if !is_known {
                if whence.standing == Standing::Stranger && message.letter.header.notify {
                    self.note_unread_request(tx, key, whence.received_ms)?;
                }
                return Ok(Some(false));
            }
            if matches!(error, SessionError::NoSession(_)) {
                // The request begins a session, so that this is no reason a second time.
                tx.ask_at_once(key.device)?;
            }
            if !tx.owe_unreadable(key)? {
                return Ok(Some(false));
            }
            let header = &message.letter.header;
            let Some(author) = author.filter(|_| header.notify) else { return Ok(Some(false)) };
            // What was sent again is not asked for again.
            if tx.is_resend(key.device, &header.id.key())? {
                return Ok(Some(false));
            }
            let resend = resend_id(&author, &header.id, &self.device.address());
            match self.awaited_before(tx, key.device, &header.id)? {
                Some(former) => tx.await_instead(key, &former, &resend.key()),
                None => tx.await_message(
                    key,
                    &resend.key(),
                    AwaitedTimes {
                        received_ms: whence.received_ms,
                        stored_ms: now_ms,
                        missing_ms: self.kept_since_ms(AWAITED_MS),
                    },
                ),
            }
            .map(Some)
        })?;
        let actor = whence.actor.to_owned();
        // A copy from another device of this user wakes nobody either, and is a message.
        let is_message = message.letter.header.notify || actor == self.device.actor();
        Ok(is_awaited.map(|is_awaited| match (is_awaited, is_message) {
            (true, _) => Notice::Awaited { actor },
            (false, true) => Notice::Unreadable { actor, why: UnreadableReason::Undecryptable(error) },
            (false, false) => {
                Notice::Unreadable { actor, why: UnreadableReason::UndecryptableReceipt(error) }
            }
        }))
    }

    /// Takes the place of the message that a device sends again or anew in this envelope, if it is awaited.
    pub(super) fn take_place(
        &self,
        tx: &Transaction<'_>,
        device: &str,
        envelope: &EnvelopeId,
    ) -> Result<Option<AwaitedMessage>, DeviceStoreError> {
        if let Some(place) = tx.take_awaited(device, &envelope.key())? {
            return Ok(Some(place));
        }
        let former = self.awaited_before(tx, device, envelope)?;
        former.map_or(Ok(None), |former| tx.take_awaited(device, &former))
    }

    /// Returns the id under which a device is to send an awaited message again that it sends anew in
    /// this envelope.
    fn awaited_before(
        &self,
        tx: &Transaction<'_>,
        device: &str,
        envelope: &EnvelopeId,
    ) -> Result<Option<String>, DeviceStoreError> {
        for (actor, first, resend) in tx.awaited_of(device)? {
            let first = EnvelopeId::parse(&first).map_err(|_| DeviceStoreError::Corrupt("envelope"))?;
            let author = Person::of(&actor).ok_or(DeviceStoreError::Corrupt("author"))?;
            if later_ids(&author, &first).any(|later| later == *envelope) {
                return Ok(Some(resend));
            }
        }
        Ok(None)
    }

    /// Sends an activity anew that was in this envelope: what came of that one is shown once, and this one
    /// takes its place if it cannot be read. A note has a key then, if there is room.
    pub(super) fn send_anew(
        &self,
        tx: &Transaction<'_>,
        envelope: &EnvelopeId,
        plaintext: &[u8],
    ) -> Result<(), DeviceStoreError> {
        let recipient = tx.envelope(envelope.as_str())?.map(|former| former.recipient).unwrap_or_default();
        let keyed = self.with_new_key(&recipient, plaintext);
        let plaintext = keyed.as_deref().unwrap_or(plaintext);
        tx.send_anew(envelope, &anew_id(&self.me(), envelope), plaintext, self.now_ms())
    }

    /// Remembers a ciphertext that cannot be read, and has the next message to its sender begin a session.
    pub(super) fn note_given_up(
        &self,
        tx: &Transaction<'_>,
        key: CiphertextKey<'_>,
    ) -> Result<(), DeviceStoreError> {
        self.note_taken(tx, key)?;
        tx.renew_session(key.device)
    }

    /// Puts a message that was sent again into the place in which it was awaited. If it is held, the place
    /// is kept for it. Whatever else came in its envelope is awaited no more.
    pub(super) fn fill_place(
        &self,
        tx: &Transaction<'_>,
        place: &AwaitedMessage,
        activity: &Activity,
    ) -> Result<(), MessengerError> {
        let is_note = matches!(activity.content, ActivityContent::Note(_));
        if is_note && !tx.put_into_place(place, activity.id.as_str())? {
            tx.hold_place(place, &activity.to_plaintext()?)?;
        }
        Ok(())
    }

    /// Sends an envelope again to the device that asks for it, and to no other one. It does so once, and
    /// only if the envelope was encrypted for that device before, and what it says is kept. Returns false
    /// if it does not. Before it is sent, the device must be in its user's chain still.
    pub(super) fn resend(
        &self,
        tx: &Transaction<'_>,
        sent: &OutboxEnvelope,
        whence: &ActivitySource<'_>,
    ) -> Result<bool, DeviceStoreError> {
        let id = resend_id(&self.me(), &sent.id, whence.device);
        tx.add_resend(&sent.id, &id, whence.device, self.now_ms())
    }
}

#[cfg(test)]
mod tests {
    use eko_protocol::address::{Origin, UserName};
    use eko_protocol::id::EnvelopeId;

    use super::super::Person;
    use super::{anew_id, later_ids, resend_id};

    #[test]
    fn the_id_follows_from_the_envelope_and_the_device() {
        let origin = Origin::parse("https://eko.example").unwrap();
        let alice = Person { origin, user: UserName::parse("alice").unwrap() };
        let id = "https://eko.example/message/5cd5914c-7b80-4682-b1e9-9059f52bd971";
        let envelope = EnvelopeId::parse(id).unwrap();
        let device = "https://b.example/user/bob/device/b0b00001-5c1b-4e9a-9d2f-6b7c1a2e3d40";
        let resend = resend_id(&alice, &envelope, device);
        assert_eq!(resend.as_str(), "https://eko.example/message/de65f402-c7ab-877a-b74a-e0cd4b47839a");
        assert_ne!(resend, resend_id(&alice, &envelope, &device.replace("0001", "0002")));
        assert_ne!(resend, resend_id(&alice, &resend, device));
        let anew = anew_id(&alice, &envelope);
        assert_eq!(anew.as_str(), "https://eko.example/message/9b241643-d337-83f4-b89b-8f3ff3966aba");
        assert_eq!(later_ids(&alice, &envelope).nth(1), Some(anew_id(&alice, &anew)));
    }
}
