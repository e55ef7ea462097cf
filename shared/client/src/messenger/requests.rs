//! Message requests: what strangers wrote. It is shown apart, and nobody is told that it arrived,
//! until the user accepts its author as a contact.

use std::collections::{BTreeMap, BTreeSet};

use eko_protocol::id::EnvelopeId;

use super::incoming::{ActivitySource, REMEMBERED_MS};
use super::resending::resend_id;
use super::{Messenger, MessengerError, Notice, Person};
use crate::content::NumberRange;
use crate::shares::{Party, first_of_fullest};
use crate::store::{
    AWAITED_MS, AwaitedTimes, CiphertextKey, DeviceStoreError, MessageContent, MessageStream, RequestOutcome,
    Transaction,
};
use crate::{SignalSessions, Transport};

/// The number of strangers whose chains and sessions are kept though no message of theirs is. The
/// session of a stranger who was never answered ends after 30 days, and that of a declined one is
/// needed for what they write next.
pub const STRANGERS_KNOWN: usize = 1_000;
/// The days for which the session with a revoked device is kept, for what is on its way. Servers keep
/// entries for 30 days.
pub const ENDED_AFTER_DAYS: i64 = 31;

/// The messages of one stranger, until the user accepts or declines them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRequest {
    /// The stranger.
    pub person: Person,
    /// The first messages, oldest first, at most [`crate::store::MOST_OF_STRANGER`]. Their files must
    /// not be fetched before the request is accepted. There is none if this device could read none.
    pub messages: Vec<MessageContent>,
    /// The number of later messages, which were not kept, and of those that this device could not read. Once the request is accepted, their author's
    /// device is asked to send them again. More than [`crate::store::MOST_UNKEPT`] are not counted.
    pub not_kept: u64,
}

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Returns what strangers wrote and the user has neither accepted nor declined.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn requests(&self) -> Result<Vec<MessageRequest>, DeviceStoreError> {
        self.store.read(|tx| {
            let mut requests: BTreeMap<String, MessageRequest> = BTreeMap::new();
            for message in tx.requests()? {
                let Some(person) = Person::of(&message.actor) else { continue };
                let request = requests.entry(message.actor.clone());
                let empty = MessageRequest { person, messages: Vec::new(), not_kept: 0 };
                request.or_insert(empty).messages.push(message);
            }
            for actor in tx.unkept_strangers()? {
                let Some(person) = Person::of(&actor) else { continue };
                let empty = MessageRequest { person, messages: Vec::new(), not_kept: 0 };
                requests.entry(actor).or_insert(empty);
            }
            for (actor, request) in &mut requests {
                request.not_kept = u64::try_from(tx.unkept_of(actor)?).unwrap_or_default();
            }
            Ok(requests.into_values().collect())
        })
    }

    /// Accepts a person as a contact. What they wrote is put into the conversation, and the next look
    /// into the mailbox sends the receipts for it. It asks for what was not kept, too, which has its
    /// places after that until it comes. It tells the other devices of this user, too, unless
    /// [`Messenger::tell_decisions`] has done so.
    ///
    /// # Errors
    /// [`MessengerError::NoSuchPerson`] if this device does not know the person's devices;
    /// [`MessengerError::Store`] if the store cannot be written.
    pub fn accept_contact(&self, person: &Person) -> Result<(), MessengerError> {
        let actor = person.actor();
        self.store.write(|tx| {
            if !tx.is_pinned(&actor)? {
                return Err(MessengerError::NoSuchPerson(person.handle().to_string()));
            }
            self.take_as_contact(tx, &actor)?;
            // The chain came through the own server. The next message reads it from theirs.
            tx.have_chain_read(&actor)?;
            Ok(())
        })
    }

    /// Records that the user takes somebody as a contact. If they were a stranger, what is kept of them is put
    /// into the conversation at once, and the places of what was not kept come after it.
    pub(super) fn take_as_contact(&self, tx: &Transaction<'_>, actor: &str) -> Result<(), DeviceStoreError> {
        match tx.accept(actor)? {
            true => self.place_accepted(tx, actor),
            false => Ok(()),
        }
    }

    /// Puts what is kept of somebody into the conversation who is a contact from now on. The places of what was
    /// not kept come after it, and before everything that is written to them.
    pub(super) fn place_accepted(&self, tx: &Transaction<'_>, actor: &str) -> Result<(), DeviceStoreError> {
        tx.place_at_once(actor, self.now_ms())?;
        self.ask_for_unkept(tx)
    }

    /// Owes the request for sending again to the devices of everybody who is a stranger no more, in whatever
    /// way they have become contacts, for what was not kept of them. Its places come after what was kept. While
    /// something of their conversation waits for its position, it is left for [`Messenger::put_receipts`].
    pub(super) fn ask_for_unkept(&self, tx: &Transaction<'_>) -> Result<(), DeviceStoreError> {
        let (address, now_ms) = (self.device.address(), self.now_ms());
        for unkept in tx.take_unkept()? {
            let envelope = EnvelopeId::parse(&unkept.envelope).ok();
            let Some((author, envelope)) = Person::of(&unkept.actor).zip(envelope) else { continue };
            let key =
                CiphertextKey { actor: &unkept.actor, envelope: &unkept.envelope, device: &unkept.device };
            let resend = resend_id(&author, &envelope, &address);
            // What has no room is missing by its number.
            if tx.owe_unkept(key)?
                && tx.await_unkept(
                    key,
                    &resend.key(),
                    AwaitedTimes {
                        received_ms: unkept.received_ms.unwrap_or(now_ms),
                        stored_ms: now_ms,
                        missing_ms: self.kept_since_ms(AWAITED_MS),
                    },
                )?
            {
                tx.note_asked(key)?;
            }
        }
        Ok(())
    }

    /// Looks whether somebody is there to write to, for a conversation that begins. Reads their chain if it is
    /// not known or no longer fresh. Nothing is accepted by it: a stranger stays one until something is written
    /// to them, for which [`Messenger::check_addressee`] is asked.
    ///
    /// # Errors
    /// [`MessengerError::NoSuchPerson`] or [`MessengerError::Distrust`], and that of the call.
    pub async fn look_for(&self, person: &Person) -> Result<(), MessengerError> {
        self.trusted(person).await.map(drop)
    }

    /// Declines what a stranger wrote: deletes it, on the other devices of this user too, as soon as they are
    /// told ([`Messenger::tell_decisions`]). The stranger is told nothing, and may write again, so the session
    /// stays.
    ///
    /// # Errors
    /// [`MessengerError::Store`] if the store cannot be written.
    pub fn decline(&self, person: &Person) -> Result<(), MessengerError> {
        Ok(self.store.write(|tx| tx.decline(&person.actor(), self.now_ms()))?)
    }

    /// Stores a stranger's message as a request. `void` are the numbers before its own under which its device
    /// sends nothing. They are kept with it, so that nothing is missing once its author is accepted.
    pub(super) fn keep_request(
        &self,
        tx: &Transaction<'_>,
        message: &MessageContent,
        void: &[NumberRange],
        whence: &ActivitySource<'_>,
        notices: &mut Vec<Notice>,
    ) -> Result<(), DeviceStoreError> {
        let key = CiphertextKey {
            actor: whence.actor,
            envelope: whence.envelope.unwrap_or_default(),
            device: whence.device,
        };
        // The user has declined it on another device, which was faster.
        if tx
            .decision(whence.actor)?
            .declined_ms
            .is_some_and(|declined_ms| message.received_ms <= declined_ms)
        {
            return tx.note_declined(key, message.received_ms);
        }
        let outcome = tx.store_request(message, key, self.now_ms())?;
        if outcome != RequestOutcome::Ignored {
            let MessageContent { conversation, device, actor, .. } = message;
            tx.note_void(MessageStream { conversation, device, actor }, void)?;
        }
        if outcome == RequestOutcome::First {
            notices.push(Notice::Request { actor: whence.actor.to_owned() });
        }
        Ok(())
    }

    /// Remembers a stranger's message that cannot be read as one that was not kept: nobody is told before the
    /// user accepts its author, and then it is asked for.
    pub(super) fn note_unread_request(
        &self,
        tx: &Transaction<'_>,
        key: CiphertextKey<'_>,
        received_ms: i64,
    ) -> Result<(), DeviceStoreError> {
        let declined_ms = tx.decision(key.actor)?.declined_ms;
        match declined_ms.is_some_and(|declined_ms| received_ms <= declined_ms) {
            true => tx.note_declined(key, received_ms),
            false => tx.note_unkept(key, Some(received_ms)),
        }
    }

    /// Forgets the sessions that nothing can need any more: those with devices that were revoked long
    /// ago. Beyond [`STRANGERS_KNOWN`] it also forgets the chains and sessions of strangers of whom no
    /// message is kept.
    pub(super) fn forget_sessions(&self) -> Result<(), DeviceStoreError> {
        self.store.write(|tx| {
            if !self.has_wrong_clock() {
                let before_ms = self.kept_since_ms(ENDED_AFTER_DAYS * 24 * 3_600_000);
                tx.forget_ended_sessions(self.now_ms(), before_ms)?;
            }
            tx.forget_declines(self.kept_since_ms(REMEMBERED_MS))?;
            let mut strangers = tx.strangers_without_requests()?;
            if strangers.len() <= STRANGERS_KNOWN {
                return Ok(());
            }
            let members = self.fellow_members(tx)?;
            strangers.retain(|actor| *actor != self.device.actor() && !members.contains(actor));
            for actor in surplus(strangers, STRANGERS_KNOWN) {
                tx.forget_sessions(&actor)?;
                tx.unpin(&actor)?;
            }
            Ok(())
        })
    }

    /// True if the chain of somebody is pinned who is a stranger.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn knows_as_stranger(&self, actor: &str) -> Result<bool, DeviceStoreError> {
        self.store.read(|tx| Ok(tx.is_pinned(actor)? && self.is_stranger(tx, actor)?))
    }

    /// True if somebody is neither this user, nor a contact, nor a member of a group that this user
    /// is in.
    pub(super) fn is_stranger(&self, tx: &Transaction<'_>, actor: &str) -> Result<bool, DeviceStoreError> {
        Ok(!self.is_own_or_contact(tx, actor)? && !self.fellow_members(tx)?.contains(actor))
    }

    /// True if somebody is this user or a contact.
    pub(super) fn is_own_or_contact(
        &self,
        tx: &Transaction<'_>,
        actor: &str,
    ) -> Result<bool, DeviceStoreError> {
        Ok(actor == self.device.actor() || tx.is_contact(actor)?)
    }

    /// Returns everybody who is in a group that this user is in. Reads all groups.
    pub(super) fn fellow_members(&self, tx: &Transaction<'_>) -> Result<BTreeSet<String>, DeviceStoreError> {
        let me = self.device.actor();
        let mut groups = tx.groups()?;
        groups.retain(|known| known.current.members().contains(&me));
        Ok(groups.iter().flat_map(|known| known.current.members()).cloned().collect())
    }
}

/// Returns the actors beyond `most`, given the one first whose last message is the oldest. Each is the
/// first one of the domain and the server with the most, so that nobody pushes out the users of another.
fn surplus(actors: Vec<String>, most: usize) -> Vec<String> {
    let mut known: Vec<(Party, String)> =
        actors.into_iter().map(|actor| (Party::of(&actor), actor)).collect();
    let mut surplus = Vec::new();
    while known.len() > most
        && let Some(at) = first_of_fullest(known.iter().map(|(party, _)| (party, 1)))
    {
        surplus.push(known.remove(at).1);
    }
    surplus
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_one_domain_pushes_out_only_its_own() {
        let user = |server: &str, n: usize| format!("https://{server}.example/user/user_{n}");
        let quiet = [user("quiet", 0), user("quiet", 1)];
        let flood: Vec<_> = (0..5).map(|n| user("flood", n)).collect();
        let all = [&quiet[..], &flood[..]].concat();
        assert_eq!(surplus(all.clone(), 4), flood[..3]);
        assert_eq!(surplus(all.clone(), 7), [""; 0]);
        assert_eq!(surplus(all.clone(), 0).len(), all.len());
    }
}
