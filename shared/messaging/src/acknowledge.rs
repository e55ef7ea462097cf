//! Acknowledgement: a device deletes entries of its mailbox, and their authors get receipts
//! (`docs/protocol.md`, section 6).

use eko_federation::Federation;
use eko_protocol::activity::Report;
use eko_protocol::id::EntryKey;
use eko_protocol::letter::Letter;
use eko_store::StoreError;
use eko_store::deliveries::ReportDelivery;
use eko_store::device::DeviceAddress;
use eko_store::envelopes::ReceiptClaim;
use eko_store::mailbox::{AddressedEntry, Entry, EntryContent};
use eko_store::parcels::{Parcel, ParcelBody};
use futures_util::future::join_all;

use crate::report::MailboxNotice;
use crate::{Messaging, Result};

/// A receipt on its way to the author of an envelope.
enum Receipt {
    /// The author is a user of this server.
    Local(ReportDelivery),
    /// The author is a user of another server.
    Remote(Parcel),
}

/// An entry that was deleted, and the claim under which its receipt is sent.
struct DeletedEntry {
    entry: Entry,
    claim: ReceiptClaim,
}

impl Messaging {
    /// Deletes entries of a device's mailbox and sends the receipts for their envelopes.
    ///
    /// The first device that acknowledges an envelope sends its receipt. One DeleteItem per entry,
    /// all at once; one UpdateItem per envelope among them, which claims the receipt; one
    /// SendMessageBatch for the receipts to users here, and one for those to other servers. A
    /// server without a `federation` sends no receipts to others.
    ///
    /// An entry whose receipt cannot be queued is put back, so that the device's next try finds it.
    ///
    /// # Errors
    /// The store is broken or out of reach. Receipts are sent for the entries that were deleted
    /// before.
    pub async fn acknowledge(
        &self,
        federation: Option<&Federation>,
        device: DeviceAddress<'_>,
        keys: &[EntryKey],
    ) -> Result<()> {
        let now_ms = self.now_ms();
        let store = self.store();
        let deletions = join_all(keys.iter().map(|key| store.delete_entry(device, key, now_ms))).await;
        let mut failure: Option<StoreError> = None;
        let mut deleted = Vec::with_capacity(deletions.len());
        for deletion in deletions {
            match deletion {
                Ok(entry) => deleted.extend(entry.map(|entry| DeletedEntry { entry, claim: self.random() })),
                Err(error) => failure = Some(error),
            }
        }
        let receipts =
            join_all(deleted.iter().map(|entry| self.receipt(federation, device, entry, now_ms))).await;
        let (mut local, mut remote, mut unreported) = (Vec::new(), Vec::new(), Vec::new());
        for (entry, receipt) in deleted.iter().zip(receipts) {
            match receipt {
                Ok(Some(Receipt::Local(report))) => local.push((entry, report)),
                Ok(Some(Receipt::Remote(parcel))) => remote.push((entry, parcel)),
                Ok(None) => {}
                Err(error) => {
                    unreported.push(entry);
                    failure = Some(error);
                }
            }
        }
        let (local_entries, reports): (Vec<_>, Vec<_>) = local.into_iter().unzip();
        let (remote_entries, parcels): (Vec<_>, Vec<_>) = remote.into_iter().unzip();
        let (queued_reports, queued_parcels) = tokio::join!(
            store.queue_reports(reports),
            store.queue_parcels(parcels, now_ms, || self.random_uuid())
        );
        for (queued, entries) in [(queued_reports, local_entries), (queued_parcels, remote_entries)] {
            if let Err(error) = queued {
                unreported.extend(entries);
                failure = Some(error);
            }
        }
        self.put_back(device, &unreported).await;
        failure.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Puts entries back whose receipts could not be queued.
    async fn put_back(&self, device: DeviceAddress<'_>, unreported: &[&DeletedEntry]) {
        let store = self.store();
        for DeletedEntry { entry, claim } in unreported {
            let EntryContent::Letter { letter, .. } = &entry.content else { continue };
            if let Err(error) = store.release_receipt(device, &letter.header, *claim).await {
                tracing::warn!(%error, "a receipt stays claimed without having been sent");
            }
        }
        let addressed = |deleted: &&DeletedEntry| AddressedEntry {
            user: device.user.clone(),
            device: device.device.clone(),
            entry: deleted.entry.clone(),
        };
        store.put_entries(&unreported.iter().map(addressed).collect::<Vec<_>>()).await;
    }

    /// Claims the receipt of an entry's envelope. Returns the receipt if this device is the first
    /// to acknowledge.
    async fn receipt(
        &self,
        federation: Option<&Federation>,
        device: DeviceAddress<'_>,
        DeletedEntry { entry, claim }: &DeletedEntry,
        now_ms: i64,
    ) -> std::result::Result<Option<Receipt>, StoreError> {
        let EntryContent::Letter { letter: Letter { header, .. }, .. } = &entry.content else {
            return Ok(None);
        };
        if !self.store().claim_receipt(device, header, *claim).await? {
            return Ok(None);
        }
        let origin = self.origin();
        let report = Report::delivered(origin, device.user, &header.author, &header.id);
        let activity = report.to_value(origin);
        if let Some(author) = origin.parse_actor(&header.author) {
            let notice = MailboxNotice {
                to: author,
                device: None,
                author: report.actor,
                subject: header.id.to_string(),
                activity,
            };
            return Ok(Some(Receipt::Local(self.report_delivery(notice, now_ms))));
        }
        // A server that does not federate any more has nowhere to send it.
        Ok(federation.map(|_| {
            Receipt::Remote(Parcel {
                to: header.author.clone(),
                author: device.user.clone(),
                first_ms: now_ms,
                not_before_ms: None,
                expires_ms: None,
                outcome_to: None,
                listed_as: None,
                body: ParcelBody::Text(activity.to_string()),
            })
        }))
    }
}
