//! End-to-end receipts: what this device tells the authors of messages, and what it is told of its
//! own.
//!
//! The servers say that they have an envelope, and never that anybody has read one. Only a receipt
//! says that: an activity that the recipient's device encrypts. What is owed to an author is stored
//! with the message, and becomes an envelope like any other in one transaction, so that a crash
//! loses none.
//!
//! A server counts receipts as it counts messages. So those of a moment are gathered, what was read
//! needs no other receipt, and nothing is put while the budget of a minute is nearly spent.

use futures_util::future::join_all;

use super::heads::in_doubt;
use super::incoming::{ActivitySource, REMEMBERED_MS};
use super::receive::HOLD_MS;
use super::resending::RESENT_FOR_DAYS;
use super::send::OutgoingActivity;
use super::{Messenger, MessengerError, Notice, Person};
use crate::content::{ActivityContent, Receipt};
use crate::shares::{Party, Shares};
use crate::store::{DeviceStoreError, NOT_READ, Transaction};
use crate::{SignalSessions, Transport};

/// The number of chains that are read in one look to send receipts.
pub const READ_FOR_RECEIPTS: usize = 8;
/// The number of envelopes to one person in a minute from which on receipts wait and `Typing` is
/// dropped: the rest of a server's budget is for messages.
pub const SIDE_ENVELOPES: usize = 40;
/// The time of a server's budget.
const MINUTE_MS: i64 = 60_000;
/// The reason of an envelope that its recipient misses.
pub(super) const MISSED: &str = "they have not received it: a server has lost it, or holds it back";

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Sends what this device owes to authors: the receipts, and what the user has read. A
    /// [`LiveFeed`](super::LiveFeed) and [`Messenger::receive`] do that by themselves.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn send_receipts(&self) -> Result<(), MessengerError> {
        self.put_receipts().await?;
        self.flush().await?;
        Ok(())
    }

    /// True if somebody is owed a receipt.
    pub(super) fn owes_receipts(&self) -> Result<bool, DeviceStoreError> {
        Ok(!self.store.read(|tx| tx.owed(self.now_ms()))?.is_empty() || self.owes_confirmations()?)
    }

    /// Returns the number of receipts and the like that may be sent to a person now, so that there is
    /// room for messages.
    pub(super) fn side_room(&self, tx: &Transaction<'_>, actor: &str) -> Result<usize, DeviceStoreError> {
        let made = tx.made_within(actor, self.now_ms(), MINUTE_MS)?;
        Ok(SIDE_ENVELOPES.saturating_sub(made))
    }

    /// Puts what this device owes to authors into receipts, which are then due like any envelope:
    /// one for each author, and further ones if there is too much for one. An author to whom nothing
    /// may be sent is owed it until that changes. No more than
    /// eight chains are read for that, at the same time, and each once in ten minutes; the other
    /// authors are left for a later look.
    ///
    /// # Errors
    /// [`MessengerError::Store`] if the store cannot be used.
    pub(super) async fn put_receipts(&self) -> Result<(), MessengerError> {
        let (me, now_ms) = (self.me(), self.now_ms());
        self.store.write(|tx| {
            tx.forget_contents(self.kept_since_ms(RESENT_FOR_DAYS * 24 * 3_600_000), now_ms)?;
            tx.forget_silent(self.kept_since_ms(REMEMBERED_MS))?;
            if tx.has_unkept()? {
                tx.place(now_ms, HOLD_MS)?;
                self.ask_for_unkept(tx)?;
            }
            // A message that was shown before its author was blocked may be read after it.
            tx.forget_owed_to_blocked(&tx.blocks()?)
        })?;
        let (mut authors, mut read) = (Vec::new(), Shares::new(READ_FOR_RECEIPTS));
        for actor in self.store.read(|tx| tx.owed(now_ms))? {
            // The own devices are told what cannot be read, and nothing else.
            let is_told = actor != me.actor() || self.store.read(|tx| tx.owes_unreadable(&actor, now_ms))?;
            let Some(author) = Person::of(&actor).filter(|_| is_told) else { continue };
            let kept = self.store.read(|tx| self.kept_contact(tx, &actor))?;
            if kept.is_some_and(|kept| !self.is_to_be_read(&kept)) {
                authors.push(author);
            } else if !self.has_looked(&in_doubt(&actor)) {
                read.put((), Party::of(&actor), author, &self.environment);
            }
        }
        authors.extend(read.into_things().filter(|author| self.may_look_in_doubt(&author.actor())));
        let trusted = authors.iter().map(async |author| (author, self.trusted(author).await));
        for (author, trusted) in join_all(trusted).await {
            match trusted {
                Ok(_) => self.put_receipts_of(author)?,
                Err(MessengerError::Store(error)) => return Err(error.into()),
                Err(_) => {}
            }
        }
        self.confirm_moves()
    }

    /// Puts what an author is owed into envelopes, as many as there is room for.
    fn put_receipts_of(&self, author: &Person) -> Result<(), MessengerError> {
        let (actor, to) = (author.actor(), std::slice::from_ref(author));
        self.store.write(|tx| {
            let room = self.side_room(tx, &actor)?;
            if room == 0 {
                return Ok(());
            }
            let read = self.take_read(tx, &actor)?;
            let mut due = Vec::new();
            while due.len() < room
                && let Some(receipt) = self.next_receipt(tx, &actor)?
            {
                let content = ActivityContent::Receipt(receipt);
                due.push(OutgoingActivity { conversation: actor.clone(), group: None, content });
            }
            for outgoing in due.iter().chain(&read) {
                let activity = self.put_down(tx, outgoing)?;
                self.enclose(tx, &activity, to, false)?;
            }
            Ok(())
        })
    }

    /// Takes the next receipt for an author out of what is owed.
    fn next_receipt(&self, tx: &Transaction<'_>, actor: &str) -> Result<Option<Receipt>, DeviceStoreError> {
        let (me, now_ms) = (self.device.actor(), self.now_ms());
        match actor == me {
            true => tx.take_unreadable_receipt(actor, now_ms),
            false => tx.take_receipt(actor, &me, now_ms),
        }
    }

    /// Confirms that a member has a group: they have a message of this user that was written in the
    /// group's current state. A receipt for an older message may be older than their last departure.
    pub(super) fn confirm_by_receipt(
        &self,
        tx: &Transaction<'_>,
        id: &str,
        member: &str,
    ) -> Result<(), DeviceStoreError> {
        let Some(message) = tx.message(&self.device.actor(), id)? else { return Ok(()) };
        let group = message.content.conversation;
        let Some((mut known, control)) = tx.group(&group)?.zip(tx.latest_control(&group)?) else {
            return Ok(());
        };
        let is_current = message.content.published_ms >= control.published_ms();
        let is_member = known.current.members().contains(member);
        if is_current && is_member && known.confirmed.insert(member.to_owned()) {
            tx.keep_group(&known, None)?;
        }
        Ok(())
    }

    /// Applies a receipt to the envelopes of this device that went to its author, and to no others.
    pub(super) fn keep_receipt(
        &self,
        tx: &Transaction<'_>,
        receipt: &Receipt,
        whence: &ActivitySource<'_>,
        notices: &mut Vec<Notice>,
    ) -> Result<(), MessengerError> {
        if whence.standing.is_in_doubt() {
            return Ok(());
        }
        for id in &receipt.received {
            tx.note_received_by(id.as_str(), whence.actor, whence.device)?;
            notices.extend(tx.note_received(id.as_str(), whence.actor)?.map(Notice::Settled));
            self.confirm_by_receipt(tx, id.as_str(), whence.actor)?;
        }
        let (own, actor) = (self.device.address(), whence.actor.to_owned());
        // Whoever this user has nothing to do with has no say in what servers do, and gets no answer, which
        // would show that this device is there.
        let counts = self.counts(tx, whence)?;
        let mut forged = 0;
        let mut lost = Vec::new();
        for unreadable in receipt.unreadable.iter().filter(|unreadable| unreadable.device == own) {
            let sent = tx.envelope(unreadable.envelope.as_str())?;
            let message = match &sent {
                Some(sent) => tx.message(&self.device.actor(), &sent.message)?,
                None => None,
            };
            lost.push((message.map(|message| message.position), sent));
        }
        // They are sent again in the order in which they were written.
        lost.sort_by_key(|(position, _)| *position);
        for (_, sent) in lost {
            match sent {
                Some(sent) if sent.recipient != whence.actor => forged += 1,
                Some(sent) if sent.silent && sent.resent_to.is_none() => {
                    // It may have said what the user has decided.
                    if sent.recipient == self.device.actor() {
                        tx.tell_decisions_again(self.now_ms())?;
                        self.repeat_state_keys(tx, &sent.message)?;
                    }
                    // What it asked for is awaited still.
                    if counts && tx.is_request(&sent.id)? {
                        self.resend(tx, &sent, whence)?;
                    }
                }
                Some(sent) if tx.is_request(&sent.id)? => {}
                // What was sent again is silent, and goes no third time.
                Some(sent) if counts && self.resend(tx, &sent, whence)? => {}
                Some(sent) => {
                    tx.note_missing(&sent.message, whence.actor, NOT_READ)?;
                    notices.push(Notice::NotRead { actor: actor.clone(), id: sent.message });
                }
                None => forged += 1,
            }
        }
        let (mut missed, mut awaited) = (Vec::new(), Vec::new());
        for gap in receipt.missing.iter().filter(|gap| gap.device == own) {
            // A conversation with this user is named by the actor id of the other side. What was not
            // for them has no envelope to them, whatever conversation they name.
            for id in tx.said(&gap.conversation, &own, &gap.sequence)? {
                if tx.is_resent(&id, whence.actor, self.now_ms())? {
                    awaited.push(id);
                } else if tx.note_missing(&id, whence.actor, MISSED)? {
                    missed.push(id);
                }
            }
        }
        // What is sent again may come yet, so the notice of it is held back where it is stored.
        for ids in [missed, awaited].into_iter().filter(|ids| !ids.is_empty()) {
            notices.push(Notice::Missed { actor: actor.clone(), ids });
        }
        if forged > 0 && counts {
            notices.push(Notice::Forged { actor, count: forged });
        }
        Ok(())
    }
}
