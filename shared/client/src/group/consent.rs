//! The consent of a user to be in a group. No control of somebody else makes the user a member.

use super::{ControlVerdict, GroupControl, GroupState, KnownGroup, OwnDeparture, PreviousState};

/// The way in which a control would make a device's user a member, by the verdict on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupEntry {
    /// None: the user is a member already, or is none after the control either.
    NoEntry,
    /// The user left, or was removed, and the author of the control may not have seen that. Whoever left
    /// leaves again.
    Race,
    /// The control asks the user to be a member. It is an invitation.
    Invitation,
}

/// Returns the way in which a control, which was judged so, would make the user `me` a member. Each
/// state that a device keeps passes here, unless the user has made or joined it on another device.
///
/// A control is made without knowing of a departure only if it takes the place of the departure, on a
/// state that the device itself had with the user in it, or if it skips epochs.
pub fn entry_by(
    known: Option<&KnownGroup>,
    control: &GroupControl,
    verdict: &ControlVerdict,
    me: &str,
) -> GroupEntry {
    let lists = |state: &GroupState| state.members().contains(me);
    if known.is_some_and(|known| lists(&known.current)) {
        return GroupEntry::NoEntry;
    }
    if !KnownGroup::after(known, control, verdict, me).is_some_and(|next| lists(&next.current)) {
        return GroupEntry::NoEntry;
    }
    match (verdict, known.map(|known| (&known.before, known.departure))) {
        (ControlVerdict::Overtakes, Some((PreviousState::Seen { state, .. }, _))) if lists(state) => {
            GroupEntry::Race
        }
        (ControlVerdict::Jump, Some((_, OwnDeparture::Made))) => GroupEntry::Race,
        _ => GroupEntry::Invitation,
    }
}
