//! Delivery: messages of the queue `deliveries` become entries of mailboxes (`docs/protocol.md`,
//! section 6), and are posted to sockets (section 8). The queue carries erasures, counts and orders
//! about sockets too ([`crate::erase`], [`crate::fill`], [`crate::live`]).
//!
//! Entries have the same keys each time, so a message that is delivered twice changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use eko_protocol::address::UserName;
use eko_store::StoreError;
use eko_store::deletion::AccountErasure;
use eko_store::deliveries::{Delivery, LetterDelivery, ReportDelivery};
use eko_store::devices::{OfUser, UserDevices};
use eko_store::erasure::Erasure;
use eko_store::fill::{MailboxCount, MailboxSender};
use eko_store::live::LiveOrder;
use eko_store::mailbox::{AddressedEntry, Entry, EntryContent};
use futures_util::future::join_all;
use tokio::time::Instant;

pub use crate::erase::STEP_TIME;
use crate::erase::in_step_time;
use crate::live::Notified;
use crate::{Messaging, QueueMessage};

/// The longest time for the posts of one batch to sockets. It leaves most of the time of the function
/// `deliver` to the mailboxes.
const POSTS_TIME: Duration = Duration::from_secs(2);

/// The time after its acceptance from which on a letter is late, in milliseconds: ten minutes. The second
/// pass of an erasure begins 15 minutes after the first.
const LATE_MS: i64 = 600_000;

/// A letter or a report that becomes entries.
enum Arrival {
    Letter(LetterDelivery),
    Report(ReportDelivery),
}

/// The device sets of users, as far as they could be read.
type DeviceSets = BTreeMap<UserName, OfUser<UserDevices>>;

/// An order that the queue brings beside entries.
enum DeliverOrder {
    /// To erase devices.
    Erase(Erasure),
    /// To erase what a deleted account left.
    Delete(AccountErasure),
    /// To count a mailbox.
    Count(MailboxCount),
    /// To do something about sockets.
    Live(LiveOrder),
}

impl Messaging {
    /// Delivers a batch. Returns the ids of the messages that failed.
    ///
    /// One BatchWriteItem for each 25 entries. A report costs one more GetItem, of the device set. All
    /// letters together that were accepted ten minutes ago or more cost one BatchGetItem.
    /// Now and then a SendMessageBatch orders the count of a mailbox ([`crate::fill`]). Then the
    /// calls of `notify`: one BatchGetItem on a server with sockets or pushes, and a post for each
    /// entry of a device that has a socket; and those of [`order_pushes`](Self::order_pushes). An
    /// entry whose device could not be told of it comes again, and no other one.
    /// Erasures, counts and orders about sockets are carried out beside that, one step of each. Whatever is
    /// not done after [`STEP_TIME`] has failed, so that a call that hangs takes no other message with it:
    /// Lambda would end the function, and each message would have one try less. All posts together have
    /// two seconds. A socket that has not taken an entry by then is told to
    /// fetch, and an order that is not carried out by then comes back. A post that hangs takes
    /// nothing of an order's time.
    pub async fn deliver(&self, batch: &[QueueMessage]) -> Vec<String> {
        let ends = Instant::now() + STEP_TIME;
        let mut failed: BTreeSet<&str> = BTreeSet::new();
        let mut arrivals = Vec::new();
        let mut orders = Vec::new();
        for message in batch {
            match Delivery::parse(&message.body) {
                Ok(Delivery::Letter(letter)) => arrivals.push((message, Arrival::Letter(letter))),
                Ok(Delivery::Report(report)) => arrivals.push((message, Arrival::Report(report))),
                Ok(Delivery::Erase(erasure)) => orders.push((message, DeliverOrder::Erase(erasure))),
                Ok(Delivery::Delete(erasure)) => orders.push((message, DeliverOrder::Delete(erasure))),
                Ok(Delivery::Count(count)) => orders.push((message, DeliverOrder::Count(count))),
                Ok(Delivery::Live(order)) => orders.push((message, DeliverOrder::Live(order))),
                Err(error) => {
                    tracing::error!(message = message.id, %error, "not readable");
                    failed.insert(&message.id);
                }
            }
        }
        let (messages, orders): (Vec<&QueueMessage>, Vec<_>) = orders.into_iter().unzip();
        let carried_out = orders.into_iter().map(async |order| {
            let deadline = Instant::now() + POSTS_TIME;
            match order {
                DeliverOrder::Erase(erasure) => self.erase(erasure, deadline, ends).await,
                DeliverOrder::Delete(erasure) => self.erase_account(erasure, deadline, ends).await,
                DeliverOrder::Count(count) => in_step_time(ends, self.count(count)).await,
                DeliverOrder::Live(order) => in_step_time(ends, self.carry_out(order, deadline)).await,
            }
        });
        let (undelivered, carried_out) =
            tokio::join!(self.deliver_arrivals(arrivals, ends), join_all(carried_out));
        failed.extend(undelivered);
        for (message, done) in messages.into_iter().zip(carried_out) {
            if let Err(error) = done {
                tracing::error!(message = message.id, %error, "an order is not carried out");
                failed.insert(&message.id);
            }
        }
        failed.into_iter().map(str::to_owned).collect()
    }

    /// Writes the entries of letters and reports, and tells their devices. Returns the ids of the messages
    /// that failed.
    async fn deliver_arrivals<'a>(
        &self,
        arrivals: Vec<(&'a QueueMessage, Arrival)>,
        ends: Instant,
    ) -> BTreeSet<&'a str> {
        let mut failed: BTreeSet<&str> = BTreeSet::new();
        let reading = self.sets_of_late_letters(arrivals.iter().map(|(_, arrival)| arrival));
        let sets = in_step_time(ends, reading).await.map_err(|error| error.to_string());
        let mut entries: Vec<AddressedEntry> = Vec::new();
        let mut sources: Vec<&str> = Vec::new();
        for (message, arrival) in arrivals {
            let more = match arrival {
                Arrival::Letter(letter) => self.letter_entries(letter, &sets),
                Arrival::Report(report) => in_step_time(ends, self.report_entries(report)).await,
            };
            match more {
                Ok(more) => {
                    sources.extend(more.iter().map(|_| message.id.as_str()));
                    entries.extend(more);
                }
                Err(error) => {
                    tracing::error!(message = message.id, %error, "not delivered");
                    failed.insert(&message.id);
                }
            }
        }
        let writing = tokio::time::timeout_at(ends, self.store().put_entries(&entries)).await;
        let unwritten: BTreeSet<usize> =
            writing.map_or_else(|_| (0..entries.len()).collect(), |failed| failed.into_iter().collect());
        let indexed = entries.iter().enumerate().filter(|(index, _)| !unwritten.contains(index));
        let (places, written): (Vec<usize>, Vec<&AddressedEntry>) = indexed.unzip();
        // What is not ordered in time is ordered with a later entry.
        let _ = tokio::time::timeout_at(ends, self.order_counts(written.iter().copied())).await;
        let deadline = Instant::now() + POSTS_TIME;
        let notified = in_step_time(ends, async {
            let Notified { live, taken } = self.notify(&written, deadline).await?;
            Ok(self.order_pushes(&written, &live, &taken).await)
        });
        let untold: Vec<usize> = notified.await.unwrap_or_else(|error| {
            tracing::error!(%error, "devices are not notified");
            (0..written.len()).collect()
        });
        let untold = untold.iter().filter_map(|index| places.get(*index));
        failed.extend(unwritten.iter().chain(untold).filter_map(|entry| sources.get(*entry)));
        failed
    }

    /// True for a letter that may come after the second pass of an erasure, and has entries.
    fn is_late(&self, letter: &LetterDelivery) -> bool {
        let age_ms = self.now_ms().saturating_sub(letter.letter.accepted_ms);
        age_ms >= LATE_MS && !letter.is_dropped
    }

    /// Reads the device sets of the users whose letters are late. One BatchGetItem; none if no letter is.
    async fn sets_of_late_letters(
        &self,
        arrivals: impl Iterator<Item = &Arrival>,
    ) -> std::result::Result<DeviceSets, StoreError> {
        let late = arrivals.filter_map(|arrival| match arrival {
            Arrival::Letter(letter) => self.is_late(letter).then(|| letter.to.clone()),
            Arrival::Report(_) => None,
        });
        self.store().device_sets_of(late.collect()).await
    }

    /// Returns the entries of a letter. Makes no call.
    ///
    /// A letter that was under way when its device was revoked, or its account deleted, is erased in the
    /// second pass. One that comes too late for that has entries for devices that are active by `sets`.
    fn letter_entries(
        &self,
        letter: LetterDelivery,
        sets: &std::result::Result<DeviceSets, String>,
    ) -> std::result::Result<Vec<AddressedEntry>, StoreError> {
        if !self.is_late(&letter) {
            return Ok(letter.entries());
        }
        let unread = |detail: String| StoreError::GaveUp { operation: "BatchGetItem", detail };
        let sets = sets.as_ref().map_err(|error| unread(error.clone()))?;
        let Some(OfUser::Stored(set)) = sets.get(&letter.to) else { return Ok(Vec::new()) };
        let mut entries = letter.entries();
        entries.retain(|entry| set.active.contains_key(&entry.device));
        Ok(entries)
    }

    /// Returns the entries of a report: one for the device that it names, or one for every device,
    /// as far as these are active and their mailboxes are not full. One GetItem.
    ///
    /// A device that was revoked meanwhile gets none, since its mailbox is erased.
    async fn report_entries(
        &self,
        report: ReportDelivery,
    ) -> std::result::Result<Vec<AddressedEntry>, StoreError> {
        let ReportDelivery { to, device, entry, ttl, charged_to, activity } = report;
        let Ok(set) = self.store().device_set(&to).await?.stored() else { return Ok(Vec::new()) };
        let mut devices = set.active_ids();
        if let Some(device) = device {
            devices.retain(|active| *active == device);
        }
        // A report is no letter: without it, a full mailbox lacks no message.
        let sender = MailboxSender::of(&charged_to, self.origin(), &to);
        devices.retain(|device| !set.is_full_for(device, sender, self.now_ms()));
        let entry = Entry { key: entry, ttl, content: EntryContent::Report { charged_to, activity } };
        let addressed = |device| AddressedEntry { user: to.clone(), device, entry: entry.clone() };
        Ok(devices.into_iter().map(addressed).collect())
    }
}
