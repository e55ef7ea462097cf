//! Controls of groups that arrive: who may have sent them, the judgement on them, and what follows.

use super::holding::Awaited;
use super::incoming::ActivitySource;
use super::leaving::note_departure;
use super::standing::Standing;
use super::{GroupEvent, Messenger, MessengerError, Notice};
use crate::content::Activity;
use crate::group::{
    ControlSender, ControlVerdict, GroupChange, GroupControl, GroupDifference, GroupEntry, GroupError,
    GroupId, GroupState, KnownGroup, PreviousState, UndoneChange, entry_by, judge_control,
    judge_forwarded_control,
};
use crate::store::{DeviceStoreError, HeldReason, Transaction};
use crate::{SignalSessions, Transport};

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Judges a control that its author sent, and keeps what it makes. A control of a user whose
    /// devices were all replaced is held until this user accepts that. A control of a revoked device
    /// never counts.
    pub(super) fn keep_control(
        &self,
        tx: &Transaction<'_>,
        activity: &Activity,
        control: &GroupControl,
        whence: &ActivitySource<'_>,
        notices: &mut Vec<Notice>,
    ) -> Result<(), MessengerError> {
        let id = control.state().id();
        match whence.standing {
            Standing::Reset | Standing::Former => {
                return self.hold(tx, id, activity, whence, HeldReason::Reset, notices);
            }
            Standing::Revoked => {
                notices.push(event(id, whence.actor, GroupEvent::Refused(GroupError::RevokedDevice)));
                return Ok(());
            }
            Standing::Own | Standing::Accepted | Standing::Stranger => {}
        }
        match self.follow_control(tx, control, whence, notices)? {
            Some(held) => self.hold_for(tx, id, activity, whence, held, notices),
            None => Ok(()),
        }
    }

    /// Judges a control of the device in `whence`, and keeps what it makes. Then it tries again what was
    /// held for that state. Returns the reason for which the control is to be held, if it is.
    pub(super) fn follow_control(
        &self,
        tx: &Transaction<'_>,
        control: &GroupControl,
        whence: &ActivitySource<'_>,
        notices: &mut Vec<Notice>,
    ) -> Result<Option<(HeldReason, Awaited)>, MessengerError> {
        let ahead = Some((HeldReason::Ahead, Awaited::Author));
        // A control that its author sends waits in the mailbox for the reading of the author's chain.
        if (whence.forwarder.is_some() || whence.was_held)
            && let Some(person) = self.unread_doubt(tx, whence.actor)?
        {
            self.put_doubt(&person);
            return Ok(Some((HeldReason::UnknownAuthor, Awaited::Author)));
        }
        let (me, id) = (self.device.actor(), control.state().id());
        let shown_by = whence.forwarder.unwrap_or(whence.actor);
        let listed = self.kept_contact(tx, whence.actor)?.and_then(|contact| contact.listed(whence.device));
        let Some(listed) = listed else { return Ok(ahead) };
        let sender = ControlSender { actor: whence.actor, device: whence.device, identity: &listed.identity };
        let known = tx.group(id.as_str())?;
        let is_member = known.as_ref().is_some_and(|known| known.current.members().contains(&me));
        let mut verdict = match whence.forwarder {
            Some(by) => judge_forwarded_control(known.as_ref(), control, &sender, by, &me),
            None => judge_control(known.as_ref(), control, &sender, &me),
        };
        let is_own = whence.standing == Standing::Own;
        if let Some(known) = &known
            && verdict == ControlVerdict::Older
            && self.parts_from_revoked(tx, known, control)?
        {
            verdict = ControlVerdict::Refused(GroupError::OtherHistory);
        }
        let asks = !is_own && self.needs_consent(tx, known.as_ref(), control, &verdict)?;
        // Whoever has left leaves again, also if an invitation to what follows has come before.
        let is_race =
            !is_own && !asks && entry_by(known.as_ref(), control, &verdict, &me) == GroupEntry::Race;
        if !is_member && !is_race && self.follow_invitations(tx, control, &sender, whence, notices)? {
            return Ok(None);
        }
        if asks {
            self.invite(tx, control, whence, notices)?;
            return Ok(None);
        }
        let is_heard = whence.standing != Standing::Stranger
            || known.as_ref().is_some_and(|known| known.has_or_had(whence.actor));
        if let Some(known) = &known
            && skips_judgement_of_grants(&verdict)
        {
            match self.check_new_grants(tx, &known.current, control.state())? {
                NewGrants::Proven => {}
                NewGrants::Unknown { by, device } => {
                    return Ok(Some((HeldReason::UnknownAuthor, Awaited::Granter { actor: by, device })));
                }
                NewGrants::False(admin) => verdict = ControlVerdict::Refused(GroupError::FalseGrant(admin)),
            }
        }
        let next = KnownGroup::after(known.as_ref(), control, &verdict, &me)
            .map(|next| next.with_departure_of_member(control, whence.received_ms));
        let is_latest = next.as_ref().is_some_and(|next| next.current == *control.state());
        let difference = match (&known, &next) {
            (Some(known), Some(next)) => difference_made(known, next, &verdict),
            _ => GroupDifference::default(),
        };
        let undone =
            known.as_ref().zip(next.as_ref()).and_then(|(known, next)| known.undone_in(next, &verdict, &me));
        let met = matches!(
            verdict,
            ControlVerdict::Conflict { .. } | ControlVerdict::Refused(GroupError::OtherHistory)
        );
        let mut tell = |told| {
            let difference = difference.clone();
            notices.push(Notice::Group {
                id: id.clone(),
                by: whence.actor.to_owned(),
                event: told,
                difference,
            });
        };
        if known.as_ref().is_some_and(|known| known.is_second_story(control)) && sender_is_proven(&verdict) {
            tell(GroupEvent::TwoStories);
        }
        match &verdict {
            ControlVerdict::Ahead => {
                return match known.filter(|_| is_member) {
                    Some(known) => self.offer_unseen_admin(tx, &known, control, whence, notices).map(Some),
                    None => Ok(ahead),
                };
            }
            ControlVerdict::Refused(GroupError::OtherHistory) | ControlVerdict::Conflict { .. } => {}
            // What a stranger makes up is not worth a word.
            ControlVerdict::Refused(why) if is_heard => tell(GroupEvent::Refused(why.clone())),
            // The user is told of both changes at once, below.
            ControlVerdict::Overtakes if undone.is_some() => {}
            ControlVerdict::Overtakes => {
                let of = known.as_ref().map(|known| known.maker.clone()).unwrap_or_default();
                let lost = known.as_ref().map(|known| known.lost_in(control.state())).unwrap_or_default();
                tell(GroupEvent::Replaced { change: control.change(), of, lost });
            }
            ControlVerdict::Join
            | ControlVerdict::Apply
            | ControlVerdict::Jump
            | ControlVerdict::LateDeparture => tell(GroupEvent::Changed(control.change())),
            ControlVerdict::Overtaken => {
                // Whoever has left leaves again without a word.
                let is_told = is_member && whence.actor != me && control.change() != GroupChange::Left;
                let own = known.as_ref().filter(|known| is_told && known.is_made_by(&me));
                let lost = own.map(|known| known.lost_of(control)).unwrap_or_default();
                // A control that a member forwards was told of when it came.
                if !lost.is_empty() && whence.forwarder.is_none() {
                    let (by, event) = (whence.actor.to_owned(), GroupEvent::Prevailed(control.change()));
                    notices.push(Notice::Group { id: id.clone(), by, event, difference: lost });
                }
            }
            // A state before is proven by its hash. What its control says of itself is not.
            ControlVerdict::Reveals
            | ControlVerdict::Refused(_)
            | ControlVerdict::Same
            | ControlVerdict::Older => {}
        }
        if let Some(UndoneChange { change, lost, remedy }) = undone {
            let holds = (verdict == ControlVerdict::Overtakes).then(|| difference.clone());
            let (by, event) = (whence.actor.to_owned(), GroupEvent::Undone { change, remedy, holds });
            notices.push(Notice::Group { id: id.clone(), by, event, difference: lost });
        }
        let replaced = tx.latest_control(id.as_str())?;
        if let Some(next) = &next {
            tx.keep_group(next, is_latest.then_some(control))?;
            note_departure(tx, control, next, &me)?;
        }
        if verdict == ControlVerdict::Join {
            tx.drop_invitations(id.as_str(), None)?;
        }
        if let Some(known) = known.as_ref().filter(|known| met && known.has_or_had(whence.actor)) {
            if tx.note_conflict(id.as_str(), shown_by)? || is_latest {
                let (id, by) = (id.clone(), shown_by.to_owned());
                notices.push(Notice::Group { id, by, event: GroupEvent::Conflict, difference });
            }
            let other = match is_latest {
                true => replaced.map(|replaced| (known.clone(), replaced)),
                // A departure proves that its author is gone, and nothing else of the state.
                false if control.change() == GroupChange::Left => None,
                false => KnownGroup::after(None, control, &ControlVerdict::Join, &me)
                    .map(|other| (other, control.clone())),
            };
            if let Some((other, latest)) = other.filter(|_| is_member) {
                let by = if is_latest { latest.author().to_owned() } else { shown_by.to_owned() };
                self.keep_lineage(tx, other, latest, &by, whence)?;
            }
        } else if is_latest {
            tx.drop_invitations(id.as_str(), Some(whence.actor))?;
        }
        if verdict == ControlVerdict::Older && whence.was_held {
            tx.drop_lineage(id.as_str(), whence.actor, &control.state().hash())?;
        }
        if let (Some(known), false) = (&known, is_latest) {
            self.answer_old_control(tx, known, control, &verdict, whence)?;
        }
        // What was held is tried again by whoever tries this.
        if next.is_some() && !whence.was_held {
            self.retry_held(tx, id, notices)?;
        }
        Ok(None)
    }

    /// Checks the signatures of the grants that `next` has and `current` has not.
    pub(super) fn check_new_grants(
        &self,
        tx: &Transaction<'_>,
        current: &GroupState,
        next: &GroupState,
    ) -> Result<NewGrants, MessengerError> {
        let had = &current.parts().grants;
        for grant in next.grants().filter(|grant| had.get(&grant.admin) != Some(grant)) {
            let granter = self.kept_contact(tx, &grant.by)?.and_then(|contact| contact.listed(&grant.device));
            match granter {
                None => {
                    return Ok(NewGrants::Unknown { by: grant.by.clone(), device: grant.device.clone() });
                }
                Some(listed) if !grant.is_signed_by(next.id(), &listed.identity) => {
                    return Ok(NewGrants::False(grant.admin.clone()));
                }
                Some(_) => {}
            }
        }
        Ok(NewGrants::Proven)
    }

    /// True if `maker`, who made the state `next` of another history, is an admin there by a grant that
    /// `current` has not, and whose device is in doubt: its user has revoked it, or all devices of that
    /// user were replaced and this user has not accepted that. Of a state whose maker is no admin, that
    /// is asked of all admins. A grant has no time, so it may have been made after the revocation.
    pub(super) fn rests_on_doubt(
        &self,
        tx: &Transaction<'_>,
        current: &GroupState,
        next: &GroupState,
        maker: &str,
    ) -> Result<bool, DeviceStoreError> {
        let (had, me) = (&current.parts().grants, self.device.actor());
        for grant in next.grants_of(maker).values().filter(|grant| had.get(&grant.admin) != Some(grant)) {
            let granter = self.kept_contact(tx, &grant.by)?;
            if granter.is_some_and(|it| Standing::of(&it, &grant.device, &me).is_in_doubt()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// True if `control` is a former one of an admin that this device never had, and the device that led it
    /// to its state, maybe many epochs ahead, was revoked since. The others have not followed that device.
    fn parts_from_revoked(
        &self,
        tx: &Transaction<'_>,
        known: &KnownGroup,
        control: &GroupControl,
    ) -> Result<bool, DeviceStoreError> {
        let (current, state) = (&known.current, control.state());
        let is_former = state.epoch() < current.epoch() && !known.has_followed(&state.hash());
        if !is_former || !current.admins().contains(control.author()) {
            return Ok(false);
        }
        let latest = tx.latest_control(state.id().as_str())?;
        let Some(latest) = latest.filter(|latest| latest.change() != GroupChange::Left) else {
            return Ok(false);
        };
        let (maker, me) = (self.kept_contact(tx, latest.author())?, self.device.actor());
        Ok(maker.is_some_and(|maker| Standing::of(&maker, latest.device(), &me) == Standing::Revoked))
    }

    /// Tells the author of a control on another history, of one that has lost, or of one that comes
    /// late, what the group is now.
    fn answer_old_control(
        &self,
        tx: &Transaction<'_>,
        known: &KnownGroup,
        control: &GroupControl,
        verdict: &ControlVerdict,
        whence: &ActivitySource<'_>,
    ) -> Result<(), MessengerError> {
        let is_behind = match verdict {
            ControlVerdict::Conflict { wins } => !wins,
            ControlVerdict::Overtaken | ControlVerdict::Refused(GroupError::OtherHistory) => true,
            ControlVerdict::Older => control.state().epoch() == known.current.epoch(),
            _ => false,
        };
        if is_behind { self.announce(tx, known, whence.actor) } else { Ok(()) }
    }
}

/// Returns what a control has changed. Of one that takes the place of another, it is what differs from
/// the state before, which both follow: whoever had left by the other one is not new.
fn difference_made(known: &KnownGroup, next: &KnownGroup, verdict: &ControlVerdict) -> GroupDifference {
    match (verdict, &known.before) {
        (ControlVerdict::Overtakes, PreviousState::Seen { state, .. }) => {
            GroupDifference::between(state, &next.current)
        }
        _ => GroupDifference::between(&known.current, &next.current),
    }
}

/// The proof of the grants that a control brings.
pub(super) enum NewGrants {
    /// Each was signed by the device that it names.
    Proven,
    /// This device of the user `by`, who granted, is not known here.
    Unknown { by: String, device: String },
    /// The grant by which this actor would be an admin was not signed by that device.
    False(String),
}

/// True if the control counts without a judgement by the state before it, which checks the grants.
pub(super) fn skips_judgement_of_grants(verdict: &ControlVerdict) -> bool {
    matches!(
        verdict,
        ControlVerdict::Jump | ControlVerdict::Overtakes | ControlVerdict::Conflict { wins: true }
    )
}

/// True if the verdict says that the control was signed by the device that sent it.
fn sender_is_proven(verdict: &ControlVerdict) -> bool {
    !matches!(
        verdict,
        ControlVerdict::Refused(
            GroupError::OtherAuthor(_) | GroupError::WrongSignature | GroupError::OtherGroup
        )
    )
}

/// Returns the notice of an event in a group.
pub(super) fn event(id: &GroupId, by: &str, event: GroupEvent) -> Notice {
    Notice::Group { id: id.clone(), by: by.to_owned(), event, difference: GroupDifference::default() }
}
