//! The record that a device keeps of a group: its state, the states before, whether a new master
//! key is due, whether the user has left, and which members have the state too.

use std::collections::BTreeSet;

use super::{ControlVerdict, GroupChange, GroupControl, GroupState, MasterKey};

mod json;

/// The number of former members whom a record names.
const FORMER: usize = 256;

/// The number of former states whose hashes a record keeps.
pub const MAX_FORMER: usize = 32;

/// A group as a device knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownGroup {
    /// The state now.
    pub current: GroupState,
    /// True if someone who left still has the master key of the current state.
    ///
    /// The [module](super#renewing-the-master-key) says when it is set and cleared.
    pub rekey_due: bool,
    /// The departure of the device's user.
    pub departure: OwnDeparture,
    /// The state before, over which another change may turn out to win.
    pub before: PreviousState,
    /// The address of the device that made the last change.
    pub maker: String,
    /// The members who have shown that they have this state, or had a former one.
    pub confirmed: BTreeSet<String>,
    /// The hashes of the former states, oldest first. They are the last 32 at most.
    pub past: Vec<String>,
    /// The actors who were members and are none now. They are 256 at most.
    pub former: BTreeSet<String>,
}

/// The relation of a state that a member has to the states of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateAgreement {
    /// The member has the current state.
    Same,
    /// The member has a former state.
    Former,
    /// The member has a state of this or an earlier epoch that this record never had.
    Other,
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
        /// True if someone who left still had its master key.
        rekey_due: bool,
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
            current: state,
            rekey_due: false,
            departure: OwnDeparture::NotMade,
            before: PreviousState::Nothing,
            maker: maker.to_owned(),
            confirmed: BTreeSet::new(),
            past: Vec::new(),
            former: BTreeSet::new(),
        }
    }

    /// Returns this record, which the user chose in the place of `replaced`, with what that one knows
    /// of the past.
    pub fn in_place_of(mut self, replaced: &Self) -> Self {
        self.past.splice(0..0, replaced.past.iter().cloned().chain([replaced.current.hash()]));
        self.past.drain(..self.past.len().saturating_sub(MAX_FORMER));
        let former = self.former.iter().chain(&replaced.former).chain(replaced.current.members());
        let former = former.filter(|actor| !self.current.members().contains(*actor));
        self.former = former.take(FORMER).cloned().collect();
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
            ControlVerdict::Join => {
                let rekey_due = known.is_some_and(|known| known.stays_due(control));
                Some(Self::changed(known, control, PreviousState::unseen(control), rekey_due, me))
            }
            ControlVerdict::Apply => {
                let before = known?;
                let seen = PreviousState::Seen { state: before.current.clone(), rekey_due: before.rekey_due };
                Some(Self::changed(known, control, seen, before.stays_due(control), me))
            }
            ControlVerdict::Jump | ControlVerdict::Conflict { wins: true } => {
                let rekey_due = known?.stays_due(control);
                Some(Self::changed(known, control, PreviousState::unseen(control), rekey_due, me))
            }
            ControlVerdict::Overtakes => {
                let before = known?.before.clone();
                let rekey_due = before.stays_due(control);
                Some(Self::changed(known, control, before, rekey_due, me))
            }
            ControlVerdict::Reveals => known.map(|known| known.revealed(control)),
            ControlVerdict::LateDeparture => {
                let known = known.filter(|known| !known.rekey_due)?;
                Some(Self { rekey_due: true, ..known.clone() })
            }
            // Another device of the user left, and this one sees at once that it has to leave
            // again.
            ControlVerdict::Overtaken if is_departure_of(control, me) => {
                let known = known.filter(|known| known.departure == OwnDeparture::NotMade)?;
                Some(Self { departure: OwnDeparture::Made, ..known.clone() })
            }
            ControlVerdict::Same
            | ControlVerdict::Overtaken
            | ControlVerdict::Conflict { wins: false }
            | ControlVerdict::Older
            | ControlVerdict::Ahead
            | ControlVerdict::Refused(_) => None,
        }
    }

    /// Returns the record with the state of a control that counts.
    fn changed(
        known: Option<&Self>,
        control: &GroupControl,
        before: PreviousState,
        rekey_due: bool,
        me: &str,
    ) -> Self {
        let current = control.state().clone();
        let departure = match known {
            _ if is_departure_of(control, me) => OwnDeparture::Made,
            Some(known) if !known.adds_after_departure(control, me) => known.departure,
            Some(_) | None => OwnDeparture::NotMade,
        };
        let mut past = known.map(|known| known.past.clone()).unwrap_or_default();
        past.extend(known.map(|known| known.current.hash()));
        past.drain(..past.len().saturating_sub(MAX_FORMER));
        let confirmed = known.map(|known| known.confirmed.clone()).unwrap_or_default();
        let confirmed = confirmed.into_iter().chain([control.author().to_owned()]);
        let confirmed = confirmed.filter(|actor| current.members().contains(actor)).collect();
        let former = known.iter().flat_map(|known| known.current.members().iter().chain(&known.former));
        let former = former.filter(|actor| !current.members().contains(*actor));
        let former = former.take(FORMER).cloned().collect();
        let maker = control.device().to_owned();
        Self { current, rekey_due, departure, before, maker, confirmed, past, former }
    }

    /// Returns the record with the state before, which this device did not know.
    fn revealed(&self, control: &GroupControl) -> Self {
        let state = control.state().clone();
        let rekey_due = control.change() == GroupChange::Left;
        let same_key = state.master_key() == self.current.master_key();
        Self {
            rekey_due: self.rekey_due || (same_key && rekey_due),
            before: PreviousState::Seen { state, rekey_due },
            ..self.clone()
        }
    }

    /// True if `earlier`, a state of an earlier epoch that this record never had, has no place before
    /// the current one: the admin who made the current one is no admin in it.
    ///
    /// A state between two that this device had may come late. Only whoever was made an admin after
    /// it, and is followed at once, makes such a state look like another history.
    pub fn is_denied_by(&self, earlier: &GroupState) -> bool {
        let hash = earlier.hash();
        let made_it = |admin: &&String| {
            self.maker.strip_prefix(admin.as_str()).is_some_and(|rest| rest.starts_with('/'))
        };
        let maker = self.current.admins().iter().find(made_it);
        let is_known = self.past.contains(&hash) || self.before.hash().is_some_and(|before| before == hash);
        !is_known && maker.is_some_and(|maker| !earlier.admins().contains(maker))
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
        } else if self.past.iter().chain(&self.before.hash()).any(|past| past == state) {
            StateAgreement::Former
        } else {
            StateAgreement::Other
        }
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

    /// Decides whether the device of the user `me` makes another master key now.
    pub fn should_rekey(&self, me: &str) -> RekeyDecision {
        match (self.rekey_due, self.current.admins().contains(me)) {
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

    /// True if a new key is due after `control`, which follows the current state.
    fn stays_due(&self, control: &GroupControl) -> bool {
        is_due_after(&self.current, self.rekey_due, control)
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

    /// True if a new key is due after `control`, which follows this state in place of the current
    /// one.
    fn stays_due(&self, control: &GroupControl) -> bool {
        match self {
            Self::Nothing => false,
            Self::Seen { state, rekey_due } => is_due_after(state, *rekey_due, control),
            Self::Unseen { joined, .. } => is_due_after(joined, false, control),
        }
    }
}

/// True if someone who left has the master key of the state that `control` makes out of `before`.
fn is_due_after(before: &GroupState, was_due: bool, control: &GroupControl) -> bool {
    let same_key = before.master_key() == control.state().master_key();
    same_key && (was_due || control.change() == GroupChange::Left)
}

/// True if `control` is a departure of the user `me`.
fn is_departure_of(control: &GroupControl, me: &str) -> bool {
    control.change() == GroupChange::Left && control.author() == me
}
