//! The mailbox: entries are read and kept, and only then acknowledged.

use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};

use eko_protocol::json;
use eko_protocol::limits::MAX_DELIVERED;
use futures_util::future::join_all;

use super::incoming::EntryDisposition;
use super::unknown::LaterEntries;
use super::{Messenger, MessengerError, Notice, UnreadableReason};
use crate::device::{EntryContent, MailboxEntry, PoolCount};
use crate::store::{DeviceStoreError, StoredMessage};
use crate::stored_time::lasts;
use crate::{ClientError, SignalSessions, Transport};

/// The time for which a message waits for one that its sender numbered before it.
pub const HOLD_MS: i64 = 5_000;
/// The time for which an entry is left alone that cannot be read now. The sender's server is asked
/// no more often than that.
const LEFT_MS: i64 = 60_000;

/// The addresses of entries that were taken and are to be acknowledged.
#[derive(Default)]
pub(super) struct TakenEntries {
    /// Those of which their authors' servers hear.
    pub(super) confirmed: Vec<String>,
    /// Those of which nobody hears.
    pub(super) dropped: Vec<String>,
}

/// The yield of one look into the mailbox.
#[derive(Debug, Default)]
pub struct ReceivedBatch {
    /// The messages that have their positions and were not shown yet, in order.
    pub messages: Vec<StoredMessage>,
    /// Everything else that happened.
    pub notices: Vec<Notice>,
    /// The time at which to call [`Messenger::place`], in epoch milliseconds: a message waits until
    /// then for one before it.
    pub look_again_ms: Option<i64>,
    /// The addresses of the entries that need not come again: they were acknowledged, or are to be.
    pub(super) settled: Vec<String>,
    /// True if messages had their positions before what follows from the look was done. Another program
    /// may have shown them meanwhile.
    has_messages: bool,
}

/// The time at which the receipts of a look are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReceiptTime {
    /// They are sent with the look.
    Now,
    /// Whoever looks sends them later, with those of further looks.
    Later,
}

impl ReceivedBatch {
    /// True if nothing came.
    pub fn is_quiet(&self) -> bool {
        !self.has_messages && self.messages.is_empty() && self.notices.is_empty()
    }
}

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Reads everything in the mailbox, keeps it, and acknowledges it. Messages of senders whose
    /// devices this device does not know come last: eight of their chains are read at a time, and those
    /// that cannot be read once in ten minutes. Then it does what follows: it leaves groups again whose state lists this user after a departure, renews master keys of
    /// groups, sends what is due, sends receipts to the authors of messages, and tops up this device's
    /// keys if the server runs low.
    ///
    /// A message that waits for one before it is in a later batch.
    ///
    /// # Errors
    /// Those of every call. If there are messages or notices all the same, they are returned
    /// instead, and the error comes with the next look, unless it is [`MessengerError::Revoked`].
    pub async fn receive(&self) -> Result<ReceivedBatch, MessengerError> {
        Box::pin(self.look(ReceiptTime::Now)).await
    }

    /// True if nothing is left in the mailbox, so that an earlier [`Messenger::receive`] has read it to the end.
    /// One call.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn is_mailbox_empty(&self) -> Result<bool, MessengerError> {
        let page = Box::pin(self.signed_in(async || self.device.fetch().await)).await?;
        Ok(page.entries.is_empty() && page.next.is_none())
    }

    /// Does what [`Messenger::receive`] does, and sends receipts now or leaves them for later.
    pub(super) async fn look(&self, receipts: ReceiptTime) -> Result<ReceivedBatch, MessengerError> {
        let mut received = ReceivedBatch::default();
        let walked = self.walk(&mut received, receipts).await;
        self.complete(received, walked).await
    }

    /// Takes entries of the mailbox that a socket has brought, as [`Messenger::receive`] takes those of
    /// a page, and does what follows. Those of which their authors' servers hear are passed to
    /// `acknowledge` as soon as they are kept.
    ///
    /// # Errors
    /// Those of [`Messenger::receive`].
    pub(super) async fn take_entries(
        &self,
        entries: Vec<MailboxEntry>,
        keys_left: Option<PoolCount>,
        acknowledge: impl AsyncFnOnce(Vec<String>),
    ) -> Result<ReceivedBatch, MessengerError> {
        let mut received = ReceivedBatch::default();
        let walked = self.walk_entries(entries, keys_left, &mut received, acknowledge).await;
        self.complete(received, walked).await
    }

    /// Adds what the entries have led to: messages that have their positions, and notices.
    async fn complete(
        &self,
        mut received: ReceivedBatch,
        walked: Result<(), MessengerError>,
    ) -> Result<ReceivedBatch, MessengerError> {
        self.place(&mut received)?;
        self.keep_waiting_only(&mut received.notices).await;
        self.drop_outdated_notices(&mut received.notices)?;
        let kept = self.kept_notices(&received.notices)?;
        received.notices.extend(kept);
        received.notices.extend(self.device_changes()?);
        match walked {
            // There is no next look of a device that has ended.
            Err(error) if error.is_end() => Err(error),
            Err(error) if received.is_quiet() => Err(error),
            _ => Ok(received),
        }
    }

    /// Drops the notices of devices that wait no longer, because the user has approved them or turned
    /// them away meanwhile. Completes the others from the list of pending devices, which has their
    /// names. Without an answer all notices stay, because their entries do not come again.
    ///
    /// One call if there are such notices.
    async fn keep_waiting_only(&self, notices: &mut Vec<Notice>) {
        if !notices.iter().any(|notice| matches!(notice, Notice::DeviceWaits(_))) {
            return;
        }
        let Ok(pending) = self.signed_in(async || self.device.pending_devices().await).await else { return };
        notices.retain_mut(|notice| match notice {
            Notice::DeviceWaits(told) => match pending.iter().find(|it| it.device == told.device) {
                Some(listed) => {
                    *told = listed.clone();
                    true
                }
                None => false,
            },
            _ => true,
        });
    }

    /// Reads the mailbox, and once more if a sender whose chain was read meanwhile has sent more than is put aside
    /// at once: it must not stand after what others wrote later.
    async fn walk(&self, received: &mut ReceivedBatch, receipts: ReceiptTime) -> Result<(), MessengerError> {
        if Box::pin(self.walk_once(LaterEntries::default(), received, receipts)).await? {
            Box::pin(self.walk_once(LaterEntries::of_rest(), received, receipts)).await?;
        }
        Ok(())
    }

    /// Reads the mailbox, and puts aside what needs a chain. Returns true if more has come of a sender than was put
    /// aside.
    async fn walk_once(
        &self,
        mut later: LaterEntries,
        received: &mut ReceivedBatch,
        receipts: ReceiptTime,
    ) -> Result<bool, MessengerError> {
        self.require_left()?;
        self.retry_after_chains(&mut received.notices)?;
        let mut page = self.signed_in(async || self.device.fetch().await).await?;
        self.note_reached()?;
        let keys_left = loop {
            let taken = self.take_page(page.entries, received, &mut later).await?;
            self.settle_entries(taken, received).await?;
            let Some(next) = page.next else { break page.keys_left };
            page = self.signed_in(async || self.device.fetch_after(&next).await).await?;
        };
        self.place_first(&later, received)?;
        let has_more = later.has_more();
        Box::pin(self.follow_up(later, received, Some(keys_left), receipts)).await?;
        Ok(has_more)
    }

    async fn walk_entries(
        &self,
        entries: Vec<MailboxEntry>,
        keys_left: Option<PoolCount>,
        received: &mut ReceivedBatch,
        acknowledge: impl AsyncFnOnce(Vec<String>),
    ) -> Result<(), MessengerError> {
        self.require_left()?;
        self.retry_after_chains(&mut received.notices)?;
        if keys_left.is_some() {
            // The server has answered a `Fetch`.
            self.note_reached()?;
        }
        let mut later = LaterEntries::default();
        let mut taken = self.take_page(entries, received, &mut later).await?;
        let confirmed = std::mem::take(&mut taken.confirmed);
        received.settled.extend(confirmed.iter().cloned());
        if !confirmed.is_empty() {
            acknowledge(confirmed).await;
        }
        self.settle_entries(taken, received).await?;
        self.place_first(&later, received)?;
        let has_more = later.has_more();
        Box::pin(self.follow_up(later, received, keys_left, ReceiptTime::Later)).await?;
        if has_more {
            Box::pin(self.walk_once(LaterEntries::of_rest(), received, ReceiptTime::Later)).await?;
        }
        Ok(())
    }

    /// Does what follows a look: it takes the entries that were put aside, and does what is due. The
    /// messages have their positions before that: a program that follows the store shows them, though
    /// what follows may wait long for some server.
    async fn follow_up(
        &self,
        later: LaterEntries,
        received: &mut ReceivedBatch,
        keys_left: Option<PoolCount>,
        receipts: ReceiptTime,
    ) -> Result<(), MessengerError> {
        // Each step is boxed: as parts of one future they would not fit into the stack of a thread. What
        // the server cannot be told now it is told by a later look.
        for settled in [Box::pin(self.settle_blocks()).await, Box::pin(self.settle_known()).await] {
            if let Err(error) = settled
                && error.holds_up_all()
            {
                return Err(error);
            }
        }
        // What the user has written waits for no chain that is read for something else.
        Box::pin(self.say_carried()).await?;
        self.store.write(|tx| self.put_decisions(tx))?;
        Box::pin(self.flush()).await?;
        let behind_moves = Box::pin(self.take_later(later, received)).await?;
        Box::pin(self.follow_announced()).await?;
        Box::pin(self.settle_moves()).await?;
        // The own server must not take the new accounts for strangers.
        if let Err(error) = Box::pin(self.tell_known_if_due()).await
            && error.holds_up_all()
        {
            return Err(error);
        }
        Box::pin(self.take_behind_moves(behind_moves, received)).await?;
        Box::pin(self.read_unknown_authors(&mut received.notices)).await?;
        // A group that cannot be changed or whose key cannot be renewed now is tried again at the next
        // look. It holds up nothing else. Leaving is first, because whoever leaves makes no key.
        let made = Box::pin(self.make_changes_again(&mut received.notices)).await;
        let renewed = Box::pin(self.renew_group_keys(&mut received.notices)).await;
        let kept = Box::pin(self.keep_records(&mut received.notices)).await;
        self.forget_sessions()?;
        Box::pin(self.flush()).await?;
        Box::pin(self.settle_views()).await?;
        // Whoever answers a receipt may begin a session, for which this device must have the keys.
        let upkeep = Box::pin(self.upkeep_after_look(keys_left)).await;
        if receipts == ReceiptTime::Now {
            Box::pin(self.send_receipts()).await?;
        }
        received.notices.extend(upkeep?);
        made.and(renewed).and(kept)
    }

    /// Gives the messages of a look their positions before what follows from it is done. The user's answers to
    /// what was put aside wait for that.
    fn place_first(
        &self,
        later: &LaterEntries,
        received: &mut ReceivedBatch,
    ) -> Result<(), DeviceStoreError> {
        self.store.write(|tx| {
            tx.place_but_copies(self.now_ms(), HOLD_MS, &later.authors())?;
            received.has_messages = !tx.unshown()?.is_empty();
            Ok(())
        })
    }

    /// Gives waiting messages their positions, without asking the server.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be used.
    pub fn place(&self, received: &mut ReceivedBatch) -> Result<(), DeviceStoreError> {
        let now_ms = self.now_ms();
        self.store.write(|tx| {
            received.look_again_ms = tx.place(now_ms, HOLD_MS)?;
            received.messages = tx.unshown()?;
            Ok(())
        })
    }

    /// Takes the entries that need no other server, and puts the others aside. Returns those that are to
    /// be acknowledged.
    async fn take_page(
        &self,
        entries: Vec<MailboxEntry>,
        received: &mut ReceivedBatch,
        later: &mut LaterEntries,
    ) -> Result<TakenEntries, MessengerError> {
        let mut taken = TakenEntries::default();
        let mut blocks = self.store.read(|tx| tx.blocks())?;
        for entry in entries {
            // Nothing of a blocked party is read, and no chain is asked for.
            if self.is_of_blocked(&blocks, &entry) {
                taken.dropped.push(entry.address);
                continue;
            }
            if let Some(entry) = self.put_aside(entry, later)? {
                self.take_into(&entry, received, &mut taken).await?;
                if self.is_of_own(&entry) {
                    blocks = self.store.read(|tx| tx.blocks())?;
                }
            }
        }
        Ok(taken)
    }

    /// Takes an entry, unless it was left alone a short time ago. It is to be acknowledged by
    /// [`Messenger::settle_entries`].
    pub(super) async fn take_into(
        &self,
        entry: &MailboxEntry,
        received: &mut ReceivedBatch,
        taken: &mut TakenEntries,
    ) -> Result<EntryDisposition, MessengerError> {
        let now_ms = self.now_ms();
        let left_until = self.left().get(&entry.address).copied();
        if left_until.is_some_and(|until_ms| lasts(now_ms, until_ms, LEFT_MS)) {
            return Ok(EntryDisposition::Leave);
        }
        let told = received.notices.len();
        let disposition = self.take_entry(entry, &mut received.notices).await?;
        match disposition {
            EntryDisposition::Confirm => taken.confirmed.push(entry.address.clone()),
            EntryDisposition::Drop => taken.dropped.push(entry.address.clone()),
            EntryDisposition::Leave => {
                self.left().insert(entry.address.clone(), now_ms.saturating_add(LEFT_MS));
                if left_until.is_some() {
                    received.notices.truncate(told);
                }
            }
        }
        Ok(disposition)
    }

    /// Acknowledges the entries that were taken, over HTTP.
    pub(super) async fn settle_entries(
        &self,
        taken: TakenEntries,
        received: &mut ReceivedBatch,
    ) -> Result<(), MessengerError> {
        // An entry that is not acknowledged comes again, and is recognised then.
        self.acknowledge_all(&taken.confirmed).await?;
        received.settled.extend(taken.confirmed);
        let drops = taken.dropped.iter();
        let drops = drops.map(|entry| self.signed_in(async || self.device.discard(entry).await));
        for gone in join_all(drops).await {
            match gone {
                Err(MessengerError::Client(ClientError::Problem(problem))) if problem.status == 404 => {}
                other => other?,
            }
        }
        received.settled.extend(taken.dropped);
        Ok(())
    }

    /// Acknowledges entries over HTTP. Their authors' servers hear of it.
    pub(super) async fn acknowledge_all(&self, entries: &[String]) -> Result<(), MessengerError> {
        for some in entries.chunks(MAX_DELIVERED) {
            self.signed_in(async || self.device.acknowledge(some).await).await?;
        }
        Ok(())
    }

    fn left(&self) -> MutexGuard<'_, BTreeMap<String, i64>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn take_entry(
        &self,
        entry: &MailboxEntry,
        notices: &mut Vec<Notice>,
    ) -> Result<EntryDisposition, MessengerError> {
        match &entry.content {
            EntryContent::Message(message) => self.take_message(message, entry.received_ms, notices).await,
            EntryContent::Report(report) => {
                match self.take_report(report).await {
                    Ok(settled) => notices.extend(settled.map(Notice::Settled)),
                    Err(error) if error.retry_after_s().is_some() => {
                        notices.push(Notice::Waits { actor: report.actor.clone(), why: error.to_string() });
                        return Ok(EntryDisposition::Leave);
                    }
                    Err(error) => return Err(error),
                }
                Ok(EntryDisposition::Confirm)
            }
            EntryContent::DeviceOffered(pending) => {
                notices.push(Notice::DeviceWaits(pending.clone()));
                Ok(EntryDisposition::Confirm)
            }
            EntryContent::Unreadable(why) => {
                let actor = json::text(&entry.activity, "actor").unwrap_or("?").to_owned();
                notices.push(Notice::Unreadable { actor, why: UnreadableReason::Malformed(why.clone()) });
                Ok(EntryDisposition::Drop)
            }
        }
    }
}
