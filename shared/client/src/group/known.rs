//! The record that a device keeps of a group: its state, the state before, whether a new master key
//! is due, and whether the user has left.

use eko_protocol::Invalid;
use serde_json::{Value, json};

use super::{ControlVerdict, GroupChange, GroupControl, GroupState};
use crate::content::member::parsed;

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
    /// This device was not sent the state before, because it joined with the one after.
    Unseen {
        /// The hash of the state before.
        hash: String,
        /// The state that this device joined with. It has the master key of the state before, and
        /// its admins were admins before too.
        joined: GroupState,
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
    /// Returns the record of the device that creates a group.
    pub fn created(state: GroupState) -> Self {
        Self {
            current: state,
            rekey_due: false,
            departure: OwnDeparture::NotMade,
            before: PreviousState::Nothing,
        }
    }

    /// Returns the record of the device of the user `me` after a control was judged, or `None` if
    /// the control changes nothing.
    pub fn after(
        known: Option<&Self>,
        control: &GroupControl,
        verdict: &ControlVerdict,
        me: &str,
    ) -> Option<Self> {
        let current = control.state().clone();
        let (before, rekey_due) = match verdict {
            ControlVerdict::Join => {
                let before = match control.previous() {
                    None => PreviousState::Nothing,
                    Some(hash) => PreviousState::Unseen { hash: hash.to_owned(), joined: current.clone() },
                };
                // Who left before this device joined is known to the admin who added it.
                (before, known.is_some_and(|known| known.stays_due(control)))
            }
            ControlVerdict::Apply => {
                let known = known?;
                let before = PreviousState::Seen { state: known.current.clone(), rekey_due: known.rekey_due };
                (before, known.stays_due(control))
            }
            ControlVerdict::Overtakes => {
                let before = known?.before.clone();
                let rekey_due = before.stays_due(control);
                (before, rekey_due)
            }
            // Another device of the user left, and this one sees at once that it has to leave
            // again.
            ControlVerdict::Overtaken if is_departure_of(control, me) => {
                let known = known.filter(|known| known.departure == OwnDeparture::NotMade)?;
                return Some(Self { departure: OwnDeparture::Made, ..known.clone() });
            }
            ControlVerdict::Same
            | ControlVerdict::Overtaken
            | ControlVerdict::Ahead
            | ControlVerdict::Refused(_) => return None,
        };
        let departure = match known {
            _ if is_departure_of(control, me) => OwnDeparture::Made,
            Some(known) if !known.adds_after_departure(control, me) => known.departure,
            Some(_) | None => OwnDeparture::NotMade,
        };
        Some(Self { current, rekey_due, departure, before })
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
    ///
    /// A control does not tell whom it adds, and the state before it may be unknown here. If it
    /// follows another state of the current epoch and has the same key, the departure was
    /// overtaken: only a `removed`, which makes another key, could have taken the user out of that
    /// state.
    fn adds_after_departure(&self, control: &GroupControl, me: &str) -> bool {
        let (current, state) = (&self.current, control.state());
        let follows = control.previous() == Some(&current.hash());
        let is_next = current.epoch().checked_add(1) == Some(state.epoch());
        let was_overtaken = !follows && is_next && current.master_key() == state.master_key();
        control.change() == GroupChange::Added
            && !current.members().contains(me)
            && state.members().contains(me)
            && !was_overtaken
    }

    /// True if a new key is due after `control`, which follows the current state.
    fn stays_due(&self, control: &GroupControl) -> bool {
        is_due_after(&self.current, self.rekey_due, control)
    }

    /// Returns the JSON that the record is kept as. It holds master keys.
    pub fn to_value(&self) -> Value {
        let (current, due) = (self.current.to_value(), self.rekey_due);
        let left = self.departure == OwnDeparture::Made;
        match &self.before {
            PreviousState::Nothing => json!({ "current": current, "rekeyDue": due, "userLeft": left }),
            PreviousState::Seen { state, rekey_due } => json!({
                "current": current, "rekeyDue": due, "userLeft": left,
                "before": state.to_value(), "beforeRekeyDue": rekey_due,
            }),
            PreviousState::Unseen { hash, joined } => json!({
                "current": current, "rekeyDue": due, "userLeft": left,
                "beforeHash": hash, "joined": joined.to_value(),
            }),
        }
    }

    /// Reads what [`KnownGroup::to_value`] wrote.
    ///
    /// # Errors
    /// [`Invalid`] at the first member that is missing, or whose state breaks a rule.
    pub fn parse(value: &Value) -> Result<Self, Invalid> {
        let state = |name: &str| {
            let state = GroupState::parse(value.get(name).unwrap_or(&Value::Null));
            state.map_err(|fault| fault.under(format!("/{name}")))
        };
        let before = if value.get("joined").is_some() {
            let hash = parsed(value, "beforeHash", |hash| Ok(hash.to_owned()))?;
            PreviousState::Unseen { hash, joined: state("joined")? }
        } else if value.get("before").is_some() {
            PreviousState::Seen { state: state("before")?, rekey_due: flag(value, "beforeRekeyDue")? }
        } else {
            PreviousState::Nothing
        };
        let departure = match flag(value, "userLeft")? {
            true => OwnDeparture::Made,
            false => OwnDeparture::NotMade,
        };
        Ok(Self { current: state("current")?, rekey_due: flag(value, "rekeyDue")?, departure, before })
    }
}

impl PreviousState {
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

/// Reads a boolean member, which records of older versions lack: then it is false.
fn flag(value: &Value, name: &str) -> Result<bool, Invalid> {
    match value.get(name) {
        None => Ok(false),
        Some(member) => {
            member.as_bool().ok_or_else(|| Invalid::at(format!("/{name}"), "must be true or false"))
        }
    }
}
