//! Delivery: messages of the queue `deliveries` become entries of mailboxes (`docs/protocol.md`,
//! section 6). The queue carries erasures too ([`crate::erase`]).
//!
//! Entries have the same keys each time, so a message that is delivered twice changes nothing.

use std::collections::BTreeSet;

use eko_store::StoreError;
use eko_store::deliveries::{Delivery, ReportDelivery};
use eko_store::mailbox::{AddressedEntry, Entry, EntryContent};
use futures_util::future::join_all;

use crate::{Messaging, QueueMessage};

impl Messaging {
    /// Delivers a batch. Returns the ids of the messages that failed.
    ///
    /// One BatchWriteItem for each 25 entries. A report for all of a user's devices costs one more
    /// GetItem, of the device set. Erasures follow the entries, side by side, one step of each.
    pub async fn deliver(&self, batch: &[QueueMessage]) -> Vec<String> {
        let mut failed: BTreeSet<&str> = BTreeSet::new();
        let mut entries: Vec<AddressedEntry> = Vec::new();
        let mut sources: Vec<&str> = Vec::new();
        let mut erasures = Vec::new();
        for message in batch {
            let more = match Delivery::parse(&message.body) {
                Ok(Delivery::Letter(letter)) => Ok(letter.entries()),
                Ok(Delivery::Report(report)) => self.report_entries(report).await,
                Ok(Delivery::Erase(erasure)) => {
                    erasures.push(async move { (message, self.erase(erasure).await) });
                    continue;
                }
                Err(error) => Err(error),
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
        let unwritten = self.store().put_entries(&entries).await;
        failed.extend(unwritten.into_iter().filter_map(|entry| sources.get(entry)));
        for (message, erased) in join_all(erasures).await {
            if let Err(error) = erased {
                tracing::error!(message = message.id, %error, "not erased");
                failed.insert(&message.id);
            }
        }
        failed.into_iter().map(str::to_owned).collect()
    }

    /// Returns the entries of a report: one for the device that it names, or one for every active
    /// device.
    async fn report_entries(
        &self,
        report: ReportDelivery,
    ) -> std::result::Result<Vec<AddressedEntry>, StoreError> {
        let ReportDelivery { to, device, entry, ttl, activity } = report;
        let devices = match device {
            Some(device) => vec![device],
            None => match self.store().device_set(&to).await? {
                Some(devices) => devices.active.into_keys().collect(),
                None => Vec::new(),
            },
        };
        let entry = Entry { key: entry, ttl, content: EntryContent::Report(activity) };
        let addressed = |device| AddressedEntry { user: to.clone(), device, entry: entry.clone() };
        Ok(devices.into_iter().map(addressed).collect())
    }
}
