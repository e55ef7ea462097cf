use std::cmp::Ordering;

use super::change::{leads, may};
use super::{GroupChange, GroupControl, GroupError, GroupState, KnownGroup, PreviousState};

/// What is to be done with a control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlVerdict {
    /// The group begins here for this device: with this state, whatever was known of it.
    Join,
    /// It is the next change.
    Apply,
    /// It is what is known already.
    Same,
    /// It takes the place of the current state, over the same previous one.
    Overtakes,
    /// The current state has the better claim on that place.
    Overtaken,
    /// Something is missing before it: it is held, and judged again when the group has changed. As yet nothing of it is
    /// proven, so few of one author are worth holding.
    Ahead,
    /// It changes nothing, and never will.
    Refused(GroupError),
}

/// Judges a control of `author`, the actor id of the user whose device sent it, for the user `me`.
///
/// Of two changes of the same state the one whose state has the lower hash wins, on every device alike; who proposed the
/// other proposes it again on the new state. That is settled with the next epoch: what comes later for an older one
/// is stale.
pub fn judge_control(
    known: Option<&KnownGroup>,
    control: &GroupControl,
    author: &str,
    me: &str,
) -> ControlVerdict {
    decide(known, control, author, me).unwrap_or_else(ControlVerdict::Refused)
}

fn decide(
    known: Option<&KnownGroup>,
    control: &GroupControl,
    author: &str,
    me: &str,
) -> Result<ControlVerdict, GroupError> {
    if control.author() != author {
        return Err(GroupError::OtherAuthor(control.author().to_owned()));
    }
    let Some(known) = known else { return unknown(control, me) };
    let (current, state) = (&known.current, control.state());
    if state.id() != current.id() {
        return Err(GroupError::OtherGroup);
    }
    match state.epoch().cmp(&current.epoch()) {
        Ordering::Less => Err(GroupError::Stale),
        Ordering::Equal if state == current => Ok(ControlVerdict::Same),
        Ordering::Equal => beside(known, control),
        Ordering::Greater if control.previous() == Some(&current.hash()) => {
            check(current, control)?;
            Ok(ControlVerdict::Apply)
        }
        // Someone who is out hears nothing of the group until added again, and so knows none of what was between.
        Ordering::Greater if !current.members().contains(me) => unknown(control, me),
        Ordering::Greater if adds_again(known, control, me) => Ok(ControlVerdict::Join),
        Ordering::Greater => Ok(ControlVerdict::Ahead),
    }
}

/// Whether the control is its author's to make on this state, made with its key, and does what it says.
fn check(before: &GroupState, control: &GroupControl) -> Result<(), GroupError> {
    may(before, control.change(), control.author())?;
    if !control.is_under(before.master_key()) {
        return Err(GroupError::WrongMac);
    }
    leads(before, control.change(), control.state(), control.author())
}

/// Of a group that this device does not know: whoever invites is trusted with it, as with any first message.
fn unknown(control: &GroupControl, me: &str) -> Result<ControlVerdict, GroupError> {
    let state = control.state();
    let by_me = control.change() == GroupChange::Left && control.author() == me;
    if !by_me && !state.members().contains(me) {
        return Err(GroupError::NotForMe);
    }
    match control.change() {
        GroupChange::Left if control.is_under(state.master_key()) => Ok(ControlVerdict::Ahead),
        _ if control.is_under(state.master_key()) => Ok(ControlVerdict::Join),
        // Under the key before them, which only a state to come can prove.
        GroupChange::Removed | GroupChange::Rekeyed => Ok(ControlVerdict::Ahead),
        _ => Err(GroupError::WrongMac),
    }
}

/// Another change for the current epoch.
fn beside(known: &KnownGroup, control: &GroupControl) -> Result<ControlVerdict, GroupError> {
    match (&known.before, control.previous()) {
        (PreviousState::Seen { state, .. }, Some(hash)) if state.hash() == hash => check(state, control)?,
        (PreviousState::Unseen { hash, joined }, Some(previous)) if hash == previous => {
            may(joined, control.change(), control.author())?;
            if !control.is_under(joined.master_key()) {
                return Err(GroupError::WrongMac);
            }
        }
        _ => return Err(GroupError::OtherHistory),
    }
    let wins = control.state().hash() < known.current.hash();
    Ok(if wins { ControlVerdict::Overtakes } else { ControlVerdict::Overtaken })
}

/// Whether an admin whom this device knows as one adds this user to a later state than it can follow.
///
/// Two ways lead there. It was removed in between, of which nobody tells it, since that would tell it the new key. Or
/// the change that it came in with was overtaken by one that it never got.
fn adds_again(known: &KnownGroup, control: &GroupControl, me: &str) -> bool {
    let (current, state) = (&known.current, control.state());
    let came_with_it = match &known.before {
        PreviousState::Nothing => false,
        PreviousState::Seen { state, .. } => !state.members().contains(me),
        PreviousState::Unseen { .. } => true,
    };
    control.change() == GroupChange::Added
        && current.admins().contains(control.author())
        && state.members().contains(me)
        && (state.master_key() != current.master_key() || came_with_it)
        && control.is_under(state.master_key())
}
