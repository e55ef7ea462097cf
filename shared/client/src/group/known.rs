//! The record that a device keeps of a group: its state, the states before, whether a new master
//! key is due, whether the user has left, and which members have the state too.

use std::collections::BTreeSet;

use super::{ControlVerdict, GroupChange, GroupControl, GroupState, MasterKey};

mod addition;
mod former_members;
mod json;
mod outsiders;
mod removal;

pub use addition::OwnAdditions;
pub use former_members::{FormerMemberNote, LATE_NOTES_MS, MemberDeparture};
pub use outsiders::Outsiders;
pub use removal::{MAX_RACE, OwnChange, OwnRemovals, Remedy, UndoneChange};

/// The number of former members whom a record names.
pub const MAX_FORMER_MEMBERS: usize = 256;

/// The number of former states whose hashes a record keeps.
pub const MAX_FORMER: usize = 32;

/// A group as a device knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownGroup {
    /// The state now.
    pub current: GroupState,
    /// The holders of the master key of the current state who shall not have it.
    pub outsiders: Outsiders,
    /// The departure of the device's user.
    pub departure: OwnDeparture,
    /// The removals of members by the device's user that a race may still undo.
    pub removals: OwnRemovals,
    /// The additions of members by the device's user that a race may still undo.
    pub additions: OwnAdditions,
    /// The state before, over which another change may turn out to win.
    pub before: PreviousState,
    /// The last change.
    pub change: GroupChange,
    /// The address of the device that made the last change.
    pub maker: String,
    /// The actor id of the admin who made the last change that only admins make, or who left after
    /// it.
    pub leader: String,
    /// The members who have shown that they have this state, or had a former one.
    pub confirmed: BTreeSet<String>,
    /// The former states, oldest first. They are the last 32 at most.
    pub past: Vec<FormerState>,
    /// The actors who were members and are none now. They are 256 at most.
    pub former: BTreeSet<String>,
}

/// A state that a record had, or that the state of a record follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormerState {
    /// The epoch of the state.
    pub epoch: u64,
    /// The hash of the state.
    pub hash: String,
    /// The departure by which the next state followed this one, if it was one.
    pub left: Option<MemberDeparture>,
}

/// The relation of a state that a member has to the states of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateAgreement {
    /// The member has the current state.
    Same,
    /// The member has a former state.
    Former,
    /// The member has another state of an epoch of which this record has or had one.
    Other,
    /// The member has a state of an earlier epoch of which this record had none, or which it has
    /// forgotten.
    Unknown,
    /// The member has a state of a later epoch.
    Later,
}

/// The departure of a device's user from a group.
///
/// The [module](super#leaving-again) says when it is recorded and when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnDeparture {
    /// The user has not left since the user came in.
    NotMade,
    /// The user has left, on this device or on another one, and was not added again. The current
    /// state may still list the user, if the `left` was overtaken.
    Made,
}

/// The state before a group's current one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PreviousState {
    /// There is none: the current state is the first.
    Nothing,
    /// This device knew the state before.
    Seen {
        /// The state.
        state: GroupState,
        /// The holders of its master key who should not have had it.
        outsiders: Outsiders,
    },
    /// This device does not know the state before: it joined with the one after, or the control
    /// for it has not come.
    Unseen {
        /// The hash of the state before.
        hash: String,
        /// The state that this device came in with. Its admins were admins before too.
        joined: GroupState,
        /// The master key of the state before, unless the change that was seen has renewed it.
        master_key: Option<MasterKey>,
    },
}

/// The decision of a user's device about a group's master key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RekeyDecision {
    /// No renewal: every holder of the master key is a member.
    NotDue,
    /// No renewal by this device: somebody who left has the master key, but only an admin may make
    /// another.
    LeftToAdmins,
    /// Renewal: the device makes another master key, by [`super::Proposal::Rekey`].
    Rekey,
}

/// The decision of a user's device about a departure that may have been overtaken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaveDecision {
    /// No departure: the user has not left, or is no member any more.
    NotDue,
    /// No departure now: the user has left, but became the last admin while there are other
    /// members. The device leaves when somebody else is an admin, or when nobody else is a member.
    LastAdmin,
    /// Departure: the device makes another `left`, by [`super::Proposal::Leave`].
    Leave,
}

impl KnownGroup {
    /// Returns the record of a group that the device with the address `maker` begins.
    pub fn created(state: GroupState, maker: &str) -> Self {
        Self {
            leader: state.creator().to_owned(),
            current: state,
            outsiders: Outsiders::default(),
            departure: OwnDeparture::NotMade,
            removals: OwnRemovals::default(),
            additions: OwnAdditions::default(),
            before: PreviousState::Nothing,
            change: GroupChange::Created,
            maker: maker.to_owned(),
            confirmed: BTreeSet::new(),
            past: Vec::new(),
            former: BTreeSet::new(),
        }
    }

    /// Returns this record, which the user chose in the place of `replaced`, with what that one
    /// knows of the past.
    pub fn in_place_of(mut self, replaced: &Self) -> Self {
        self.past.splice(0..0, replaced.past.iter().cloned().chain([FormerState::of(&replaced.current)]));
        self.past.drain(..self.past.len().saturating_sub(MAX_FORMER));
        let former = self.former.iter().chain(&replaced.former).chain(replaced.current.members());
        let former = former.filter(|actor| !self.current.members().contains(*actor));
        self.former = former.take(MAX_FORMER_MEMBERS).cloned().collect();
        self
    }

    /// Returns the record of the device of the user `me` after a control was judged, or `None` if
    /// the control changes nothing.
    pub fn after(
        known: Option<&Self>,
        control: &GroupControl,
        verdict: &ControlVerdict,
        me: &str,
    ) -> Option<Self> {
        match verdict {
            // Who left before this device joined is known to the admin who added it.
            ControlVerdict::Join => Some(Self::changed(known, control, PreviousState::unseen(control), me)),
            ControlVerdict::Apply => {
                let before = known?;
                let (state, outsiders) = (before.current.clone(), before.outsiders.clone());
                Some(Self::changed(known, control, PreviousState::Seen { state, outsiders }, me))
            }
            ControlVerdict::Jump | ControlVerdict::Conflict { wins: true } => {
                known?;
                Some(Self::changed(known, control, PreviousState::unseen(control), me))
            }
            ControlVerdict::Overtakes => Some(Self::changed(known, control, known?.before.clone(), me)),
            ControlVerdict::Reveals => known.map(|known| known.revealed(control)),
            ControlVerdict::LateDeparture => {
                let known = known?;
                let outsiders = known.outsiders.with(control.author(), known.current.members());
                (outsiders != known.outsiders).then(|| Self { outsiders, ..known.clone() })
            }
            // Another device of the user has made the control, and this one sees at once that it
            // has to be made again.
            ControlVerdict::Overtaken if is_departure_of(control, me) => {
                let known = known.filter(|known| known.departure == OwnDeparture::NotMade)?;
                Some(Self { departure: OwnDeparture::Made, ..known.clone() })
            }
            ControlVerdict::Overtaken => {
                let known = known?;
                let additions = known.additions.with_overtaken(control, known.current.members(), me);
                let removals = match &known.before {
                    PreviousState::Seen { state, .. } => known.removals.with_overtaken(control, state, me),
                    PreviousState::Nothing | PreviousState::Unseen { .. } => None,
                };
                (additions.is_some() || removals.is_some()).then(|| Self {
                    additions: additions.unwrap_or_else(|| known.additions.clone()),
                    removals: removals.unwrap_or_else(|| known.removals.clone()),
                    ..known.clone()
                })
            }
            ControlVerdict::Same
            | ControlVerdict::Conflict { wins: false }
            | ControlVerdict::Older
            | ControlVerdict::Ahead
            | ControlVerdict::Refused(_) => None,
        }
    }

    /// Returns the record with the state of a control that counts.
    fn changed(known: Option<&Self>, control: &GroupControl, before: PreviousState, me: &str) -> Self {
        let current = control.state().clone();
        let departure = match known {
            _ if is_departure_of(control, me) => OwnDeparture::Made,
            Some(known) if !known.adds_after_departure(control, me) => known.departure,
            Some(_) | None => OwnDeparture::NotMade,
        };
        let mut past = known.map(|known| known.past.clone()).unwrap_or_default();
        past.extend(known.map(|known| FormerState::of(&known.current)));
        past.drain(..past.len().saturating_sub(MAX_FORMER));
        let confirmed = known.map(|known| known.confirmed.clone()).unwrap_or_default();
        let confirmed = confirmed.into_iter().chain([control.author().to_owned()]);
        let confirmed = confirmed.filter(|actor| current.members().contains(actor)).collect();
        let former = known.iter().flat_map(|known| known.current.members().iter().chain(&known.former));
        let former = former.filter(|actor| !current.members().contains(*actor));
        let former = former.take(MAX_FORMER_MEMBERS).cloned().collect();
        if control.change() == GroupChange::Removed {
            let former = match &before {
                PreviousState::Seen { state, .. } => Some(state),
                PreviousState::Nothing | PreviousState::Unseen { .. } => known.map(|known| &known.current),
            };
            let removed = former.iter().flat_map(|state| state.members().difference(current.members()));
            former_members::forget_departures(&mut past, &removed.cloned().collect());
        }
        let outsiders = Outsiders::after(known, &before, control);
        let removals = OwnRemovals::after(known, control, me);
        let additions = OwnAdditions::after(known, control, me);
        let (change, maker) = (control.change(), control.device().to_owned());
        let leader = match known {
            Some(known)
                if change == GroupChange::Left && !known.current.admins().contains(control.author()) =>
            {
                known.leader.clone()
            }
            _ => control.author().to_owned(),
        };
        Self {
            current,
            outsiders,
            departure,
            removals,
            additions,
            before,
            change,
            maker,
            leader,
            confirmed,
            past,
            former,
        }
    }

    /// Returns the record with the state before, which this device did not know.
    fn revealed(&self, control: &GroupControl) -> Self {
        let state = control.state().clone();
        let mut outsiders = Outsiders::default();
        // The state is proven by its hash. What the control says of its author is proven by the
        // key.
        if control.change() == GroupChange::Left && control.is_under(state.master_key()) {
            outsiders = outsiders.with(control.author(), state.members());
        }
        let same_key = state.master_key() == self.current.master_key();
        let now = match same_key {
            true => self.outsiders.and(&outsiders, self.current.members()),
            false => self.outsiders.clone(),
        };
        Self { outsiders: now, before: PreviousState::Seen { state, outsiders }, ..self.clone() }
    }

    /// True if `earlier`, a state of an earlier epoch that this record never had, has no place
    /// before the current one: the admin who led to the current one is no admin in it.
    ///
    /// A state between two that this device had may come late. Only whoever was made an admin after
    /// it, and is followed at once, makes such a state look like another history.
    pub fn is_denied_by(&self, earlier: &GroupState) -> bool {
        !self.had(&earlier.hash()) && !earlier.admins().contains(&self.leader)
    }

    /// True if the last change has added this actor.
    pub(super) fn has_just_added(&self, actor: &str) -> bool {
        let PreviousState::Seen { state, .. } = &self.before else { return false };
        self.current.members().contains(actor) && !state.members().contains(actor)
    }

    /// True if this record has the state with this hash, or had it, or has seen it as the state before
    /// its own. A state that another one is only said to follow does not count.
    pub fn has_followed(&self, hash: &str) -> bool {
        let is_before = matches!(&self.before, PreviousState::Seen { state, .. } if state.hash() == hash);
        is_before || self.current.hash() == hash || self.past.iter().any(|past| past.hash == hash)
    }

    /// True if this record had the state with this hash, or if its own state follows that one.
    pub(super) fn had(&self, hash: &str) -> bool {
        self.past.iter().any(|past| past.hash == hash) || self.before.hash().as_deref() == Some(hash)
    }

    /// Compares the last change with another control of its epoch. The lesser one wins on every
    /// device: a removal before a departure, a departure before other changes, and then the lower
    /// state hash. So no change that was made without knowing of a removal undoes it.
    pub(super) fn loses_to(&self, control: &GroupControl) -> bool {
        let rank = |change| match change {
            GroupChange::Removed => 0,
            GroupChange::Left => 1,
            _ => 2,
        };
        let other = (rank(control.change()), control.state().hash());
        other < (rank(self.change), self.current.hash())
    }

    /// True if `control` makes another state out of the one before, by the device that made the
    /// last change. A device never does so by itself: it tells different members different things.
    pub fn is_second_story(&self, control: &GroupControl) -> bool {
        let previous = self.before.hash();
        control.device() == self.maker
            && control.state().epoch() == self.current.epoch()
            && control.state() != &self.current
            && control.previous() == previous.as_deref()
    }

    /// Compares the state that a member names with the states of this record.
    pub fn agreement(&self, epoch: u64, state: &str) -> StateAgreement {
        if state == self.current.hash() {
            StateAgreement::Same
        } else if epoch > self.current.epoch() {
            StateAgreement::Later
        } else if self.had(state) {
            StateAgreement::Former
        } else if self.had_one_of(epoch) {
            StateAgreement::Other
        } else {
            StateAgreement::Unknown
        }
    }

    /// True if this record has or had a state of this epoch, or knows the hash of one. It has none
    /// of an epoch that it has skipped, and forgets the oldest.
    fn had_one_of(&self, epoch: u64) -> bool {
        let is_before = self.before.hash().is_some() && epoch.checked_add(1) == Some(self.current.epoch());
        epoch == self.current.epoch() || is_before || self.past.iter().any(|past| past.epoch == epoch)
    }

    /// True if somebody is a member, or was one as far as this record knows.
    pub fn has_or_had(&self, actor: &str) -> bool {
        self.current.members().contains(actor) || self.former.contains(actor)
    }

    /// Returns the members, without `me`, who have not shown that they have a state of this group.
    pub fn unconfirmed(&self, me: &str) -> BTreeSet<String> {
        let members = self.current.members().difference(&self.confirmed);
        members.filter(|member| *member != me).cloned().collect()
    }

    /// True if somebody who shall not have the master key of the current state has it.
    pub fn rekey_due(&self) -> bool {
        !self.outsiders.is_empty()
    }

    /// Returns the record after a device of a member was revoked. That device has the key of the
    /// state before, too, which may take the place of the current one.
    pub fn with_revoked_device(mut self) -> Self {
        self.outsiders.revoked = true;
        if let PreviousState::Seen { outsiders, .. } = &mut self.before {
            outsiders.revoked = true;
        }
        self
    }

    /// Decides whether the device of the user `me` makes another master key now.
    pub fn should_rekey(&self, me: &str) -> RekeyDecision {
        match (self.rekey_due(), self.current.admins().contains(me)) {
            (false, _) => RekeyDecision::NotDue,
            (true, false) => RekeyDecision::LeftToAdmins,
            (true, true) => RekeyDecision::Rekey,
        }
    }

    /// Decides whether the device of the user `me` makes another `left` now.
    pub fn should_leave_again(&self, me: &str) -> LeaveDecision {
        let (members, admins) = (self.current.members(), self.current.admins());
        let stays = self.departure == OwnDeparture::Made && members.contains(me);
        let is_last_admin = members.len() > 1 && admins.iter().eq([me]);
        match (stays, is_last_admin) {
            (false, _) => LeaveDecision::NotDue,
            (true, true) => LeaveDecision::LastAdmin,
            (true, false) => LeaveDecision::Leave,
        }
    }

    /// True if `control`, which was accepted, adds the user `me` to the group again after a
    /// departure that the current state shows.
    fn adds_after_departure(&self, control: &GroupControl, me: &str) -> bool {
        !self.current.members().contains(me) && control.brings_in(me)
    }
}

impl FormerState {
    fn of(state: &GroupState) -> Self {
        Self { epoch: state.epoch(), hash: state.hash(), left: None }
    }
}

impl PreviousState {
    /// Returns the hash of the state.
    fn hash(&self) -> Option<String> {
        match self {
            Self::Nothing => None,
            Self::Seen { state, .. } => Some(state.hash()),
            Self::Unseen { hash, .. } => Some(hash.clone()),
        }
    }

    /// Returns the state before a control, of which only the hash is known.
    fn unseen(control: &GroupControl) -> Self {
        let Some(hash) = control.previous() else { return Self::Nothing };
        let joined = control.state().clone();
        let renews = matches!(control.change(), GroupChange::Removed | GroupChange::Rekeyed);
        let master_key = (!renews).then(|| joined.master_key().clone());
        Self::Unseen { hash: hash.to_owned(), joined, master_key }
    }
}

/// True if `control` is a departure of the user `me`.
fn is_departure_of(control: &GroupControl, me: &str) -> bool {
    control.change() == GroupChange::Left && control.author() == me
}
