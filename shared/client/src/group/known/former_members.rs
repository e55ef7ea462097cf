//! Notes of those who were members: what a record says of their departures, and which notes count.

use std::collections::BTreeSet;

use super::{FormerState, KnownGroup};
use crate::group::{GroupChange, GroupControl};

/// The time for which notes of somebody who has left still count, if they name a state before: a server tries
/// for two days to reach another one.
pub const LATE_NOTES_MS: i64 = 48 * 3_600_000;

/// The departure of another member, as a device has learned of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberDeparture {
    /// The actor id of the member.
    pub actor: String,
    /// The time at which the device's server accepted the `left`, in epoch milliseconds.
    pub received_ms: i64,
}

/// The standing of a note whose author is no member of its group any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormerMemberNote {
    /// The author has left since the state that the note names, and the note came before the `left`.
    BeforeDeparture,
    /// The same, but the note came up to [`LATE_NOTES_MS`] later: it was on its way, or was written since.
    SoonAfterDeparture,
    /// The author was removed, has left longer ago, or names a state that the record never had.
    Other,
}

/// Forgets the departures of those who are removed: from then on their notes count for nothing, whatever state they
/// name.
pub(super) fn forget_departures(past: &mut [FormerState], removed: &BTreeSet<String>) {
    for past in past {
        past.left.take_if(|left| removed.contains(&left.actor));
    }
}

impl KnownGroup {
    /// Records when the `left` came that has made the current state.
    pub fn with_departure_of_member(mut self, control: &GroupControl, received_ms: i64) -> Self {
        if control.change() == GroupChange::Left
            && self.current == *control.state()
            && let Some(before) = self.past.last_mut()
        {
            before.left = Some(MemberDeparture { actor: control.author().to_owned(), received_ms });
        }
        self
    }

    /// Returns the standing of a note of `actor`, who is no member: it names this state, and the device's server
    /// accepted it at `received_ms`.
    pub fn note_of_former_member(&self, actor: &str, state: &str, received_ms: i64) -> FormerMemberNote {
        let later = self.past.iter().skip_while(|past| past.hash != state);
        let left = later.filter_map(|past| past.left.as_ref()).filter(|left| left.actor == actor);
        match left.map(|left| received_ms.saturating_sub(left.received_ms)).min() {
            Some(..=0) => FormerMemberNote::BeforeDeparture,
            Some(..=LATE_NOTES_MS) => FormerMemberNote::SoonAfterDeparture,
            _ => FormerMemberNote::Other,
        }
    }
}
