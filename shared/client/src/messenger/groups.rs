//! Groups. Every change and every message goes to each member in an envelope of its own.

use std::collections::BTreeSet;

use super::incoming::{ActivitySource, unreadable};
use super::send::OutgoingActivity;
use super::standing::Standing;
use super::{
    GroupEvent, MessageDraft, Messenger, MessengerError, Notice, Person, SentActivity, UnreadableReason,
};
use crate::content::{Activity, ActivityContent, GroupRef};
use crate::group::{
    ControlVerdict, GroupChange, GroupControl, GroupId, GroupState, KnownGroup, Proposal, judge_control,
    propose,
};
use crate::store::{DeviceStoreError, HeldActivity, Transaction};
use crate::{SignalSessions, Transport};

/// A group, as this device knows it.
#[derive(Debug, Clone)]
pub struct Group {
    /// The group's state.
    pub state: GroupState,
    /// True if this user is a member.
    pub member: bool,
    /// True if somebody who left still has the master key, until an admin's device makes another.
    pub rekey_due: bool,
}

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Returns the groups that this device knows.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn groups(&self) -> Result<Vec<Group>, DeviceStoreError> {
        let me = self.device.actor();
        let known = self.store.read(|tx| tx.groups())?;
        let group = |known: KnownGroup| Group {
            member: known.current.members().contains(&me),
            rekey_due: known.rekey_due,
            state: known.current,
        };
        Ok(known.into_iter().map(group).collect())
    }

    /// Creates a group with these people, whose admin is this user, and tells them.
    ///
    /// # Errors
    /// [`MessengerError::Invalid`] if a group may not have this name or so many members.
    pub async fn create_group(
        &self,
        name: &str,
        members: &[Person],
    ) -> Result<(GroupId, SentActivity), MessengerError> {
        let me = self.device.actor();
        let state = GroupState::create(name, members.iter().map(Person::actor), &me, &self.environment)?;
        let sent = self.control(GroupChange::Created, None, state.clone(), state.members()).await?;
        Ok((state.id().clone(), sent))
    }

    /// Changes a group and tells its members. Members who are removed are not told.
    ///
    /// # Errors
    /// [`MessengerError::NoSuchGroup`] if this device does not know the group;
    /// [`MessengerError::Group`] if this user may not make the change, or if it would change
    /// nothing.
    pub async fn change_group(
        &self,
        id: &GroupId,
        proposal: Proposal,
    ) -> Result<SentActivity, MessengerError> {
        let known = self.known(id)?;
        let me = self.device.actor();
        let (change, next) = propose(&known.current, proposal, &me, &self.environment)?;
        let told = if change == GroupChange::Left {
            known.current.members().clone()
        } else {
            next.members().clone()
        };
        self.control(change, Some(known), next, &told).await
    }

    /// Sends a message to a group. The failure for one member is in that member's envelope.
    ///
    /// # Errors
    /// [`MessengerError::NoSuchGroup`] if this device does not know the group;
    /// [`MessengerError::Group`] if this user is no member.
    pub async fn send_to_group(
        &self,
        id: &GroupId,
        draft: MessageDraft,
    ) -> Result<SentActivity, MessengerError> {
        let state = self.known(id)?.current;
        let me = self.device.actor();
        if !state.members().contains(&me) {
            return Err(crate::group::GroupError::NotMember(me).into());
        }
        let group = GroupRef { id: id.clone(), epoch: state.epoch(), state: state.hash() };
        let content = ActivityContent::Note(self.note(draft));
        let outgoing = OutgoingActivity { conversation: id.to_string(), group: Some(group), content };
        self.say(outgoing, others(state.members(), &me)).await
    }

    pub(super) async fn control(
        &self,
        change: GroupChange,
        known: Option<KnownGroup>,
        next: GroupState,
        told: &BTreeSet<String>,
    ) -> Result<SentActivity, MessengerError> {
        let me = self.device.actor();
        let before = known.as_ref().map(|known| &known.current);
        let control = GroupControl::seal(change, before, &next, &me, &self.environment)?;
        let activity = Activity::of_control(&control);
        let to = others(told, &me);
        let sync = self.has_other_devices().await?;
        self.store.write(|tx| {
            // Another process may have changed the group since it was read.
            let now = tx.group(next.id().as_str())?;
            if now.as_ref().map(|now| now.current.hash()) != before.map(GroupState::hash) {
                return Err(MessengerError::Group(crate::group::GroupError::Stale));
            }
            let after = match &known {
                None => Some(KnownGroup::created(next.clone())),
                known => KnownGroup::after(known.as_ref(), &control, &ControlVerdict::Apply, &me),
            };
            tx.keep_group(&after.ok_or(DeviceStoreError::Corrupt("group"))?)?;
            self.enclose(tx, &activity, &to, sync)
        })?;
        self.send_envelopes(&activity.id.to_string()).await
    }

    fn known(&self, id: &GroupId) -> Result<KnownGroup, MessengerError> {
        let known = self.store.read(|tx| tx.group(id.as_str()))?;
        known.ok_or_else(|| MessengerError::NoSuchGroup(id.to_string()))
    }

    /// Judges a control that arrived and keeps the state that it makes. Then it tries again what
    /// was held for that state.
    pub(super) fn keep_control(
        &self,
        tx: &Transaction<'_>,
        activity: &Activity,
        control: &GroupControl,
        whence: &ActivitySource<'_>,
        notices: &mut Vec<Notice>,
    ) -> Result<(), MessengerError> {
        let (me, id) = (self.device.actor(), control.state().id().clone());
        let known = tx.group(id.as_str())?;
        let verdict = judge_control(known.as_ref(), control, whence.actor, &me);
        let mut tell = |event| {
            notices.push(Notice::Group { id: id.clone(), by: whence.actor.to_owned(), event });
        };
        match &verdict {
            ControlVerdict::Ahead => return self.hold(tx, &id, activity, whence),
            ControlVerdict::Refused(why) => tell(GroupEvent::Refused(why.clone())),
            ControlVerdict::Overtakes => tell(GroupEvent::Replaced(control.change())),
            ControlVerdict::Same | ControlVerdict::Overtaken => {}
            ControlVerdict::Join | ControlVerdict::Apply => tell(GroupEvent::Changed(control.change())),
        }
        if let Some(next) = KnownGroup::after(known.as_ref(), control, &verdict, &me) {
            tx.keep_group(&next)?;
            self.retry_held(tx, &id, notices)?;
        }
        Ok(())
    }

    /// True if the author of a message is a member of the group, as this device knows it. A message
    /// for a later epoch is held.
    pub(super) fn belongs(
        &self,
        tx: &Transaction<'_>,
        activity: &Activity,
        group: &GroupRef,
        whence: &ActivitySource<'_>,
        notices: &mut Vec<Notice>,
    ) -> Result<bool, MessengerError> {
        let Some(known) = tx.group(group.id.as_str())? else {
            self.hold(tx, &group.id, activity, whence)?;
            return Ok(false);
        };
        if group.epoch > known.current.epoch() {
            self.hold(tx, &group.id, activity, whence)?;
            return Ok(false);
        }
        // A member who was removed may not know it. The message is not taken all the same.
        let member = known.current.members().contains(whence.actor);
        if !member {
            let group = known.current.name().to_owned();
            notices.push(unreadable(whence.actor, UnreadableReason::NotMember { group }));
        }
        Ok(member)
    }

    fn hold(
        &self,
        tx: &Transaction<'_>,
        id: &GroupId,
        activity: &Activity,
        whence: &ActivitySource<'_>,
    ) -> Result<(), MessengerError> {
        let held = HeldActivity {
            row: 0,
            actor: whence.actor.to_owned(),
            device: whence.device.to_owned(),
            received_ms: whence.received_ms,
            plaintext: activity.to_plaintext()?,
        };
        Ok(tx.hold(id.as_str(), &held, self.now_ms())?)
    }

    /// Tries again what was held for a group. Each activity may let the next one through.
    fn retry_held(
        &self,
        tx: &Transaction<'_>,
        id: &GroupId,
        notices: &mut Vec<Notice>,
    ) -> Result<(), MessengerError> {
        for held in tx.held(id.as_str())? {
            tx.release(held.row)?;
            let Ok(activity) = Activity::from_plaintext(&held.plaintext) else { continue };
            // The sender may have been replaced or revoked since.
            let Some(contact) = self.kept_contact(tx, &held.actor)? else { continue };
            let standing = Standing::of(&contact, &held.device, &self.device.actor());
            let whence = ActivitySource {
                actor: &held.actor,
                device: &held.device,
                received_ms: held.received_ms,
                standing,
                warning: standing.warning(),
            };
            self.keep(tx, &activity, &whence, notices)?;
        }
        Ok(())
    }
}

fn others(members: &BTreeSet<String>, me: &str) -> Vec<Person> {
    members.iter().filter(|member| *member != me).filter_map(|member| Person::of(member)).collect()
}
