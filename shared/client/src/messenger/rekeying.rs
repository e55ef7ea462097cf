//! The renewal of master keys that are due because somebody left. [`crate::group`] has the rule.

use super::{Messenger, MessengerError};
use crate::group::{GroupError, KnownGroup, Proposal, RekeyDecision, propose};
use crate::{SignalSessions, Transport};

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Makes another master key for each group of which it is due and of which this user is an
    /// admin, and tells the members. A failure in one group does not stop the others.
    ///
    /// # Errors
    /// The first failure, one of those of every call. The key of that group stays due.
    pub(super) async fn renew_group_keys(&self) -> Result<(), MessengerError> {
        let me = self.device.actor();
        let mut outcome = Ok(());
        for known in self.store.read(|tx| tx.groups())? {
            if known.should_rekey(&me) == RekeyDecision::Rekey {
                outcome = outcome.and(self.renew_group_key(known).await);
            }
        }
        outcome
    }

    async fn renew_group_key(&self, known: KnownGroup) -> Result<(), MessengerError> {
        let (change, next) = self.signing(|signer| propose(&known.current, Proposal::Rekey, signer))??;
        let told = next.members().clone();
        match self.control(change, Some(known), next, &told).await {
            // Another process changed the group since it was read. If the key is still due, the
            // next look renews it.
            Ok(_) | Err(MessengerError::Group(GroupError::Stale)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
