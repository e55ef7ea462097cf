//! The departures, removals and additions of this user that were undone, made again.
//! [`crate::group`] has the rules.

use std::collections::BTreeSet;

use super::{Messenger, MessengerError, Notice};
use crate::group::{
    ControlVerdict, GroupChange, GroupControl, GroupEntry, GroupError, KnownGroup, LeaveDecision, MAX_RACE,
    OwnDeparture, PreviousState, Proposal, entry_by, propose,
};
use crate::store::{DeviceStoreError, Transaction};
use crate::stored_time::is_over;
use crate::{SignalSessions, Transport};

/// The time after another departure in which no control but somebody's `left` brings the user back.
pub const CALL_PAUSE_MS: i64 = 3_600_000;

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Leaves each group that this user has left before and whose state lists the user still, and
    /// removes the members whom this user has removed before and whose group lists them still. Adds
    /// again whom this user has added, if another change of the same state has undone that. The members
    /// are told with the next flush. A failure in one group does not stop the others.
    ///
    /// # Errors
    /// The first failure, one of those of every call. That change is made at the next look.
    pub(super) async fn make_changes_again(&self, notices: &mut Vec<Notice>) -> Result<(), MessengerError> {
        let me = self.device.actor();
        let mut outcome = Ok(());
        for known in self.store.read(|tx| tx.groups())? {
            let (removed, added) = (known.should_remove_again(&me), known.should_add_again(&me));
            let again = match known.should_leave_again(&me) {
                LeaveDecision::Leave => self.leave_again(known, notices).await,
                LeaveDecision::LastAdmin => Ok(()),
                LeaveDecision::NotDue if !removed.is_empty() => {
                    self.make_again(known, Proposal::Remove(removed), None, notices).await
                }
                LeaveDecision::NotDue if !added.is_empty() => {
                    self.make_again(known, Proposal::Add(added), None, notices).await
                }
                LeaveDecision::NotDue => Ok(()),
            };
            outcome = outcome.and(again);
        }
        outcome
    }

    /// Leaves a group again. Only members of the state that the user has left are told: an admin may
    /// have added others meanwhile, whose servers this user never chose to ask for anything.
    async fn leave_again(&self, known: KnownGroup, notices: &mut Vec<Notice>) -> Result<(), MessengerError> {
        let (id, now_ms) = (known.current.id().clone(), self.now_ms());
        let departure = self.store.read(|tx| tx.departure(id.as_str()))?;
        let told = departure.map(|departure| departure.members).unwrap_or_default();
        let told = told.intersection(known.current.members()).cloned().collect();
        self.make_again(known, Proposal::Leave, Some(told), notices).await?;
        Ok(self.store.write(|tx| tx.note_left_again(id.as_str(), now_ms))?)
    }

    /// Makes a change and puts it into envelopes for `told`, or for all members. They are sent with
    /// everything else that is due.
    async fn make_again(
        &self,
        known: KnownGroup,
        proposal: Proposal,
        told: Option<BTreeSet<String>>,
        notices: &mut Vec<Notice>,
    ) -> Result<(), MessengerError> {
        let (change, next) = self.signing(|signer| propose(&known.current, proposal, signer))??;
        let told = told.unwrap_or_else(|| next.members().clone());
        match self.put_control(change, Some(known), next, &told).await {
            // Another process changed the group since it was read. If it is still due, the next look
            // makes the change.
            Err(MessengerError::Group(GroupError::Stale)) => Ok(()),
            Ok((_, mut told)) => {
                notices.append(&mut told);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// True if a control would make this user a member who is none, or keep one who has left, and only
    /// the user can say so: it is an invitation.
    ///
    /// It is none if its author may not have seen that the user has left, so that the user leaves again.
    /// But an admin could use that to lead the user to others, over and over, or to make them the last
    /// admin, who cannot leave. So as long as the user has left, a control that lists the user
    ///
    /// * lists nobody but members of the state that was left;
    /// * lists the user as an admin only if the user was one in the state before, which the device had
    ///   as its own;
    /// * counts within [`MAX_RACE`] epochs, unless it is the next change of a state that lists the user;
    /// * brings the user back once an hour, unless it is the `left` of somebody who left at once.
    pub(super) fn needs_consent(
        &self,
        tx: &Transaction<'_>,
        known: Option<&KnownGroup>,
        control: &GroupControl,
        verdict: &ControlVerdict,
    ) -> Result<bool, DeviceStoreError> {
        let (me, state) = (self.device.actor(), control.state());
        let comes_back = match entry_by(known, control, verdict, &me) {
            GroupEntry::NoEntry => return Ok(false),
            GroupEntry::Invitation => return Ok(true),
            GroupEntry::Race => true,
            GroupEntry::Stay => false,
        };
        let Some(departure) = tx.departure(state.id().as_str())? else { return Ok(true) };
        let lists_others = !state.members().is_subset(&departure.members);
        // The user is an admin only if a right change of a state that this device followed has kept that.
        let was_admin = known.is_some_and(|known| match (verdict, &known.before) {
            (ControlVerdict::Apply, _) => known.current.admins().contains(&me),
            (ControlVerdict::Overtakes, PreviousState::Seen { state, .. }) => {
                state.admins().contains(&me) && known.past.iter().any(|past| past.hash == state.hash())
            }
            _ => false,
        });
        if lists_others || (state.admins().contains(&me) && !was_admin) {
            return Ok(true);
        }
        if *verdict == ControlVerdict::Apply {
            return Ok(false);
        }
        let left_at_once = *verdict == ControlVerdict::Overtakes && control.change() == GroupChange::Left;
        let is_soon = departure.again_ms.is_some_and(|ms| !is_over(self.now_ms(), ms, CALL_PAUSE_MS));
        let is_late = state.epoch() > departure.epoch.saturating_add(MAX_RACE);
        Ok(is_late || (comes_back && is_soon && !left_at_once))
    }
}

/// Keeps the departure of this user from a group, if `control` is the first one that counts: the epoch
/// and the members of the state that was left. Another change of that state may be the last that this
/// device has, so the departure itself says who they were.
pub(super) fn note_departure(
    tx: &Transaction<'_>,
    control: &GroupControl,
    after: &KnownGroup,
    me: &str,
) -> Result<(), DeviceStoreError> {
    let is_own = control.change() == GroupChange::Left && control.author() == me;
    if !is_own || after.departure != OwnDeparture::Made {
        return Ok(());
    }
    let state = control.state();
    let members = state.members().iter().cloned().chain([me.to_owned()]).collect();
    tx.keep_departure(state.id().as_str(), state.epoch().saturating_sub(1), &members)
}
