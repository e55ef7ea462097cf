//! Invitations: whoever is brought into a group by somebody else joins only by saying so.

use std::collections::{BTreeMap, BTreeSet};

use super::contact::Contact;
use super::controls::{NewGrants, event, skips_judgement_of_grants};
use super::groups::{ChangedGroup, others};
use super::incoming::ActivitySource;
use super::standing::Standing;
use super::{Distrust, GroupEvent, Messenger, MessengerError, Notice, Person, Trust};
use crate::content::{Activity, ActivityContent, GroupRef};
use crate::group::{
    ControlSender, ControlVerdict, GroupControl, GroupError, GroupId, GroupState, KnownGroup, check_lineage,
    judge_control,
};
use crate::store::{DeviceStoreError, HeldReason, StoredInvitation, Transaction};
use crate::{SignalSessions, Transport};

/// The greatest number of members of a group in which each of them is told who joins.
pub const ALL_TOLD: usize = 32;

/// An invitation to a group.
#[derive(Debug, Clone)]
pub struct Invitation {
    /// The group's state, as the invitation and the controls after it make it.
    pub state: GroupState,
    /// The actor id of the user who invites.
    pub by: String,
    /// The time at which the server accepted the invitation, in epoch milliseconds.
    pub received_ms: i64,
    /// True if the user who invites is no contact.
    pub stranger: bool,
    /// True if this user is in the group, with another history: the one that this user shows, or had,
    /// can be chosen in its place.
    pub other_history: bool,
}

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Returns the invitations that this user has neither accepted nor declined. Several to one
    /// group are a conflict: they do not follow from each other.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn invitations(&self) -> Result<Vec<Invitation>, DeviceStoreError> {
        let me = self.device.actor();
        self.store.read(|tx| {
            let stored = tx.invitations(None)?;
            let open = stored.into_iter().filter(|stored| !stored.declined);
            let invitation = |stored: StoredInvitation| {
                let known = tx.group(stored.known.current.id().as_str())?;
                Ok(Invitation {
                    other_history: known.is_some_and(|known| known.current.members().contains(&me)),
                    state: stored.known.current,
                    by: stored.by,
                    received_ms: stored.received_ms,
                    stranger: stored.stranger,
                })
            };
            open.map(invitation).collect()
        })
    }

    /// Joins a group: checks that the invitation descends from the group's creator, keeps the
    /// group, and tells the members and this user's other devices. `by` selects one of several
    /// invitations. Whoever is in the group already goes over to the history of `by`, which takes the
    /// place of the own one.
    ///
    /// # Errors
    /// [`MessengerError::NoSuchGroup`] if there is no invitation; [`MessengerError::Group`] with
    /// [`GroupError::FalseGrant`] if nothing proves the invitation, or [`GroupError::RevokedDevice`] if
    /// its device was revoked since: it is dropped; and with [`GroupError::SeveralInvitations`] if
    /// several are proven and `by` selects none of them. [`MessengerError::Distrust`] if the devices of
    /// who made it were all replaced, and this user has not accepted that, or if their server hides a
    /// part of their chain. The chain is read anew; if it cannot be read, the invitation stays.
    pub async fn join_group(
        &self,
        id: &GroupId,
        by: Option<&Person>,
    ) -> Result<ChangedGroup, MessengerError> {
        self.require_joined().await?;
        let by = by.map(Person::actor);
        let known = self.store.read(|tx| tx.group(id.as_str()))?;
        let is_member = known.is_some_and(|known| known.current.members().contains(&self.device.actor()));
        let mut failure = MessengerError::NoSuchGroup(id.to_string());
        let mut open = self.store.read(|tx| tx.invitations(Some(id.as_str())))?;
        open.retain(|it| !it.declined && by.as_ref().is_none_or(|by| *by == it.by));
        if is_member && by.is_none() && !open.is_empty() {
            return Err(GroupError::SeveralInvitations.into());
        }
        let (mut proven, mut read): (Vec<StoredInvitation>, _) = (Vec::new(), BTreeSet::new());
        for invitation in open {
            match Box::pin(self.check_invitation(&invitation, &mut read)).await {
                Ok(()) if proven.iter().any(|it| it.known.current == invitation.known.current) => {}
                Ok(()) => proven.push(invitation),
                Err(error @ MessengerError::Group(_)) => {
                    self.store.write(|tx| tx.drop_invitations(id.as_str(), Some(&invitation.by)))?;
                    failure = error;
                }
                // What cannot be proven now may be proven later. It stops no other invitation.
                Err(error) => failure = error,
            }
        }
        let invitation = match (proven.pop(), proven.is_empty()) {
            (None, _) => return Err(failure),
            (Some(one), true) => one,
            (Some(_), false) => return Err(GroupError::SeveralInvitations.into()),
        };
        self.accept_invitation(&invitation).await
    }

    async fn accept_invitation(&self, invitation: &StoredInvitation) -> Result<ChangedGroup, MessengerError> {
        let state = &invitation.known.current;
        let (me, id) = (self.device.actor(), state.id().clone());
        let sync = self.has_other_devices().await?;
        let mut notices = Vec::new();
        let sent = self.store.write(|tx| {
            // Another process may have followed a control since, which was not proven here.
            let now = tx.invitations(Some(id.as_str()))?;
            let now = now.into_iter().find(|now| now.by == invitation.by && now.known.current == *state);
            let Some(now) = now else { return Err(MessengerError::Group(GroupError::Stale)) };
            // Nor may the device have been revoked meanwhile.
            self.check_maker(tx, &now)?;
            self.enter(tx, &now, &mut notices)?;
            self.keep_notices(tx, &mut notices)?;
            let group = GroupRef { id: id.clone(), epoch: state.epoch(), state: state.hash() };
            let join = self.evidence(tx, id.as_str(), Some(group), ActivityContent::Join(id.clone()))?;
            self.enclose(tx, &join, &others(told_of_join(state), &me), sync)?;
            Ok(join.id)
        })?;
        let sent = self.send_envelopes(sent.as_str()).await?;
        Box::pin(self.keep_joined_record(id.as_str(), &mut notices)).await?;
        notices.extend(self.kept_notices(&notices)?);
        Ok(ChangedGroup { sent, notices })
    }

    /// Declines the invitations to a group, or the one of `by`. Nobody is told.
    ///
    /// # Errors
    /// [`MessengerError::NoSuchGroup`] if there is no such invitation.
    pub fn decline_group(&self, id: &GroupId, by: Option<&Person>) -> Result<(), MessengerError> {
        let by = by.map(Person::actor);
        self.store.write(|tx| {
            let mut invitations = tx.invitations(Some(id.as_str()))?;
            invitations.retain(|it| !it.declined && by.as_ref().is_none_or(|by| *by == it.by));
            if invitations.is_empty() {
                return Err(MessengerError::NoSuchGroup(id.to_string()));
            }
            for invitation in invitations {
                tx.keep_invitation(&StoredInvitation { declined: true, ..invitation })?;
            }
            if tx.invitations(Some(id.as_str()))?.iter().all(|it| it.declined)
                && tx.group(id.as_str())?.is_none()
            {
                tx.drop_held(id.as_str())?;
            }
            Ok(())
        })
    }

    /// Checks an invitation: by the chain of whoever made its state, as it is now, and by its grants.
    /// `read` has those whose chains were read for this.
    async fn check_invitation(
        &self,
        invitation: &StoredInvitation,
        read: &mut BTreeSet<String>,
    ) -> Result<(), MessengerError> {
        let maker = invitation.latest.author();
        if maker != self.device.actor() && !read.contains(maker) {
            let nobody = || MessengerError::NoSuchPerson(maker.to_owned());
            let contact = self.read_chain(&Person::of(maker).ok_or_else(nobody)?).await?;
            // The node that is missing may be a revocation.
            if let Some(why) = contact.hidden() {
                return Err(self.alarm(maker, why)?);
            }
            read.insert(maker.to_owned());
        }
        self.store.read(|tx| self.check_maker(tx, invitation))?;
        self.prove(&invitation.known.current).await?;
        self.store.read(|tx| {
            let (state, me) = (&invitation.known.current, self.device.actor());
            let known = tx.group(state.id().as_str())?;
            match known.filter(|known| known.current.members().contains(&me)) {
                Some(known) if self.rests_on_doubt(tx, &known.current, state, maker)? => {
                    Err(GroupError::RevokedDevice.into())
                }
                _ => Ok(()),
            }
        })
    }

    /// Checks that the device which made the state of an invitation is an active one still, and that
    /// this user has accepted a reset of its user's devices.
    fn check_maker(&self, tx: &Transaction<'_>, invitation: &StoredInvitation) -> Result<(), MessengerError> {
        let (author, device) = (invitation.latest.author(), invitation.latest.device());
        let nobody = || MessengerError::NoSuchPerson(author.to_owned());
        let contact = self.kept_contact(tx, author)?.ok_or_else(nobody)?;
        match Standing::of(&contact, device, &self.device.actor()) {
            Standing::Revoked => Err(GroupError::RevokedDevice.into()),
            Standing::Reset | Standing::Former => {
                Err(contact.distrust(Distrust::Reset { verified: contact.pinned.verified.is_some() }))
            }
            Standing::Own | Standing::Accepted | Standing::Stranger => Ok(()),
        }
    }

    /// Checks the signature of each grant by the chains of those who granted, which it reads if
    /// they are not pinned. Who invites chooses them, so those of strangers are read through the own
    /// server.
    async fn prove(&self, state: &GroupState) -> Result<(), MessengerError> {
        let mut chains: BTreeMap<String, Contact> = BTreeMap::new();
        for grant in state.grants() {
            let unproven = || GroupError::FalseGrant(grant.admin.clone());
            let person = Person::of(&grant.by).ok_or_else(unproven)?;
            let kept = self.store.read(|tx| self.kept_contact(tx, &grant.by))?;
            let is_known = |kept: &Contact| kept.listed(&grant.device).is_some() && kept.hidden().is_none();
            let contact = match kept.filter(is_known) {
                Some(kept) => kept,
                None => self.read_chain(&person).await?,
            };
            // The node that is missing may be the revocation of the device that grants.
            if let Some(why) = contact.hidden() {
                return Err(self.alarm(&grant.by, why)?);
            }
            // A server that has replaced all devices of a user grants in their name, by whatever devices
            // it has added since.
            let standing = Standing::of(&contact, &grant.device, &self.device.actor());
            if contact.trust() == Trust::Reset && standing != Standing::Former {
                let verified = contact.pinned.verified.is_some();
                return Err(contact.distrust(Distrust::Reset { verified }));
            }
            chains.insert(grant.by.clone(), contact);
        }
        let identity = |actor: &str, device: &str| Some(chains.get(actor)?.listed(device)?.identity);
        Ok(check_lineage(state, identity)?)
    }

    /// Keeps the group of an invitation as one that this user is in, and tries again what was held.
    fn enter(
        &self,
        tx: &Transaction<'_>,
        invitation: &StoredInvitation,
        notices: &mut Vec<Notice>,
    ) -> Result<(), MessengerError> {
        let id = invitation.known.current.id();
        let known = match tx.group(id.as_str())? {
            Some(replaced) => invitation.known.clone().in_place_of(&replaced),
            None => invitation.known.clone(),
        };
        tx.keep_group(&known, Some(&invitation.latest))?;
        tx.drop_invitations(id.as_str(), None)?;
        self.retry_held(tx, id, notices)
    }

    /// Stores a control that brings this user into a group as an invitation. One that is known to
    /// be false is refused.
    pub(super) fn invite(
        &self,
        tx: &Transaction<'_>,
        control: &GroupControl,
        whence: &ActivitySource<'_>,
        notices: &mut Vec<Notice>,
    ) -> Result<(), MessengerError> {
        let (me, id) = (self.device.actor(), control.state().id());
        for grant in control.state().grants() {
            // A chain that is not pinned, or has no such device yet, is read when the user joins.
            let granter = self.kept_contact(tx, &grant.by)?.and_then(|contact| contact.listed(&grant.device));
            if granter.is_some_and(|listed| !grant.is_signed_by(id, &listed.identity)) {
                if whence.standing != Standing::Stranger {
                    let why = GroupError::FalseGrant(grant.admin.clone());
                    notices.push(event(id, whence.actor, GroupEvent::Refused(why)));
                }
                return Ok(());
            }
        }
        let Some(known) = KnownGroup::after(None, control, &ControlVerdict::Join, &me) else {
            return Ok(());
        };
        let stored = tx.invitations(Some(id.as_str()))?;
        // What may have come before it, in the name of somebody else.
        let (mut known, mut latest) = (known, control.clone());
        for other in stored.iter().filter(|other| other.by != whence.actor) {
            if self.followed(tx, control, &other.latest)?
                && let Some(next) =
                    KnownGroup::after(Some(&known), &other.latest, &ControlVerdict::Apply, &me)
            {
                (known, latest) = (next, other.latest.clone());
                break;
            }
        }
        let mut before = stored.into_iter().find(|before| before.by == whence.actor);
        // An invitation that cannot be joined keeps no other one out.
        if let Some(kept) = &before
            && self
                .kept_contact(tx, kept.latest.author())?
                .is_some_and(|author| Standing::of(&author, kept.latest.device(), &me) == Standing::Revoked)
        {
            before = None;
        }
        if before.as_ref().is_some_and(|before| before.known.current.epoch() >= known.current.epoch()) {
            return Ok(());
        }
        let invitation = StoredInvitation {
            by: whence.actor.to_owned(),
            known,
            latest,
            received_ms: whence.received_ms,
            stranger: whence.standing == Standing::Stranger,
            declined: before.is_some_and(|before| before.declined) && !control.brings_in(&me),
        };
        tx.keep_invitation(&invitation)?;
        if !invitation.declined {
            notices.push(event(id, whence.actor, GroupEvent::Invited));
        }
        // The `Join` of another device of this user may have come before.
        if whence.was_held { Ok(()) } else { self.retry_held(tx, id, notices) }
    }

    /// Keeps another history of a group that this user is in, as `by` shows it. The user may choose it.
    pub(super) fn keep_lineage(
        &self,
        tx: &Transaction<'_>,
        known: KnownGroup,
        latest: GroupControl,
        by: &str,
        whence: &ActivitySource<'_>,
    ) -> Result<(), MessengerError> {
        let (id, me) = (known.current.id().as_str(), self.device.actor());
        let before = tx.invitations(Some(id))?.into_iter().find(|before| before.by == by);
        let is_old = before.as_ref().is_some_and(|it| it.known.current.epoch() > known.current.epoch());
        if is_old || by == me || !known.current.members().contains(&me) {
            return Ok(());
        }
        let declined = before.is_some_and(|before| before.declined);
        let (by, received_ms) = (by.to_owned(), whence.received_ms);
        let stranger = whence.standing == Standing::Stranger;
        let invitation = StoredInvitation { by, known, latest, received_ms, stranger, declined };
        Ok(tx.keep_invitation(&invitation)?)
    }

    /// Judges a control by each invitation to its group. Returns true if one of them follows it. If
    /// another device of this user has made the control, the group is joined with it.
    ///
    /// The state before that of an invitation counts only if the invitation is a right change of it. Or
    /// else it belongs to another invitation: whoever invites can name any state as the one before. An
    /// invitation by somebody else is another one, too: whoever invites can list any admins.
    ///
    /// Grants that no state before proves are proven here, since a `Join` of another device of this user
    /// may name an earlier state. A control with others belongs to no invitation.
    pub(super) fn follow_invitations(
        &self,
        tx: &Transaction<'_>,
        control: &GroupControl,
        sender: &ControlSender<'_>,
        whence: &ActivitySource<'_>,
        notices: &mut Vec<Notice>,
    ) -> Result<bool, MessengerError> {
        let (me, mut follows, mut leads) = (self.device.actor(), false, false);
        for invitation in tx.invitations(Some(control.state().id().as_str()))? {
            let verdict = judge_control(Some(&invitation.known), control, sender, &me);
            let invites_anew = control.brings_in(&me) && control.author() != invitation.by;
            follows |= verdict == ControlVerdict::Same && !invites_anew;
            let Some(known) = KnownGroup::after(Some(&invitation.known), control, &verdict, &me) else {
                continue;
            };
            let is_latest = known.current == *control.state();
            if invites_anew || (is_latest && !self.has_proven_grants(tx, &invitation, control, &verdict)?) {
                continue;
            }
            let leads_on = match verdict {
                ControlVerdict::Join => continue,
                ControlVerdict::Reveals => match self.followed(tx, control, &invitation.latest)? {
                    true => true,
                    false => continue,
                },
                _ => is_latest,
            };
            if whence.standing == Standing::Own && !leads_on {
                continue;
            }
            // Whoever invites can name any admins. So a control that counts without the state before is
            // an invitation by its author too, if this one is by somebody else.
            let is_vouched = !skips_judgement_of_grants(&verdict) || control.author() == invitation.by;
            follows |= is_vouched || whence.standing == Standing::Own;
            let latest = if is_latest { control.clone() } else { invitation.latest.clone() };
            let was_declined = invitation.declined;
            let declined = was_declined && !control.brings_in(&me);
            let invitation = StoredInvitation { known, latest, declined, ..invitation };
            if whence.standing == Standing::Own {
                self.enter(tx, &invitation, notices)?;
                break;
            }
            tx.keep_invitation(&invitation)?;
            // Whoever has declined is invited anew.
            if was_declined && !declined {
                notices.push(event(invitation.known.current.id(), whence.actor, GroupEvent::Invited));
            }
            leads = true;
        }
        // The `Join` of another device of this user may have come before, and name this state.
        if leads && !whence.was_held {
            self.retry_held(tx, control.state().id(), notices)?;
        }
        Ok(follows)
    }

    /// True if the grants are proven that a control, which was judged so, adds to those of an invitation.
    fn has_proven_grants(
        &self,
        tx: &Transaction<'_>,
        invitation: &StoredInvitation,
        control: &GroupControl,
        verdict: &ControlVerdict,
    ) -> Result<bool, MessengerError> {
        if !skips_judgement_of_grants(verdict) {
            return Ok(true);
        }
        let proof = self.check_new_grants(tx, &invitation.known.current, control.state())?;
        Ok(matches!(proof, NewGrants::Proven))
    }

    /// True if `next` is a right change of the state that `control` makes.
    fn followed(
        &self,
        tx: &Transaction<'_>,
        control: &GroupControl,
        next: &GroupControl,
    ) -> Result<bool, MessengerError> {
        let (me, author, device) = (self.device.actor(), next.author(), next.device());
        let listed = self.kept_contact(tx, author)?.and_then(|contact| contact.listed(device));
        let before = KnownGroup::after(None, control, &ControlVerdict::Join, &me);
        let Some((listed, before)) = listed.zip(before) else { return Ok(false) };
        let sender = ControlSender { actor: author, device, identity: &listed.identity };
        Ok(judge_control(Some(&before), next, &sender, &me) == ControlVerdict::Apply)
    }

    /// Keeps what a `Join` says: that a member has the state, or that this user has joined on
    /// another device.
    pub(super) fn keep_join(
        &self,
        tx: &Transaction<'_>,
        activity: &Activity,
        group: &GroupRef,
        whence: &ActivitySource<'_>,
        notices: &mut Vec<Notice>,
    ) -> Result<(), MessengerError> {
        let me = self.device.actor();
        let known = tx.group(group.id.as_str())?;
        let joined = known.filter(|known| known.current.members().contains(&me));
        let joined_differs = joined.as_ref().is_some_and(|known| known.current.hash() != group.state);
        match (joined, whence.standing) {
            (_, standing) if standing.is_in_doubt() => Ok(()),
            (Some(_), Standing::Own) => {
                // The user has chosen another history on that device.
                let chosen = |it: &StoredInvitation| it.known.current.hash() == group.state;
                let chosen = tx.invitations(Some(group.id.as_str()))?.into_iter().find(chosen);
                match chosen.filter(|_| joined_differs) {
                    Some(invitation) => self.enter(tx, &invitation, notices),
                    None => Ok(()),
                }
            }
            (None, Standing::Own) => {
                let agrees = |it: &StoredInvitation| it.known.has_followed(&group.state);
                match tx.invitations(Some(group.id.as_str()))?.into_iter().find(agrees) {
                    Some(invitation) => {
                        notices.push(event(&group.id, whence.actor, GroupEvent::Joined));
                        self.enter(tx, &invitation, notices)
                    }
                    None => self.hold(tx, &group.id, activity, whence, HeldReason::NotJoined, notices),
                }
            }
            (None, _) => self.hold(tx, &group.id, activity, whence, HeldReason::NotJoined, notices),
            (Some(known), _) if group.epoch > known.current.epoch() => {
                self.hold(tx, &group.id, activity, whence, HeldReason::Ahead, notices)
            }
            (Some(known), _) => {
                let before = known.confirmed.contains(whence.actor);
                self.compare_state(tx, known, group, whence, notices)?;
                let now = tx.group(group.id.as_str())?;
                // Whoever only writes may have been there before this user.
                if !before && now.is_some_and(|now| now.confirmed.contains(whence.actor)) {
                    notices.push(event(&group.id, whence.actor, GroupEvent::Joined));
                }
                Ok(())
            }
        }
    }
}

/// Returns the members who are told that this user joins. In a large group these are the admins: the
/// others see it by the first message.
fn told_of_join(state: &GroupState) -> &BTreeSet<String> {
    if state.members().len() > ALL_TOLD { state.admins() } else { state.members() }
}

#[cfg(test)]
mod tests;
