//! The renewal of master keys that are due: somebody left, or a member's device was revoked.

use super::{Messenger, MessengerError, Notice};
use crate::group::{GroupChange, GroupError, KnownGroup, LeaveDecision, Proposal, RekeyDecision, propose};
use crate::store::DeviceStoreError;
use crate::{SignalSessions, Transport};

/// The time between two renewals of a group's key with nothing between them. A member who adds and
/// revokes devices all day makes a key due each time.
pub const RENEWAL_PAUSE_MS: i64 = 3_600_000;

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Makes another master key for each group of which it is due and of which this user is an
    /// admin, and tells the members. A group that the user has left, and whose state lists the user
    /// still, is left alone. A failure in one group does not stop the others.
    ///
    /// # Errors
    /// The first failure, one of those of every call. The key of that group stays due.
    pub(super) async fn renew_group_keys(&self, notices: &mut Vec<Notice>) -> Result<(), MessengerError> {
        let me = self.device.actor();
        let mut outcome = Ok(());
        for known in self.store.read(|tx| tx.groups())? {
            let is_due = known.should_rekey(&me) == RekeyDecision::Rekey
                && known.should_leave_again(&me) == LeaveDecision::NotDue;
            if is_due && !self.was_just_renewed(&known)? {
                outcome = outcome.and(self.renew_group_key(known, notices).await);
            }
        }
        outcome
    }

    /// True if the last change of a group is a renewal of its key that was made within the last hour.
    fn was_just_renewed(&self, known: &KnownGroup) -> Result<bool, DeviceStoreError> {
        let latest = self.store.read(|tx| tx.latest_control(known.current.id().as_str()))?;
        let age = latest.filter(|control| control.change() == GroupChange::Rekeyed);
        let age = age.map(|control| self.now_ms() - control.published_ms());
        // A clock that is ahead holds nothing up.
        Ok(age.is_some_and(|age| (0..RENEWAL_PAUSE_MS).contains(&age)))
    }

    async fn renew_group_key(
        &self,
        known: KnownGroup,
        notices: &mut Vec<Notice>,
    ) -> Result<(), MessengerError> {
        let (change, next) = self.signing(|signer| propose(&known.current, Proposal::Rekey, signer))??;
        let told = next.members().clone();
        match self.control(change, Some(known), next, &told).await {
            // Another process changed the group since it was read. If the key is still due, the
            // next look renews it.
            Err(MessengerError::Group(GroupError::Stale)) => Ok(()),
            Ok(mut changed) => {
                notices.append(&mut changed.notices);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}
