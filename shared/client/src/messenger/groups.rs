//! Groups. Every change and every message goes to each member in an envelope of its own.

use std::collections::BTreeSet;

use super::contact::Contact;
use super::incoming::ActivitySource;
use super::leaving::note_departure;
use super::send::OutgoingActivity;
use super::{MessageDraft, Messenger, MessengerError, Notice, Person, SentActivity};
use crate::content::{Activity, ActivityContent, GroupRef};
use crate::group::{
    ControlVerdict, FormerMemberNote, GroupChange, GroupControl, GroupId, GroupSigner, GroupState,
    KnownGroup, LeaveDecision, Proposal, propose,
};
use crate::store::{DeviceStoreError, HeldReason, Transaction};
use crate::{SignalSessions, Transport};

/// A group, as this device knows it.
#[derive(Debug, Clone)]
pub struct Group {
    /// The group's state.
    pub state: GroupState,
    /// True if this user is a member.
    pub member: bool,
    /// True if somebody who left, or a revoked device, still has the master key, until an admin's device
    /// makes another.
    pub rekey_due: bool,
    /// The decision about a departure of this user that was overtaken.
    pub leaves: LeaveDecision,
    /// The members who have not shown that they have this group. They are sent everything, but
    /// nothing says that it reaches them.
    pub unconfirmed: BTreeSet<String>,
    /// The actor whose control showed another history of the group, until a change settles it.
    pub conflict: Option<String>,
}

/// A group that this user has changed or joined.
#[derive(Debug)]
pub struct ChangedGroup {
    /// The activity that told the members.
    pub sent: SentActivity,
    /// The news from what was held for the group. Warnings among it that are stored may come with the next
    /// look.
    pub notices: Vec<Notice>,
}

/// The decision about a note to a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoteStanding {
    /// The note's author is a member, or has left since the note came.
    Counts,
    /// The note's author has left a short time ago, and may have written the note before.
    Late,
    /// The note is held.
    Waits,
}

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Returns the groups that this device knows.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn groups(&self) -> Result<Vec<Group>, DeviceStoreError> {
        let me = self.device.actor();
        self.store.read(|tx| {
            let group = |known: KnownGroup| {
                Ok(Group {
                    member: known.current.members().contains(&me),
                    rekey_due: known.rekey_due(),
                    leaves: known.should_leave_again(&me),
                    unconfirmed: known.unconfirmed(&me),
                    conflict: tx.conflict(known.current.id().as_str())?,
                    state: known.current,
                })
            };
            tx.groups()?.into_iter().map(group).collect()
        })
    }

    /// Creates a group with these people, whose admin is this user, and invites them.
    ///
    /// # Errors
    /// [`MessengerError::Invalid`] if a group may not have this name or so many members;
    /// [`MessengerError::Blocked`] if the user blocks one of these people, whose answer could not arrive.
    pub async fn create_group(
        &self,
        name: &str,
        members: &[Person],
    ) -> Result<(GroupId, SentActivity), MessengerError> {
        let me = self.device.actor();
        members.iter().try_for_each(|member| self.require_not_blocked(&member.actor()))?;
        let state = GroupState::create(name, members.iter().map(Person::actor), &me, &self.environment)?;
        let created =
            Box::pin(self.control(GroupChange::Created, None, state.clone(), state.members())).await?;
        Ok((state.id().clone(), created.sent))
    }

    /// Changes a group and tells its members. Members who are added are invited. Members who are
    /// removed are not told.
    ///
    /// # Errors
    /// [`MessengerError::NoSuchGroup`] if this device does not know the group;
    /// [`MessengerError::Group`] if this user may not make the change, or if it would change
    /// nothing; [`MessengerError::Blocked`] if it would add somebody whom the user blocks.
    pub async fn change_group(
        &self,
        id: &GroupId,
        proposal: Proposal,
    ) -> Result<ChangedGroup, MessengerError> {
        if let Proposal::Add(members) = &proposal {
            members.iter().try_for_each(|member| self.require_not_blocked(member))?;
        }
        let known = self.known(id)?;
        let (change, next) = self.signing(|signer| propose(&known.current, proposal, signer))??;
        let told = if change == GroupChange::Left {
            known.current.members().clone()
        } else {
            next.members().clone()
        };
        Box::pin(self.control(change, Some(known), next, &told)).await
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
        let message = self.put_group_message(id, draft).await?;
        self.send_message(&message).await
    }

    /// Stores a message to a group with its envelopes, and returns its id. [`Messenger::send_message`]
    /// sends it.
    ///
    /// # Errors
    /// Those of [`Messenger::send_to_group`].
    pub async fn put_group_message(
        &self,
        id: &GroupId,
        draft: MessageDraft,
    ) -> Result<String, MessengerError> {
        let state = self.known(id)?.current;
        let me = self.device.actor();
        if !state.members().contains(&me) {
            return Err(crate::group::GroupError::NotMember(me).into());
        }
        let group = GroupRef { id: id.clone(), epoch: state.epoch(), state: state.hash() };
        let content = ActivityContent::Note(self.note(draft));
        let outgoing = OutgoingActivity { conversation: id.to_string(), group: Some(group), content };
        self.put_activity(outgoing, others(state.members(), &me)).await
    }

    pub(super) async fn control(
        &self,
        change: GroupChange,
        known: Option<KnownGroup>,
        next: GroupState,
        told: &BTreeSet<String>,
    ) -> Result<ChangedGroup, MessengerError> {
        let (id, mut notices) = self.put_control(change, known, next, told).await?;
        self.send_envelopes(&id).await?;
        Box::pin(self.keep_own_records(&mut notices)).await?;
        Ok(ChangedGroup { sent: self.sent(&id)?, notices })
    }

    /// Makes a control, keeps what it makes, and puts it into envelopes, which are then due. Returns
    /// the id of the activity, and the news from what was held for the group.
    pub(super) async fn put_control(
        &self,
        change: GroupChange,
        known: Option<KnownGroup>,
        next: GroupState,
        told: &BTreeSet<String>,
    ) -> Result<(String, Vec<Notice>), MessengerError> {
        self.require_left()?;
        let me = self.device.actor();
        let before = known.as_ref().map(|known| &known.current);
        let control = self.signing(|signer| GroupControl::seal(change, before, &next, signer))??;
        let activity = Activity::of_control(&control);
        let to = others(told, &me);
        let sync = self.has_other_devices().await?;
        let mut notices = Vec::new();
        self.store.write(|tx| {
            // Another process may have changed the group since it was read. It may also have found that
            // a new key is due, which is no other state.
            let now = tx.group(next.id().as_str())?;
            if now.as_ref().map(|now| now.current.hash()) != before.map(GroupState::hash) {
                return Err(MessengerError::Group(crate::group::GroupError::Stale));
            }
            let after = match &now {
                None => Some(KnownGroup::created(next.clone(), &self.device.address())),
                now => KnownGroup::after(now.as_ref(), &control, &ControlVerdict::Apply, &me),
            };
            let after = after.ok_or(DeviceStoreError::Corrupt("group"))?;
            tx.keep_group(&after, Some(&control))?;
            note_departure(tx, &control, &after, &me)?;
            // What was held for the state before may say nothing of this one.
            self.retry_held(tx, next.id(), &mut notices)?;
            self.keep_notices(tx, &mut notices)?;
            self.enclose(tx, &activity, &to, sync)
        })?;
        Ok((activity.id.to_string(), notices))
    }

    /// Runs `work` with this device as the signer of controls and grants.
    pub(super) fn signing<R>(&self, work: impl FnOnce(&GroupSigner<'_>) -> R) -> Result<R, DeviceStoreError> {
        let (actor, device) = (self.device.actor(), self.device.address());
        let pinned = self.store.read(|tx| tx.pinned(&actor))?;
        let own = pinned.map(|pinned| Contact::new(self.me(), pinned)).transpose()?;
        let device_set = own.and_then(|own| own.device_set());
        Ok(work(&GroupSigner {
            actor: &actor,
            device: &device,
            identity: self.device.keys().identity(),
            device_set: device_set.as_ref(),
            environment: &self.environment,
        }))
    }

    fn known(&self, id: &GroupId) -> Result<KnownGroup, MessengerError> {
        let known = self.store.read(|tx| tx.group(id.as_str()))?;
        known.ok_or_else(|| MessengerError::NoSuchGroup(id.to_string()))
    }

    /// Decides whether a note to a group counts: its author is a member, as this device knows it. What is
    /// for a later epoch is held. So is the note of somebody who is no member: they may not know that they
    /// were removed, or may have written it before that, and may be added again.
    pub(super) fn belongs(
        &self,
        tx: &Transaction<'_>,
        activity: &Activity,
        group: &GroupRef,
        whence: &ActivitySource<'_>,
        notices: &mut Vec<Notice>,
    ) -> Result<NoteStanding, MessengerError> {
        let me = self.device.actor();
        let known = tx.group(group.id.as_str())?.filter(|known| known.current.members().contains(&me));
        let Some(known) = known else {
            let invitations = tx.invitations(Some(group.id.as_str()))?;
            if invitations.is_empty() || invitations.iter().any(|invitation| !invitation.declined) {
                self.hold(tx, &group.id, activity, whence, HeldReason::NotJoined, notices)?;
            }
            return Ok(NoteStanding::Waits);
        };
        if group.epoch > known.current.epoch() {
            self.hold(tx, &group.id, activity, whence, HeldReason::Ahead, notices)?;
            return Ok(NoteStanding::Waits);
        }
        if !known.current.members().contains(whence.actor) {
            return match known.note_of_former_member(whence.actor, &group.state, whence.received_ms) {
                FormerMemberNote::BeforeDeparture => Ok(NoteStanding::Counts),
                FormerMemberNote::SoonAfterDeparture => Ok(NoteStanding::Late),
                FormerMemberNote::Other => {
                    self.hold(tx, &group.id, activity, whence, HeldReason::NotMember, notices)?;
                    Ok(NoteStanding::Waits)
                }
            };
        }
        self.compare_state(tx, known, group, whence, notices)?;
        Ok(NoteStanding::Counts)
    }
}

pub(super) fn others(members: &BTreeSet<String>, me: &str) -> Vec<Person> {
    members.iter().filter(|member| *member != me).filter_map(|member| Person::of(member)).collect()
}
