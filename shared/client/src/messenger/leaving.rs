//! The departures and removals of this user that were undone, made again. [`crate::group`] has the
//! rules.

use super::{Messenger, MessengerError};
use crate::group::{GroupError, KnownGroup, LeaveDecision, Proposal, propose};
use crate::{SignalSessions, Transport};

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Leaves each group that this user has left before and whose state lists the user still, and
    /// removes the members whom this user has removed before and whose group lists them still. Tells
    /// the members. A failure in one group does not stop the others.
    ///
    /// # Errors
    /// The first failure, one of those of every call. That change is made at the next look.
    pub(super) async fn make_changes_again(&self) -> Result<(), MessengerError> {
        let me = self.device.actor();
        let mut outcome = Ok(());
        for known in self.store.read(|tx| tx.groups())? {
            let removed = known.should_remove_again(&me);
            if known.should_leave_again(&me) == LeaveDecision::Leave {
                outcome = outcome.and(self.make_again(known, Proposal::Leave).await);
            } else if !removed.is_empty() {
                outcome = outcome.and(self.make_again(known, Proposal::Remove(removed)).await);
            }
        }
        outcome
    }

    async fn make_again(&self, known: KnownGroup, proposal: Proposal) -> Result<(), MessengerError> {
        let is_departure = proposal == Proposal::Leave;
        let (change, next) = self.signing(|signer| propose(&known.current, proposal, signer))??;
        let told = if is_departure { known.current.members().clone() } else { next.members().clone() };
        match self.control(change, Some(known), next, &told).await {
            // Another process changed the group since it was read. If it is still due, the next look
            // makes the change.
            Ok(_) | Err(MessengerError::Group(GroupError::Stale)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
