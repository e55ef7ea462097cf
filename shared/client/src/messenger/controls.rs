//! Controls of groups that arrive: who may have sent them, the judgement on them, and what follows.

use super::incoming::ActivitySource;
use super::standing::Standing;
use super::{GroupEvent, Messenger, MessengerError, Notice};
use crate::content::Activity;
use crate::group::{
    ControlSender, ControlVerdict, GroupControl, GroupError, GroupId, KnownGroup, judge_control,
};
use crate::store::{HeldReason, Transaction};
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
            Standing::Reset => return self.hold(tx, id, activity, whence, HeldReason::Reset, notices),
            Standing::Revoked => {
                notices.push(event(id, whence.actor, GroupEvent::Refused(GroupError::RevokedDevice)));
                return Ok(());
            }
            Standing::Own | Standing::Accepted | Standing::Stranger => {}
        }
        if !self.follow_control(tx, control, whence, notices)? {
            self.hold(tx, id, activity, whence, HeldReason::Ahead, notices)?;
        }
        Ok(())
    }

    /// Judges a control of the device in `whence`, and keeps what it makes. Then it tries again what
    /// was held for that state. Returns false if something before the control is missing.
    pub(super) fn follow_control(
        &self,
        tx: &Transaction<'_>,
        control: &GroupControl,
        whence: &ActivitySource<'_>,
        notices: &mut Vec<Notice>,
    ) -> Result<bool, MessengerError> {
        let (me, id) = (self.device.actor(), control.state().id());
        let listed = self.kept_contact(tx, whence.actor)?.and_then(|contact| contact.listed(whence.device));
        let Some(listed) = listed else { return Ok(false) };
        let sender = ControlSender { actor: whence.actor, device: whence.device, identity: &listed.identity };
        let known = tx.group(id.as_str())?;
        let is_member = known.as_ref().is_some_and(|known| known.current.members().contains(&me));
        if !is_member && self.follow_invitations(tx, control, &sender, whence, notices)? {
            return Ok(true);
        }
        let verdict = judge_control(known.as_ref(), control, &sender, &me);
        let mut tell = |told| notices.push(event(id, whence.actor, told));
        if known.as_ref().is_some_and(|known| known.is_second_story(control)) && sender_is_proven(&verdict) {
            tell(GroupEvent::TwoStories);
        }
        match &verdict {
            ControlVerdict::Join if whence.standing != Standing::Own => {
                self.invite(tx, control, whence, notices)?;
                return Ok(true);
            }
            ControlVerdict::Ahead => return Ok(false),
            ControlVerdict::Refused(why) => tell(GroupEvent::Refused(why.clone())),
            ControlVerdict::Overtakes => tell(GroupEvent::Replaced(control.change())),
            ControlVerdict::Conflict { .. } => tell(GroupEvent::Conflict),
            ControlVerdict::Join
            | ControlVerdict::Apply
            | ControlVerdict::Jump
            | ControlVerdict::Reveals
            | ControlVerdict::LateDeparture => tell(GroupEvent::Changed(control.change())),
            ControlVerdict::Same | ControlVerdict::Overtaken | ControlVerdict::Older => {}
        }
        let next = KnownGroup::after(known.as_ref(), control, &verdict, &me);
        let is_latest = next.as_ref().is_some_and(|next| next.current == *control.state());
        if let Some(next) = &next {
            tx.keep_group(next, is_latest.then_some(control))?;
        }
        if verdict == ControlVerdict::Join {
            tx.drop_invitations(id.as_str(), None)?;
        }
        let met = matches!(
            verdict,
            ControlVerdict::Conflict { .. } | ControlVerdict::Refused(GroupError::OtherHistory)
        );
        if met {
            tx.note_conflict(id.as_str(), whence.actor)?;
        }
        if let (Some(known), false) = (&known, is_latest) {
            self.answer_old_control(tx, known, control, &verdict, whence)?;
        }
        // What was held is tried again by whoever tries this.
        if next.is_some() && !whence.was_held {
            self.retry_held(tx, id, notices)?;
        }
        Ok(true)
    }

    /// Tells the author of a control on another history, or of a control that comes late, what the
    /// group is now.
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
            ControlVerdict::Refused(GroupError::OtherHistory) => true,
            ControlVerdict::Older => control.state().epoch() == known.current.epoch(),
            _ => false,
        };
        if is_behind { self.announce(tx, known, whence.actor) } else { Ok(()) }
    }
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
    Notice::Group { id: id.clone(), by: by.to_owned(), event }
}
