//! The departures of this user that were overtaken, made again. [`crate::group`] has the rule.

use super::{Messenger, MessengerError};
use crate::group::{GroupError, KnownGroup, LeaveDecision, Proposal, propose};
use crate::{SignalSessions, Transport};

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Leaves each group that this user has left before and whose state lists the user still, and
    /// tells the members. A failure in one group does not stop the others.
    ///
    /// # Errors
    /// The first failure, one of those of every call. That group is left at the next look.
    pub(super) async fn leave_groups_again(&self) -> Result<(), MessengerError> {
        let me = self.device.actor();
        let mut outcome = Ok(());
        for known in self.store.read(|tx| tx.groups())? {
            if known.should_leave_again(&me) == LeaveDecision::Leave {
                outcome = outcome.and(self.leave_group_again(known).await);
            }
        }
        outcome
    }

    async fn leave_group_again(&self, known: KnownGroup) -> Result<(), MessengerError> {
        let (change, next) = self.signing(|signer| propose(&known.current, Proposal::Leave, signer))??;
        let told = known.current.members().clone();
        match self.control(change, Some(known), next, &told).await {
            // Another process changed the group since it was read. If the state still lists the
            // user, the next look leaves it.
            Ok(_) | Err(MessengerError::Group(GroupError::Stale)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
