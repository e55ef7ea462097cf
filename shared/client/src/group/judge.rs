//! The judgement on each control that arrives.

use std::cmp::Ordering;

use super::change::{leads, may};
use super::{
    ControlSender, GroupChange, GroupControl, GroupError, GroupState, KnownGroup, MAX_EPOCH_JUMP,
    MAX_FIRST_EPOCH, PreviousState,
};

/// The judgement on a control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlVerdict {
    /// The control brings this user into the group, or back into it. It is an invitation, unless
    /// the user made it on another device. [`super::check_lineage`] says whether it is proven.
    Join,
    /// The control is the next change.
    Apply,
    /// The control is of a later epoch, and an admin whom this device knows as one has made it or
    /// forwards it. It counts without what was between.
    Jump,
    /// The control makes the state that is known already.
    Same,
    /// The control makes the state before the current one, which this device did not know.
    Reveals,
    /// The control takes the place of the last change: both follow the same state, and this one
    /// [wins](super#two-changes-at-once).
    Overtakes,
    /// The control loses against the last change, which follows the same state.
    Overtaken,
    /// The control is of the current epoch and by an admin, but follows another state than the last
    /// change. Two histories of the group have met. One goes on.
    Conflict {
        /// True if it is the one that goes on.
        wins: bool,
    },
    /// The control is of an earlier epoch, or says what is known. It changes nothing.
    Older,
    /// The control is of an earlier epoch, and is the departure of somebody who still has the
    /// master key. It makes a new key due.
    LateDeparture,
    /// Something before the control is missing. The control is held, and judged again when the
    /// group has changed. Nothing of it is proven yet, so only few of one author are worth holding.
    Ahead,
    /// The control changes nothing, now or later.
    Refused(GroupError),
}

/// Judges a control that came from the device `sender`, for the user `me`. The caller has checked
/// that this device is an active one of its user.
///
/// Of two changes of the same state [one wins](super#two-changes-at-once), on every device alike.
/// The author of the other one may propose it again on the new state; a `left`, a `removed` and an `added` are
/// made again without being asked for. The next epoch settles this.
pub fn judge_control(
    known: Option<&KnownGroup>,
    control: &GroupControl,
    sender: &ControlSender<'_>,
    me: &str,
) -> ControlVerdict {
    decide(known, control, sender, me).unwrap_or_else(ControlVerdict::Refused)
}

/// Judges a control that the member `forwarder` passes on. An admin whom this device knows as one
/// vouches for what comes later: the author may be an admin by a change that this device has not
/// seen.
pub fn judge_forwarded_control(
    known: Option<&KnownGroup>,
    control: &GroupControl,
    sender: &ControlSender<'_>,
    forwarder: &str,
    me: &str,
) -> ControlVerdict {
    let verdict = judge_control(known, control, sender, me);
    let is_vouched = known.is_some_and(|known| {
        known.current.admins().contains(forwarder)
            && control.state().epoch() > known.current.epoch()
            && !known.had(&control.state().hash())
    });
    match verdict {
        // Whoever was removed may be back, by changes that this device has not seen.
        ControlVerdict::Ahead | ControlVerdict::Refused(GroupError::OtherHistory) if is_vouched => {
            match check_own_key(control) {
                Ok(()) => ControlVerdict::Jump,
                Err(why) => ControlVerdict::Refused(why),
            }
        }
        other => other,
    }
}

/// True if a control that is ahead was made by an admin of the state that it makes, whom this device
/// does not know as one, and the user `me` is in that state. Only the grants of that state prove it.
pub fn comes_of_unseen_admin(known: &KnownGroup, control: &GroupControl, me: &str) -> bool {
    let state = control.state();
    state.epoch() > known.current.epoch()
        && control.change() != GroupChange::Left
        && [control.author(), me].iter().all(|actor| state.members().contains(*actor))
        && state.admins().contains(control.author())
        && control.author() != me
        && check_own_key(control).is_ok()
}

fn decide(
    known: Option<&KnownGroup>,
    control: &GroupControl,
    sender: &ControlSender<'_>,
    me: &str,
) -> Result<ControlVerdict, GroupError> {
    if control.author() != sender.actor || control.device() != sender.device {
        return Err(GroupError::OtherAuthor(control.author().to_owned()));
    }
    if !control.is_signed_by(sender.identity) {
        return Err(GroupError::WrongSignature);
    }
    let Some(known) = known else { return entrance(control, me) };
    let (current, state) = (&known.current, control.state());
    if state.id() != current.id() {
        return Err(GroupError::OtherGroup);
    }
    // Whoever has left or was removed on one history may be invited on another: the admins went on
    // without that departure, or from a change that has won since.
    let (is_member, had) = (current.members().contains(me), known.had(&state.hash()));
    let is_invited = control.brings_in(me) && !is_member && !had;
    match state.epoch().cmp(&current.epoch()) {
        Ordering::Less | Ordering::Equal if is_invited => entrance(control, me),
        Ordering::Less => earlier(known, control, me),
        Ordering::Equal if state == current => Ok(ControlVerdict::Same),
        Ordering::Equal => beside(known, control, sender, me),
        // The user has gone over from the history of that state to this one, and nothing but the user's
        // word leads back.
        Ordering::Greater if had && is_member => Err(GroupError::OtherHistory),
        Ordering::Greater if had => Ok(ControlVerdict::Older),
        Ordering::Greater if control.previous() == Some(&current.hash()) => {
            check(current, control, sender)?;
            match [current, state].map(|state| state.members().contains(me)) {
                [false, true] => entrance(control, me),
                _ => Ok(ControlVerdict::Apply),
            }
        }
        Ordering::Greater => later(known, control, me),
    }
}

/// Checks that the author may make this change to this state, that the MAC is under the state's
/// key, that the new state fits the change, and that the author has signed the new grants.
fn check(before: &GroupState, control: &GroupControl, sender: &ControlSender<'_>) -> Result<(), GroupError> {
    let (change, after) = (control.change(), control.state());
    may(before, change, control.author())?;
    if !control.is_under(before.master_key()) {
        return Err(GroupError::WrongMac);
    }
    leads(before, change, after, control.author())?;
    if change == GroupChange::Added && !after.members().difference(before.members()).eq(control.added()) {
        return Err(GroupError::NotThatChange(change));
    }
    let had = &before.parts().grants;
    for grant in after.grants().filter(|grant| !had.contains_key(&grant.admin)) {
        let own = grant.by == sender.actor && grant.device == sender.device;
        if !own || !grant.is_signed_by(after.id(), sender.identity) {
            return Err(GroupError::FalseGrant(grant.admin.clone()));
        }
    }
    Ok(())
}

/// Judges a control of a group that this user is not in.
fn entrance(control: &GroupControl, me: &str) -> Result<ControlVerdict, GroupError> {
    let state = control.state();
    let by_me = control.change() == GroupChange::Left && control.author() == me;
    if !by_me && !state.members().contains(me) {
        return Err(GroupError::NotForMe);
    }
    if state.epoch() > MAX_FIRST_EPOCH {
        return Err(GroupError::TooFarAhead);
    }
    match control.change() {
        GroupChange::Left if control.is_under(state.master_key()) => Ok(ControlVerdict::Ahead),
        // The MAC is under the key before these, which this device does not know. A state that
        // comes later can prove it.
        GroupChange::Removed | GroupChange::Rekeyed => Ok(ControlVerdict::Ahead),
        _ => check_own_key(control).map(|()| ControlVerdict::Join),
    }
}

/// Checks the MAC of a change that keeps the master key. Others are under a key that this device
/// may not know.
fn check_own_key(control: &GroupControl) -> Result<(), GroupError> {
    let renews = matches!(control.change(), GroupChange::Removed | GroupChange::Rekeyed);
    if renews || control.is_under(control.state().master_key()) { Ok(()) } else { Err(GroupError::WrongMac) }
}

/// Judges a control for a later epoch that does not follow the current state.
///
/// An admin whom this device knows as one is believed. An admin could lead the device there by
/// changes that it can follow, too. So a device never waits for a control that no longer comes.
///
/// Nobody is brought into a group twice. Whoever is in it and is brought in by somebody else, or is
/// sent a control of somebody who was removed, meets another history.
fn later(known: &KnownGroup, control: &GroupControl, me: &str) -> Result<ControlVerdict, GroupError> {
    let (current, state) = (&known.current, control.state());
    let is_known_admin = current.admins().contains(control.author());
    if control.brings_in(me) && !current.members().contains(me) {
        return entrance(control, me);
    }
    if [current, state].iter().all(|state| !state.members().contains(me)) {
        return Err(GroupError::NotForMe);
    }
    if state.epoch() > current.epoch().saturating_add(MAX_EPOCH_JUMP) {
        return Err(GroupError::TooFarAhead);
    }
    if !is_known_admin {
        // Who left may have been overtaken, and leave again.
        let was_removed = known.former.contains(control.author()) && control.change() != GroupChange::Left;
        let is_other = control.brings_in(me) || was_removed;
        return if is_other { Err(GroupError::OtherHistory) } else { Ok(ControlVerdict::Ahead) };
    }
    check_own_key(control)?;
    Ok(ControlVerdict::Jump)
}

/// Judges a control for an earlier epoch.
fn earlier(known: &KnownGroup, control: &GroupControl, me: &str) -> Result<ControlVerdict, GroupError> {
    let (current, state) = (&known.current, control.state());
    // Whoever is not in the group has no use for it: an admin could show a state with the user in it.
    let is_member = current.members().contains(me);
    if is_member && matches!(&known.before, PreviousState::Unseen { hash, .. } if *hash == state.hash()) {
        return Ok(ControlVerdict::Reveals);
    }
    if departs_with_key(current, control) {
        return Ok(ControlVerdict::LateDeparture);
    }
    if known.had(&state.hash()) {
        return Ok(ControlVerdict::Older);
    }
    let is_known_admin = current.admins().contains(control.author());
    if (control.brings_in(me) && !is_known_admin) || known.is_denied_by(state) {
        return Err(GroupError::OtherHistory);
    }
    Ok(ControlVerdict::Older)
}

/// True if the control is the departure of somebody who is no member now, and has the current
/// master key.
fn departs_with_key(current: &GroupState, control: &GroupControl) -> bool {
    control.change() == GroupChange::Left
        && control.state().master_key() == current.master_key()
        && control.is_under(current.master_key())
        && !current.members().contains(control.author())
}

/// Judges a control for the current epoch that is another one than the last change.
fn beside(
    known: &KnownGroup,
    control: &GroupControl,
    sender: &ControlSender<'_>,
    me: &str,
) -> Result<ControlVerdict, GroupError> {
    match (&known.before, control.previous()) {
        // Two beginnings of one group.
        (PreviousState::Nothing, None) => check_own_key(control)?,
        (PreviousState::Seen { state, .. }, Some(hash)) if state.hash() == hash => {
            check(state, control, sender)?;
        }
        (PreviousState::Unseen { hash, joined, master_key }, Some(previous)) if hash == previous => {
            // A member who leaves could make up the rest of the state. Only the state before shows
            // that.
            let is_own_departure = control.change() == GroupChange::Left && sender.actor == me;
            if !joined.admins().contains(control.author()) && !is_own_departure {
                return Ok(ControlVerdict::Ahead);
            }
            match master_key {
                Some(key) if !control.is_under(key) => return Err(GroupError::WrongMac),
                Some(_) => {}
                None => check_own_key(control)?,
            }
        }
        _ => return other_history(known, control),
    }
    Ok(if known.loses_to(control) { ControlVerdict::Overtakes } else { ControlVerdict::Overtaken })
}

/// Judges a control for the current epoch that follows another state than the last change.
fn other_history(known: &KnownGroup, control: &GroupControl) -> Result<ControlVerdict, GroupError> {
    let current = &known.current;
    if departs_with_key(current, control) {
        return Ok(ControlVerdict::LateDeparture);
    }
    // Whoever was added anew may have left another history before, which is gone.
    let is_new = known.has_just_added(control.author());
    if control.change() == GroupChange::Left && (is_new || !current.members().contains(control.author())) {
        return Ok(ControlVerdict::Older);
    }
    if !current.admins().contains(control.author()) {
        return Err(GroupError::OtherHistory);
    }
    check_own_key(control)?;
    Ok(ControlVerdict::Conflict { wins: known.loses_to(control) })
}
