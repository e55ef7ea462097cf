//! The states of a group that its members have: who has shown which, and what a member is told who
//! has another one.

use std::collections::BTreeMap;

use futures_util::future::join_all;

use super::controls::event;
use super::heads::READ_FOR_VIEWS;
use super::incoming::ActivitySource;
use super::standing::Standing;
use super::trust::ChainRoute;
use super::{GroupEvent, Messenger, MessengerError, Notice, Person};
use crate::content::{Activity, ActivityContent, ActivityId, GroupRef};
use crate::group::{GroupControl, KnownGroup, StateAgreement};
use crate::shares::{Party, Shares};
use crate::store::{AwaitedAuthor, DeviceStoreError, HeldReason, Transaction};
use crate::{SignalSessions, Transport};

/// The number of members who are no admins and who tell somebody that the state is another.
pub const ANNOUNCERS: usize = 3;
/// The minutes after which a member who still has another state is told again, because the server may
/// have withheld what was sent before, and after which the user is told of that member.
pub const BEHIND_MINUTES: i64 = 60;

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Compares the state that a member has with the one of this device. A member who has this
    /// state, or had a former one, is confirmed. A member who has not this state is told of it, and
    /// the user is told of a member who still has not after an hour.
    pub(super) fn compare_state(
        &self,
        tx: &Transaction<'_>,
        mut known: KnownGroup,
        group: &GroupRef,
        whence: &ActivitySource<'_>,
        notices: &mut Vec<Notice>,
    ) -> Result<(), MessengerError> {
        let is_member = known.current.members().contains(whence.actor);
        if !is_member || whence.standing == Standing::Own || whence.standing.is_in_doubt() {
            return Ok(());
        }
        let agreement = known.agreement(group.epoch, &group.state);
        let shows_it = matches!(agreement, StateAgreement::Same | StateAgreement::Former);
        if shows_it && known.confirmed.insert(whence.actor.to_owned()) {
            tx.keep_group(&known, None)?;
        }
        if agreement == StateAgreement::Same {
            tx.settle_conflict(group.id.as_str(), whence.actor)?;
        }
        // A state before, which this device never had: the histories have parted.
        let parted = agreement == StateAgreement::Other && group.epoch < known.current.epoch();
        if parted && tx.note_conflict(group.id.as_str(), whence.actor)? {
            notices.push(event(&group.id, whence.actor, GroupEvent::Conflict));
        }
        match agreement {
            StateAgreement::Former | StateAgreement::Other | StateAgreement::Unknown => {
                let (now_ms, hash) = (self.now_ms(), known.current.hash());
                let before_ms = now_ms.saturating_sub(BEHIND_MINUTES * 60_000);
                if tx.note_behind(group.id.as_str(), whence.actor, &hash, now_ms, before_ms)? {
                    notices.push(event(&group.id, whence.actor, GroupEvent::Behind));
                }
                self.announce(tx, &known, whence.actor)
            }
            StateAgreement::Same => Ok(tx.note_caught_up(group.id.as_str(), whence.actor)?),
            StateAgreement::Later => Ok(()),
        }
    }

    /// Forwards the control that made the current state of a group to a member who has another
    /// state: once an hour per member and state, by the admins and by three other members.
    pub(super) fn announce(
        &self,
        tx: &Transaction<'_>,
        known: &KnownGroup,
        to: &str,
    ) -> Result<(), MessengerError> {
        let (me, state) = (self.device.actor(), &known.current);
        let between_members = [to, &me].iter().all(|actor| state.members().contains(*actor));
        if to == me || !between_members || !announces(known, &me, to) {
            return Ok(());
        }
        let Some((control, person)) = tx.latest_control(state.id().as_str())?.zip(Person::of(to)) else {
            return Ok(());
        };
        let (now_ms, hash) = (self.now_ms(), state.hash());
        let before_ms = now_ms.saturating_sub(BEHIND_MINUTES * 60_000);
        if !tx.note_announced(state.id().as_str(), to, &hash, now_ms, before_ms)? {
            return Ok(());
        }
        let content = ActivityContent::Announce(Box::new(control));
        let activity = self.evidence(tx, to, None, content)?;
        self.enclose(tx, &activity, &[person], false)
    }

    /// Judges a control that a member forwarded. It counts as if its author had sent it now, and for
    /// more if an admin forwards it. Who forwards it must be a member of the group; it proves itself.
    /// If this device does not know the author's device, the control is held until it does.
    pub(super) fn keep_announced(
        &self,
        tx: &Transaction<'_>,
        activity: &Activity,
        control: &GroupControl,
        whence: &ActivitySource<'_>,
        notices: &mut Vec<Notice>,
    ) -> Result<(), MessengerError> {
        let (me, id) = (self.device.actor(), control.state().id());
        if whence.standing.is_in_doubt() {
            return Ok(());
        }
        let known = tx.group(id.as_str())?.filter(|known| known.current.members().contains(&me));
        let known = known.filter(|known| known.current.members().contains(whence.actor));
        let Some(known) = known else {
            if whence.standing == Standing::Own && control.author() != me {
                return self.keep_passed_on_invitation(tx, activity, control, whence, notices);
            }
            return self.keep_control_of_other_device(tx, activity, control, whence, notices);
        };
        let author = self.kept_contact(tx, control.author())?;
        let Some(author) = author.filter(|author| author.listed(control.device()).is_some()) else {
            return self.hold(tx, id, activity, whence, HeldReason::UnknownAuthor, notices);
        };
        let standing = Standing::of(&author, control.device(), &me);
        match standing {
            Standing::Revoked => return Ok(()),
            Standing::Reset | Standing::Former => {
                return self.hold(tx, id, activity, whence, HeldReason::Reset, notices);
            }
            Standing::Own | Standing::Accepted | Standing::Stranger => {}
        }
        let by_author = ActivitySource {
            actor: control.author(),
            device: control.device(),
            envelope: None,
            received_ms: whence.received_ms,
            standing,
            warning: whence.warning.clone(),
            was_held: whence.was_held,
            forwarder: Some(whence.actor),
        };
        if let Some(held) = self.follow_control(tx, control, &by_author, notices)? {
            return self.hold_for(tx, id, activity, whence, held, notices);
        }
        // Whoever forwards an old control is behind.
        let is_behind = control.state().epoch() < known.current.epoch();
        if is_behind { self.announce(tx, &known, whence.actor) } else { Ok(()) }
    }

    /// Judges a control that another device of its author passes on, because the one that made it could
    /// not reach this user. It counts as if that device had sent it, and may be an invitation. The device may
    /// be of the account to which the author has moved, if this device has followed.
    fn keep_control_of_other_device(
        &self,
        tx: &Transaction<'_>,
        activity: &Activity,
        control: &GroupControl,
        whence: &ActivitySource<'_>,
        notices: &mut Vec<Notice>,
    ) -> Result<(), MessengerError> {
        let is_theirs = control.author() == whence.actor
            || tx.moved_to(control.author())?.is_some_and(|now| now == whence.actor);
        let author = self.kept_contact(tx, control.author())?.filter(|_| is_theirs);
        let Some(author) = author.filter(|author| author.listed(control.device()).is_some()) else {
            return Ok(());
        };
        let by_author = ActivitySource {
            actor: control.author(),
            device: control.device(),
            envelope: None,
            received_ms: whence.received_ms,
            standing: Standing::of(&author, control.device(), &self.device.actor()),
            warning: whence.warning.clone(),
            was_held: whence.was_held,
            forwarder: None,
        };
        self.keep_control(tx, activity, control, &by_author, notices)
    }

    /// Reads the chains of those who made or granted what controls need, whose devices this device does
    /// not know, and tries these controls again: eight chains in one look, at the same time, and each
    /// once in ten minutes. Whoever sent such controls shares with others who did, whatever authors the
    /// controls name. The chains of strangers are read through the own server.
    pub(super) async fn read_unknown_authors(&self, notices: &mut Vec<Notice>) -> Result<(), MessengerError> {
        let due = self.store.read(|tx| {
            let members = self.fellow_members(tx)?;
            let mut due = Shares::new(READ_FOR_VIEWS);
            for AwaitedAuthor { sender, actor, device } in tx.awaited_authors()? {
                if !self.has_looked(&actor)
                    && !self.lists(tx, &actor, &device)?
                    && let Some(person) = Person::of(&actor)
                {
                    let is_known = members.contains(&actor) || tx.is_contact(&actor)?;
                    let party = Party::of(&sender).about(&actor);
                    due.put((), party, (person, is_known), &self.environment);
                }
            }
            Ok::<_, DeviceStoreError>(due)
        })?;
        let due = due.into_things().filter(|(person, _)| self.may_look(&person.actor()));
        let due: Vec<(Person, bool)> = due.collect();
        let reads = due.iter().map(async |(person, is_known)| {
            let route = if *is_known { ChainRoute::Direct } else { ChainRoute::ThroughHome };
            (*is_known, self.look_again_by(person, route).await)
        });
        for (is_known, read) in join_all(reads).await {
            match read {
                Ok(_) => {}
                // The notice about anybody else is stored with the alarm.
                Err(MessengerError::Distrust { actor, why }) if !is_known => {
                    notices.push(Notice::Distrusted { actor, why });
                }
                Err(MessengerError::Distrust { .. }) => {}
                Err(error @ MessengerError::Store(_)) => return Err(error),
                // The next look asks again.
                Err(_) => {}
            }
        }
        if due.is_empty() { Ok(()) } else { self.retry_after_chains(notices) }
    }

    /// True if the pinned chain of a user has this device.
    pub(super) fn lists(
        &self,
        tx: &Transaction<'_>,
        actor: &str,
        device: &str,
    ) -> Result<bool, DeviceStoreError> {
        Ok(self.kept_contact(tx, actor)?.is_some_and(|contact| contact.listed(device).is_some()))
    }

    /// Makes an activity that is no message.
    pub(super) fn evidence(
        &self,
        tx: &Transaction<'_>,
        to: &str,
        group: Option<GroupRef>,
        content: ActivityContent,
    ) -> Result<Activity, MessengerError> {
        let mut activity = Activity {
            id: ActivityId::generate(&self.environment),
            actor: self.device.actor(),
            to: to.to_owned(),
            published_ms: self.now_ms(),
            sequence: None,
            void: Vec::new(),
            device_set: None,
            device_sets_hash: None,
            device_sets: BTreeMap::new(),
            group,
            content,
        };
        self.attach_heads(tx, &mut activity, to)?;
        Ok(activity)
    }
}

/// True if this user is among those who tell a member of the group's state. In a large group the
/// members take turns, so that not everybody does.
pub(super) fn announces(known: &KnownGroup, me: &str, to: &str) -> bool {
    let state = known.current.hash();
    let place = |member: &str| {
        let text = [member, to, &state].concat();
        hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes()))
    };
    let mine = place(me);
    let (members, admins) = (known.current.members(), known.current.admins());
    let others = members.difference(admins).filter(|member| *member != to);
    let before = others.filter(|member| place(member) < mine).count();
    admins.contains(me) || before < ANNOUNCERS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::tests::repeatable;
    use crate::group::GroupState;

    /// In a large group somebody is told by a few, and never by nobody.
    #[test]
    fn a_few_tell_whoever_is_behind() {
        let environment = repeatable(1);
        let admin = "https://a.example/user/alice";
        let others = (0..40).map(|n| format!("https://b.example/user/member_{n}"));
        let state = GroupState::create("Choir", others, admin, &environment).unwrap();
        let known = KnownGroup::created(state, "https://a.example/user/alice/device/one");
        let members = known.current.members();
        let mut announcers = std::collections::BTreeSet::new();
        for to in members {
            let telling = members.iter().filter(|me| *me != to && announces(&known, me, to));
            let telling: Vec<&String> = telling.collect();
            let admins = usize::from(to != admin);
            assert_eq!(telling.len(), ANNOUNCERS + admins, "{telling:?}");
            assert_eq!(telling.iter().filter(|me| **me == admin).count(), admins);
            announcers.extend(telling);
        }
        assert!(announcers.len() > 20, "they take turns");
    }
}
