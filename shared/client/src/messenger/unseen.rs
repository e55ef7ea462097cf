//! Controls of admins of whom this device has not seen how they became admins: a server withholds
//! that, and nobody whom this device knows as an admin is left to vouch for them.

use super::controls::{NewGrants, event};
use super::holding::Awaited;
use super::incoming::ActivitySource;
use super::standing::Standing;
use super::{GroupEvent, Messenger, MessengerError, Notice};
use crate::group::{ControlVerdict, GroupControl, KnownGroup, comes_of_unseen_admin};
use crate::store::{HeldReason, Transaction};
use crate::{SignalSessions, Transport};

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Offers the history of a control that is ahead, if grants prove that its author is or was an admin,
    /// and its author needs none of a device that was revoked. The user is told once, until the group
    /// changes. Returns the reason for which the control is held: what is missing may come all the same.
    pub(super) fn offer_unseen_admin(
        &self,
        tx: &Transaction<'_>,
        known: &KnownGroup,
        control: &GroupControl,
        whence: &ActivitySource<'_>,
        notices: &mut Vec<Notice>,
    ) -> Result<(HeldReason, Awaited), MessengerError> {
        let (me, id, author) = (self.device.actor(), control.state().id(), control.author());
        let ahead = (HeldReason::Ahead, Awaited::Author);
        if !comes_of_unseen_admin(known, control, &me) {
            return Ok(ahead);
        }
        let is_heard = whence.standing != Standing::Stranger || known.has_or_had(author);
        match self.check_new_grants(tx, &known.current, control.state())? {
            NewGrants::Proven if self.rests_on_doubt(tx, &known.current, control.state(), author)? => {
                return Ok(ahead);
            }
            NewGrants::Proven => {}
            // What a stranger makes up leads this device to nobody's chain.
            NewGrants::Unknown { by: actor, device } if is_heard => {
                return Ok((HeldReason::UnknownAuthor, Awaited::Granter { actor, device }));
            }
            NewGrants::Unknown { .. } | NewGrants::False(_) => return Ok(ahead),
        }
        if let Some(other) = KnownGroup::after(None, control, &ControlVerdict::Join, &me) {
            self.keep_lineage(tx, other, control.clone(), author, whence)?;
            if tx.note_conflict(id.as_str(), author)? {
                notices.push(event(id, author, GroupEvent::UnseenAdmin));
            }
        }
        Ok(ahead)
    }
}
