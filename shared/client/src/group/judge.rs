//! The judgement on each control that arrives.

use std::cmp::Ordering;

use super::change::{leads, may};
use super::{GroupChange, GroupControl, GroupError, GroupState, KnownGroup, PreviousState};

/// The judgement on a control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlVerdict {
    /// The device joins the group with this state, whatever it knew of the group before.
    Join,
    /// The control is the next change.
    Apply,
    /// The control makes the state that is known already.
    Same,
    /// The control takes the place of the last change: both follow the same state, and this one has
    /// the lower hash.
    Overtakes,
    /// The control loses against the last change: both follow the same state, and the last change
    /// has the lower hash.
    Overtaken,
    /// Something before the control is missing. The control is held, and judged again when the
    /// group has changed. Nothing of it is proven yet, so only few of one author are worth holding.
    Ahead,
    /// The control changes nothing, now or later.
    Refused(GroupError),
}

/// Judges a control for the user `me`. `author` is the actor id of the user whose device sent it.
///
/// Of two changes of the same state, the one whose new state has the lower hash wins, on every
/// device alike. The author of the other one may propose it again on the new state; a `left` is
/// [made again](super#leaving-again) without being asked for. The next epoch settles this: a
/// control that comes later for an older epoch is stale.
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
        // A user who is not a member is told nothing of the group until added again, and so knows
        // nothing of what happened in between.
        Ordering::Greater if !current.members().contains(me) => unknown(control, me),
        Ordering::Greater if adds_again(known, control, me) => Ok(ControlVerdict::Join),
        Ordering::Greater => Ok(ControlVerdict::Ahead),
    }
}

/// Checks that the author may make this change to this state, that the MAC is under the state's
/// key, and that the new state fits the change.
fn check(before: &GroupState, control: &GroupControl) -> Result<(), GroupError> {
    may(before, control.change(), control.author())?;
    if !control.is_under(before.master_key()) {
        return Err(GroupError::WrongMac);
    }
    leads(before, control.change(), control.state(), control.author())
}

/// Judges a control of a group of which this user is not a member. Whoever adds the user is trusted
/// with the state, as with a first message.
fn unknown(control: &GroupControl, me: &str) -> Result<ControlVerdict, GroupError> {
    let state = control.state();
    let by_me = control.change() == GroupChange::Left && control.author() == me;
    if !by_me && !state.members().contains(me) {
        return Err(GroupError::NotForMe);
    }
    match control.change() {
        GroupChange::Left if control.is_under(state.master_key()) => Ok(ControlVerdict::Ahead),
        _ if control.is_under(state.master_key()) => Ok(ControlVerdict::Join),
        // The MAC is under the key before these, which this device does not know. A state that
        // comes later can prove it.
        GroupChange::Removed | GroupChange::Rekeyed => Ok(ControlVerdict::Ahead),
        _ => Err(GroupError::WrongMac),
    }
}

/// Judges a control for the current epoch that is another one than the last change.
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

/// True if an admin, whom this device knows as one, adds this user to a later state than the device
/// can follow.
///
/// This happens in two ways. The user was removed in between, which nobody tells the user, because
/// the control holds the new key. Or the change by which the user came in was overtaken by one that
/// the user was never sent.
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
