//! Acknowledgement: a device deletes entries of its mailbox, and their authors get receipts
//! (`docs/protocol.md`, section 6).
//!
//! An entry is deleted last: after the envelope's record says that the device has it, and after the
//! receipt is queued. If the process dies in between, or an answer is lost, the entry is still
//! there. The device acknowledges it again, and every step has the same effect a second time.

use eko_protocol::activity::Report;
use eko_protocol::id::EntryKey;
use eko_store::StoreError;
use eko_store::deliveries::ReportDelivery;
use eko_store::device::DeviceAddress;
use eko_store::envelopes::ReceiptDuty;
use eko_store::mailbox::{AuthoredEnvelope, EntryHead};
use eko_store::parcels::{Parcel, ParcelBody};
use futures_util::future::join_all;

use crate::active_device::require_status;
use crate::report::MailboxNotice;
use crate::{Messaging, Result};

/// A receipt on its way to the author of an envelope.
enum Receipt {
    /// The author is a user of this server.
    Local(ReportDelivery),
    /// The author is a user of another server.
    Remote(Parcel),
    /// No receipt is due.
    None,
}

impl Messaging {
    /// Deletes entries of a device's mailbox and sends the receipts for their envelopes.
    ///
    /// The first device that acknowledges an envelope sends its receipt. One BatchGetItem reads
    /// the entries and the device's record; one UpdateItem per envelope, all at once, records the
    /// acknowledgement; one SendMessageBatch queues the receipts to users here, and one those to
    /// other servers; one BatchWriteItem for each 25 entries deletes them. The first
    /// acknowledgement after a push costs one SendMessageBatch and one transaction more. A server
    /// that does not federate (`federates`) sends no receipts to others.
    ///
    /// A receipt may be queued twice if a call fails after it. For a user here both copies become
    /// the same entry; another server passes on the first one. A device that is revoked after a
    /// failure, and before it repeats the acknowledgement, leaves its envelopes without a receipt.
    ///
    /// # Errors
    /// [`Refusal::DevicePending`](crate::Refusal::DevicePending),
    /// [`Refusal::DeviceRevoked`](crate::Refusal::DeviceRevoked). The store is broken or out of
    /// reach: entries whose receipts could not be queued are still in the mailbox.
    pub async fn acknowledge(
        &self,
        federates: bool,
        device: DeviceAddress<'_>,
        keys: &[EntryKey],
    ) -> Result<()> {
        let now_ms = self.now_ms();
        let store = self.store();
        let found = store.entry_heads(device, keys, now_ms).await?;
        require_status(found.status)?;
        let receipts =
            join_all(found.entries.iter().map(|entry| self.receipt(federates, device, entry, now_ms))).await;
        let mut failure: Option<StoreError> = None;
        let (mut local, mut remote, mut done) = (Vec::new(), Vec::new(), Vec::new());
        for (entry, receipt) in found.entries.into_iter().zip(receipts) {
            match receipt {
                Ok(Receipt::Local(report)) => local.push((entry.key, report)),
                Ok(Receipt::Remote(parcel)) => remote.push((entry.key, parcel)),
                Ok(Receipt::None) => done.push(entry.key),
                Err(error) => failure = Some(error),
            }
        }
        let (local_entries, reports): (Vec<_>, Vec<_>) = local.into_iter().unzip();
        let (remote_entries, parcels): (Vec<_>, Vec<_>) = remote.into_iter().unzip();
        let (queued_reports, queued_parcels) = tokio::join!(
            store.queue_reports(reports),
            store.queue_parcels(parcels, now_ms, || self.random_uuid())
        );
        for (queued, entries) in [(queued_reports, local_entries), (queued_parcels, remote_entries)] {
            match queued {
                Ok(()) => done.extend(entries),
                Err(error) => failure = Some(error),
            }
        }
        store.delete_entries(device, &done).await?;
        if let Some(pushed_ms) = found.pushed_ms.filter(|_| store.has_pushes()) {
            self.end_push_by_acknowledgement(device, pushed_ms).await;
        }
        failure.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Deletes an entry of a device's mailbox without a receipt. The envelope does not come back to
    /// the device if it is sent again.
    ///
    /// One BatchGetItem of the entry and the device's record; one UpdateItem if the entry is a
    /// letter; one BatchWriteItem that deletes the entry, if there is one.
    ///
    /// # Errors
    /// [`Refusal::DevicePending`](crate::Refusal::DevicePending),
    /// [`Refusal::DeviceRevoked`](crate::Refusal::DeviceRevoked). The store is broken or out of
    /// reach.
    pub async fn discard_entry(&self, device: DeviceAddress<'_>, key: &EntryKey) -> Result<()> {
        let store = self.store();
        let found = store.entry_heads(device, std::slice::from_ref(key), self.now_ms()).await?;
        require_status(found.status)?;
        for entry in found.entries {
            if entry.envelope.is_some() {
                store.discard_envelope(device, &entry.key).await?;
            }
            store.delete_entries(device, &[entry.key]).await?;
        }
        Ok(())
    }

    /// Records the acknowledgement of an entry's envelope. Returns the receipt if this device is
    /// the first to acknowledge.
    async fn receipt(
        &self,
        federates: bool,
        device: DeviceAddress<'_>,
        entry: &EntryHead,
        now_ms: i64,
    ) -> std::result::Result<Receipt, StoreError> {
        let Some(AuthoredEnvelope { author, id }) = &entry.envelope else { return Ok(Receipt::None) };
        let since_ms = match self.store().acknowledge_envelope(device, &entry.key, now_ms).await? {
            ReceiptDuty::OfThisDevice { since_ms } => since_ms,
            ReceiptDuty::OfAnotherDevice | ReceiptDuty::Nobodys => return Ok(Receipt::None),
        };
        let origin = self.origin();
        let report = Report::delivered(origin, device.user, author, id);
        let activity = report.to_value(origin);
        if let Some(author) = origin.parse_actor(author) {
            let notice = MailboxNotice {
                to: author,
                device: None,
                charged_to: report.actor.clone(),
                author: report.actor,
                subject: id.key().into_owned(),
                activity,
            };
            return Ok(Receipt::Local(self.report_delivery(notice, since_ms)));
        }
        if !federates {
            // A server that does not federate any more has nowhere to send it.
            return Ok(Receipt::None);
        }
        Ok(Receipt::Remote(Parcel {
            to: author.clone(),
            author: device.user.clone(),
            first_ms: now_ms,
            not_before_ms: None,
            expires_ms: None,
            outcome_to: None,
            listed_as: None,
            is_deletion: false,
            by_server: false,
            body: ParcelBody::Text(activity.to_string()),
        }))
    }
}
