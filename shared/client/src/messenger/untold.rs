//! Changes of groups that members have not been told when their author moves. The old account sends nothing
//! any more, so the new one passes them on.

use std::collections::BTreeSet;

use super::{Messenger, MessengerError, Person};
use crate::content::{Activity, ActivityContent};
use crate::group::GroupControl;
use crate::store::{DeviceStoreError, Transaction};
use crate::{SignalSessions, Transport};

/// A change of a group that a member has not been told yet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UntoldChange {
    /// The name of the group.
    pub group: String,
    /// The member.
    pub member: Person,
}

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Returns the changes of groups by this account that wait to be sent to members.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn untold_changes(&self) -> Result<BTreeSet<UntoldChange>, DeviceStoreError> {
        let waiting = self.store.read(|tx| tx.waiting_plaintexts())?;
        let change = |(recipient, plaintext): (String, Vec<u8>)| {
            let member = Person::of(&recipient).filter(|member| *member != self.me())?;
            Some(UntoldChange { group: control_of(&plaintext)?.state().name().to_owned(), member })
        };
        Ok(waiting.into_iter().filter_map(change).collect())
    }

    /// Puts among what is to be sent the changes of groups that the account which the user has left has not told:
    /// for those who lack them, unless they are blocked. A reader takes a change from the successor of its author.
    /// What cannot be read any more is left out.
    pub(super) fn pass_on_untold(&self, tx: &Transaction<'_>) -> Result<(), MessengerError> {
        let blocks = tx.blocks()?;
        for untold in tx.take_untold_controls()? {
            let member = Person::of(&untold.recipient).filter(|member| *member != self.me());
            let member = member.filter(|member| !blocks.cover(&member.actor()));
            let Some((member, control)) = member.zip(control_of(&untold.plaintext()?)) else { continue };
            let activity = self.evidence(tx, &member.actor(), None, ActivityContent::Announce(control))?;
            self.enclose(tx, &activity, &[member], false)?;
        }
        Ok(())
    }
}

/// Returns the control that an activity carries, if it is one of its author's.
fn control_of(plaintext: &[u8]) -> Option<Box<GroupControl>> {
    match Activity::from_plaintext(plaintext).ok()?.content {
        ActivityContent::Control(control) => Some(control),
        _ => None,
    }
}
