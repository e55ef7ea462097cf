//! Full mailboxes: who counts them, and when (`docs/protocol.md`, section 6; [decision
//! 0020](../../../docs/decisions/0020-erasure-and-quota.md)).

use std::collections::BTreeMap;

use eko_store::StoreError;
use eko_store::device::DeviceAddress;
use eko_store::fill::{FullMark, MailboxCount, MailboxLimits};
use eko_store::mailbox::{AddressedEntry, MailboxPage};

use crate::Messaging;

/// The counts that an empty mailbox gets on average until it is full.
const COUNTS: u64 = 16;
/// The number of queries of one step of a count.
const STEP_QUERIES: usize = 16;
/// The time for which a mark has an effect, in milliseconds: a day. Entries may expire meanwhile.
const MARK_MS: i64 = 24 * 3_600_000;
/// The shortest time between two counts that fetches order, in milliseconds.
const COUNT_PAUSE_MS: i64 = 300_000;

impl Messaging {
    /// Returns the limits of a mailbox.
    fn mailbox_limits(&self) -> MailboxLimits {
        MailboxLimits { bytes: self.limits().mailbox_bytes, entries: self.limits().mailbox_entries }
    }

    /// Orders the count of a sample of the mailboxes that these entries were written into. A
    /// mailbox that takes up a part of its limit is counted with sixteen times that probability.
    ///
    /// One SendMessageBatch if the sample is not empty. A failure is only logged, because later
    /// entries order a count as well.
    pub(crate) async fn order_counts(&self, written: impl Iterator<Item = &AddressedEntry>) {
        let limits = self.mailbox_limits();
        let mut charges: BTreeMap<(&str, &str), (DeviceAddress<'_>, u64)> = BTreeMap::new();
        for entry in written {
            let address = entry.address();
            let sum = charges.entry((address.user.as_str(), address.device.as_str())).or_insert((address, 0));
            sum.1 = sum.1.saturating_add(limits.charge(entry.entry.content.size()));
        }
        let sampled = charges.into_values().filter(|(_, charge)| self.is_sampled(*charge, limits));
        let counts: Vec<MailboxCount> = sampled.map(|(address, _)| MailboxCount::new(address)).collect();
        if let Err(error) = self.store().queue_counts(counts).await {
            tracing::warn!(%error, "mailboxes are not counted now");
        }
    }

    /// Draws whether a mailbox is counted after entries with this charge.
    fn is_sampled(&self, charge: u64, limits: MailboxLimits) -> bool {
        let weight = charge.saturating_mul(COUNTS);
        let drawn = || u64::from_le_bytes(self.random()).checked_rem(limits.bytes);
        weight >= limits.bytes || drawn().is_some_and(|drawn| drawn < weight)
    }

    /// Does the next step of a count: sums up to [`STEP_QUERIES`] megabytes, and queues the step
    /// after it or, at the end, marks the mailbox.
    ///
    /// Up to 16 Query. Then one SendMessageBatch, or one GetItem of the device set and, if there is
    /// a mark to set or to remove, one transaction.
    ///
    /// # Errors
    /// The store is broken or out of reach. The step may be repeated.
    pub(crate) async fn count(&self, mut count: MailboxCount) -> Result<(), StoreError> {
        let (limits, now_ms) = (self.mailbox_limits(), self.now_ms());
        for _ in 0..STEP_QUERIES {
            if self.store().count_some(&mut count, self.origin(), limits, now_ms).await? {
                continue;
            }
            let Ok(devices) = self.store().device_set(&count.user).await?.stored() else { return Ok(()) };
            let whom = count.full_for(limits);
            if whom.is_nobody() && !devices.full.contains_key(&count.device) {
                return Ok(());
            }
            let until_ms = now_ms.saturating_add(MARK_MS);
            let mark = (!whom.is_nobody()).then_some(FullMark { until_ms, whom });
            return self.store().mark_mailbox(count.address(), mark.as_ref(), now_ms).await;
        }
        self.store().queue_counts(vec![count]).await
    }

    /// Orders a new count of a mailbox that was full and that its device has read to the end. Call
    /// it with each page that a device fetches.
    ///
    /// Without a mark, or within five minutes after a count, no call. Otherwise one UpdateItem and
    /// one SendMessageBatch. A failure is only logged.
    pub async fn recount(&self, device: DeviceAddress<'_>, page: &MailboxPage) {
        let now_ms = self.now_ms();
        let Some(counted_ms) = page.device.full_counted_ms else { return };
        if page.next.is_some() || now_ms.saturating_sub(counted_ms) < COUNT_PAUSE_MS {
            return;
        }
        let ordered = match self.store().claim_count(device, counted_ms, now_ms).await {
            Ok(true) => self.store().queue_counts(vec![MailboxCount::new(device)]).await,
            Ok(false) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = ordered {
            tracing::warn!(%error, "a mailbox that was full is not counted now");
        }
    }
}
