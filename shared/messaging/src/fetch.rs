//! A page of a mailbox, as a device reads it (`docs/protocol.md`, section 6).

use eko_protocol::id::EntryKey;
use eko_store::StoreError;
use eko_store::device::DeviceAddress;
use eko_store::live::PushState;
use eko_store::mailbox::MailboxPage;

use crate::active_device::require_status;
use crate::{Messaging, Refusal, Result};

impl Messaging {
    /// Reads a page of a device's mailbox: the first one, or the one after an entry.
    ///
    /// One Query; for a page after the first one also a GetItem at the same time. If the mailbox
    /// was full, and this is its last page, also the calls of
    /// [`recount`](crate::Messaging::recount). The first page after a push costs one transaction,
    /// which ends the push, and the Query once more: an entry that was written between the first
    /// Query and the transaction ordered no push, because one had been sent.
    ///
    /// # Errors
    /// [`Refusal::DevicePending`], [`Refusal::DeviceRevoked`]. The store is broken or out of reach.
    pub async fn fetch_page(
        &self,
        device: DeviceAddress<'_>,
        after: Option<&EntryKey>,
    ) -> Result<MailboxPage> {
        let mut page = self.checked_page(device, after).await?;
        if let (Some(pushed_ms), None) = (page.device.pushed_ms, after) {
            let state = PushState::Idle { since_ms: self.now_ms() };
            match self.store().end_push(device, pushed_ms, &state).await {
                Ok(()) => page = self.checked_page(device, None).await?,
                // The next fetch ends it.
                Err(error) => tracing::warn!(%error, "a push is not ended now"),
            }
        }
        self.recount(device, &page).await;
        Ok(page)
    }

    /// Reads the first page for a `Fetch` on a socket. Nobody knows whether the frames of the answer
    /// arrive. So a push that is over is followed by a check, as an entry is that a socket took.
    ///
    /// The calls of [`fetch_page`](Self::fetch_page), and after a push those of
    /// [`end_push_by_frame`](Self::end_push_by_frame) for its transaction.
    ///
    /// # Errors
    /// Those of [`fetch_page`](Self::fetch_page).
    pub(crate) async fn fetch_for_frames(&self, device: DeviceAddress<'_>) -> Result<MailboxPage> {
        let mut page = self.checked_page(device, None).await?;
        if let Some(pushed_ms) = page.device.pushed_ms.filter(|_| self.store().has_pushes())
            && self.end_push_by_frame(device, pushed_ms, &page).await
        {
            page = self.checked_page(device, None).await?;
        }
        self.recount(device, &page).await;
        Ok(page)
    }

    /// Reads a page, and checks that the device is active.
    async fn checked_page(&self, device: DeviceAddress<'_>, after: Option<&EntryKey>) -> Result<MailboxPage> {
        let page: std::result::Result<_, StoreError> = self.store().fetch(device, after, self.now_ms()).await;
        let page = page?.ok_or(Refusal::DeviceRevoked)?;
        require_status(Some(page.device.status))?;
        Ok(page)
    }
}
