//! Invitations that a device passes on to a device of its user that was approved later: they came before that
//! one was there.

use super::incoming::ActivitySource;
use super::standing::Standing;
use super::{Messenger, MessengerError, Notice};
use crate::content::{Activity, ActivityContent};
use crate::group::{ControlSender, ControlVerdict, GroupControl, judge_control};
use crate::store::{HeldReason, StoredInvitation, Transaction};
use crate::{SignalSessions, Transport};

/// The greatest number of invitations that a new device is told of: the latest ones.
const MOST_PASSED_ON: usize = 32;

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Puts the open invitations into envelopes for this user's other devices, by an `Announce` of the control
    /// that made the state of each. Returns the ids of the activities.
    pub(super) fn pass_on_invitations(&self, tx: &Transaction<'_>) -> Result<Vec<String>, MessengerError> {
        let me = self.me();
        let open = tx.invitations(None)?.into_iter().rev().filter(|invitation| !invitation.declined);
        let mut put = Vec::new();
        for StoredInvitation { latest, .. } in open.take(MOST_PASSED_ON) {
            let content = ActivityContent::Announce(Box::new(latest));
            let mut activity = self.evidence(tx, &me.actor(), None, content)?;
            // There is nobody in this conversation whose chain could differ.
            activity.device_sets_hash = None;
            activity.device_sets.clear();
            self.enclose(tx, &activity, std::slice::from_ref(&me), false)?;
            put.push(activity.id.to_string());
        }
        Ok(put)
    }

    /// Keeps the invitation that another device of this user passes on. It waits for the chain of its author,
    /// and is proven like any other when the user joins.
    pub(super) fn keep_passed_on_invitation(
        &self,
        tx: &Transaction<'_>,
        activity: &Activity,
        control: &GroupControl,
        whence: &ActivitySource<'_>,
        notices: &mut Vec<Notice>,
    ) -> Result<(), MessengerError> {
        let (me, state, device) = (self.device.actor(), control.state(), control.device());
        let is_known = tx.group(state.id().as_str())?.is_some_and(|known| known.has_followed(&state.hash()));
        if is_known || !state.members().contains(&me) {
            return Ok(());
        }
        let author = self.kept_contact(tx, control.author())?;
        let listed = author.as_ref().and_then(|author| author.listed(device));
        let Some((author, listed)) = author.zip(listed) else {
            return self.hold(tx, state.id(), activity, whence, HeldReason::UnknownAuthor, notices);
        };
        let sender = ControlSender { actor: control.author(), device, identity: &listed.identity };
        let standing = Standing::of(&author, device, &me);
        let verdict = judge_control(None, control, &sender, &me);
        if standing == Standing::Revoked || matches!(verdict, ControlVerdict::Refused(_)) {
            return Ok(());
        }
        let by_author = ActivitySource {
            actor: control.author(),
            device,
            envelope: None,
            received_ms: whence.received_ms,
            standing,
            warning: whence.warning.clone(),
            was_held: whence.was_held,
            forwarder: None,
        };
        self.invite(tx, control, &by_author, notices)
    }
}
