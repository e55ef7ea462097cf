//! The export of an account by one of its devices (`docs/protocol.md`, section 10; [decision
//! 0039](../../../docs/decisions/0039-export.md)).

use eko_store::device::DeviceAddress;
use eko_store::export::{ExportCursor, ExportPage};

use crate::active_device::require_active;
use crate::{Messaging, Refusal, Result};

/// A day in milliseconds.
const DAY_MS: i64 = 86_400_000;

impl Messaging {
    /// Reads a page of everything that is stored about the user of the device `caller`.
    ///
    /// Three calls, one after another: GetItem of the device set, so that a device that is not active
    /// uses up nothing; UpdateItem of the day's pages, so that a page over the budget is not read; the
    /// Query of the page.
    ///
    /// # Errors
    /// [`Refusal::DevicePending`], [`Refusal::DeviceRevoked`], [`Refusal::AccountDeleted`];
    /// [`Refusal::OverBudget`] if the user has read as many pages as may be in a day; the store is broken
    /// or out of reach.
    pub async fn export_page(&self, caller: DeviceAddress<'_>, cursor: &ExportCursor) -> Result<ExportPage> {
        let devices = require_active(self.store().device_set(caller.user).await?, caller.device)?;
        let now_ms = self.now_ms();
        if !self.store().count_export_page(caller.user, now_ms).await? {
            let left_ms = DAY_MS.saturating_sub(now_ms.rem_euclid(DAY_MS));
            let retry_after = left_ms.unsigned_abs().div_ceil(1000);
            let budget = "your devices have read as many pages of exports as may be in a day";
            return Err(Refusal::OverBudget { retry_after, budget }.into());
        }
        let actor = self.origin().actor(caller.user);
        Ok(self.store().export_page(caller.user, &actor, &devices, cursor, now_ms).await?)
    }
}
