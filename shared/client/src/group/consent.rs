//! The consent of a user to be in a group. No control of somebody else makes the user a member, or
//! keeps whoever has left.

use super::{ControlVerdict, GroupControl, GroupState, KnownGroup, OwnDeparture, PreviousState};

/// The way in which a control would make a device's user a member, by the verdict on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupEntry {
    /// None: the user is a member who wants to be one, or is none after the control.
    NoEntry,
    /// The user has left, and the author of the control may not have seen that. It lists the user, who
    /// leaves again.
    Race,
    /// The user has left, and the state that the device has lists the user still: a race has won. So
    /// does the state that the control makes.
    Stay,
    /// The control asks the user to be a member. It is an invitation.
    Invitation,
}

/// Returns the way in which a control, which was judged so, would make the user `me` a member. Each
/// state that a device keeps passes here, unless the user has made or joined it on another device.
///
/// A control is made without knowing of a departure only if it takes the place of the departure, on a
/// state that the device itself had with the user in it, or if it skips epochs. Whoever was removed has
/// no departure to make again, so nothing but an invitation brings them back.
pub fn entry_by(
    known: Option<&KnownGroup>,
    control: &GroupControl,
    verdict: &ControlVerdict,
    me: &str,
) -> GroupEntry {
    let lists = |state: &GroupState| state.members().contains(me);
    let next = KnownGroup::after(known, control, verdict, me).map(|next| next.current);
    let Some(next) = next.filter(lists) else { return GroupEntry::NoEntry };
    let Some(known) = known else { return GroupEntry::Invitation };
    match (known.departure, lists(&known.current)) {
        (OwnDeparture::NotMade, true) => GroupEntry::NoEntry,
        (OwnDeparture::NotMade, false) => GroupEntry::Invitation,
        (OwnDeparture::Made, true) if next == known.current => GroupEntry::NoEntry,
        (OwnDeparture::Made, true) => GroupEntry::Stay,
        (OwnDeparture::Made, false) => match (verdict, &known.before) {
            (ControlVerdict::Jump, _) => GroupEntry::Race,
            (ControlVerdict::Overtakes, PreviousState::Seen { state, .. }) if lists(state) => {
                GroupEntry::Race
            }
            _ => GroupEntry::Invitation,
        },
    }
}
