//! Budgets of senders and recipients (`docs/protocol.md`, section 6).

use eko_protocol::envelope::Create;
use eko_store::budget::{BudgetCharge, WindowSums};

use crate::{Messaging, Refusal, Result};

impl Messaging {
    /// Charges an envelope to its sender and recipient. `recipient` is a user name of this server
    /// or an actor id of another. One UpdateItem, meant to run beside the read of the device sets.
    ///
    /// # Errors
    /// [`Refusal::OverBudget`]; the store is broken or out of reach.
    pub(crate) async fn charge_envelope(&self, create: &Create, recipient: &str) -> Result<()> {
        let bytes = create.messages.iter().map(|message| message.content.len()).sum::<usize>();
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.charge(BudgetCharge { sender: &create.header.author, recipient, bytes }).await
    }

    /// Charges a request to its sender and recipient. One UpdateItem.
    ///
    /// # Errors
    /// [`Refusal::OverBudget`]; the store is broken or out of reach.
    pub(crate) async fn charge(&self, charge: BudgetCharge<'_>) -> Result<()> {
        const ENVELOPES: &str = "too many envelopes to this recipient in this minute";
        const BYTES: &str = "too many bytes to this recipient in this minute";
        let limits = self.limits();
        let state = self.store().spend(charge, limits.recipient_budget, self.now_ms()).await?;
        let retry_after = state.resets_in_ms.unsigned_abs().div_ceil(1000);
        let over = |budget| Err(Refusal::OverBudget { retry_after, budget }.into());
        match state.window {
            WindowSums::Full => over(ENVELOPES),
            WindowSums::Counted { envelopes, .. } if envelopes > limits.sender_budget => over(ENVELOPES),
            WindowSums::Counted { bytes, .. } if bytes > limits.recipient_bytes_budget => over(BYTES),
            WindowSums::Counted { .. } => Ok(()),
        }
    }
}
