//! Activities of groups that cannot be judged yet. They are held, shown, and tried again.

use super::controls::event;
use super::incoming::ActivitySource;
use super::standing::Standing;
use super::{GroupEvent, Messenger, MessengerError, Notice, Trust};
use crate::content::{Activity, ActivityContent};
use crate::group::GroupId;
use crate::store::{
    AwaitedMessage, AwaitedReason, DeviceStoreError, HeldActivity, HeldReason, Transaction, parse_evidence,
};
use crate::{SignalSessions, Transport};

/// An activity that is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldItem {
    /// The id of the group that it is for.
    pub group: String,
    /// The actor id of its author.
    pub actor: String,
    /// The time at which the server accepted it, in epoch milliseconds.
    pub received_ms: i64,
    /// The reason.
    pub why: HeldReason,
}

/// The device whose chain an activity awaits that is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Awaited {
    /// The author's.
    Author,
    /// The device of somebody who made another member an admin.
    Granter {
        /// The actor id.
        actor: String,
        /// The device's address.
        device: String,
    },
}

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Returns what is held, oldest first. None of it is proven, and none of it was reported to its
    /// author as delivered.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn held(&self) -> Result<Vec<HeldItem>, DeviceStoreError> {
        let held = self.store.read(|tx| tx.held(None))?;
        let item = |held: HeldActivity| HeldItem {
            group: held.group,
            actor: held.author,
            received_ms: held.received_ms,
            why: held.why,
        };
        Ok(held.into_iter().map(item).collect())
    }

    pub(super) fn hold(
        &self,
        tx: &Transaction<'_>,
        id: &GroupId,
        activity: &Activity,
        whence: &ActivitySource<'_>,
        why: HeldReason,
        notices: &mut Vec<Notice>,
    ) -> Result<(), MessengerError> {
        self.hold_for(tx, id, activity, whence, (why, Awaited::Author), notices)
    }

    /// Holds an activity until the chain is known of whom it awaits.
    pub(super) fn hold_for(
        &self,
        tx: &Transaction<'_>,
        id: &GroupId,
        activity: &Activity,
        whence: &ActivitySource<'_>,
        (why, awaits): (HeldReason, Awaited),
        notices: &mut Vec<Notice>,
    ) -> Result<(), MessengerError> {
        let is_known = matches!(whence.standing, Standing::Own | Standing::Accepted)
            || self.is_named(tx, id, whence.actor)?;
        let (author, signer) = match &activity.content {
            ActivityContent::Announce(control) => (control.author(), control.device()),
            _ => (whence.actor, whence.device),
        };
        let (awaited, awaited_device) = match &awaits {
            Awaited::Author => (author, signer),
            Awaited::Granter { actor, device } => (actor.as_str(), device.as_str()),
        };
        let held = HeldActivity {
            row: 0,
            group: id.to_string(),
            actor: whence.actor.to_owned(),
            device: whence.device.to_owned(),
            author: author.to_owned(),
            awaited: awaited.to_owned(),
            awaited_device: awaited_device.to_owned(),
            received_ms: whence.received_ms,
            plaintext: activity.to_plaintext()?,
            why,
            stranger: !is_known,
            warning: whence.warning.clone(),
            place: None,
            evidence: None,
        };
        notices.push(event(id, author, GroupEvent::Held(why)));
        Ok(tx.hold(&held, self.now_ms())?)
    }

    /// Drops the notices of one look that say something is held, and that this user is invited, of groups of
    /// which what was missing has come in the same look: the entries of unknown senders are read last, and may
    /// let through what others and the user's other devices have sent. Drops those of requests, too, of people who
    /// are contacts by now: this device has followed their move to the account from which they wrote.
    pub(super) fn drop_outdated_notices(&self, notices: &mut Vec<Notice>) -> Result<(), DeviceStoreError> {
        if !notices.iter().any(|notice| matches!(notice, Notice::Group { .. } | Notice::Request { .. })) {
            return Ok(());
        }
        self.store.read(|tx| {
            let mut current = Vec::with_capacity(notices.len());
            for notice in notices.drain(..) {
                let is_outdated = match &notice {
                    Notice::Group { id, event: GroupEvent::Held(_), .. } => {
                        tx.held(Some(id.as_str()))?.is_empty()
                    }
                    Notice::Group { id, event: GroupEvent::Invited, .. } => {
                        tx.invitations(Some(id.as_str()))?.is_empty()
                    }
                    Notice::Request { actor } => tx.is_contact(actor)?,
                    _ => false,
                };
                if !is_outdated {
                    current.push(notice);
                }
            }
            *notices = current;
            Ok(())
        })
    }

    /// True if somebody is a member of a group, or of one that a contact invites this user to.
    fn is_named(&self, tx: &Transaction<'_>, id: &GroupId, actor: &str) -> Result<bool, DeviceStoreError> {
        if tx.group(id.as_str())?.is_some_and(|known| known.current.members().contains(actor)) {
            return Ok(true);
        }
        let invitations = tx.invitations(Some(id.as_str()))?;
        let by_contacts = invitations.iter().filter(|invitation| !invitation.stranger);
        Ok(by_contacts.into_iter().any(|invitation| invitation.known.current.members().contains(actor)))
    }

    /// Tries again what was held for a group, until nothing more of it counts: each activity may let
    /// others through. The sender's standing is what it is now, and the warning that there was
    /// stays.
    pub(super) fn retry_held(
        &self,
        tx: &Transaction<'_>,
        id: &GroupId,
        notices: &mut Vec<Notice>,
    ) -> Result<(), MessengerError> {
        let mut held = tx.held(Some(id.as_str()))?;
        while !held.is_empty() {
            let count = held.len();
            for one in held {
                // What was held may have been tried already, after one that it let through.
                if tx.release(one.row)? {
                    self.retry(tx, one, notices)?;
                }
            }
            held = tx.held(Some(id.as_str()))?;
            if held.len() >= count {
                break;
            }
        }
        Ok(())
    }

    fn retry(
        &self,
        tx: &Transaction<'_>,
        held: HeldActivity,
        notices: &mut Vec<Notice>,
    ) -> Result<(), MessengerError> {
        let Ok(activity) = Activity::from_plaintext(&held.plaintext) else { return Ok(()) };
        let Some(contact) = self.kept_contact(tx, &held.actor)? else { return Ok(()) };
        let standing = Standing::of(&contact, &held.device, &self.device.actor());
        let whence = ActivitySource {
            actor: &held.actor,
            device: &held.device,
            envelope: None,
            received_ms: held.received_ms,
            standing,
            warning: held.warning.or_else(|| standing.warning(&contact, &held.device, &self.device.actor())),
            was_held: true,
            forwarder: None,
        };
        let mut told = Vec::new();
        match held.evidence.as_deref().map(parse_evidence).transpose()? {
            Some(flag) => self.keep_reportable(tx, &activity, &whence, &flag, &mut told)?,
            None => self.keep(tx, &activity, &whence, &mut told)?,
        };
        if let Some(position) = held.place {
            let (actor, device) = (held.actor.clone(), held.device.clone());
            let place = AwaitedMessage {
                actor,
                device,
                received_ms: held.received_ms,
                position,
                stored_ms: 0,
                why: AwaitedReason::Undecryptable,
            };
            self.fill_place(tx, &place, &activity)?;
        }
        // The user has been told that it is held.
        told.retain(|notice| !matches!(notice, Notice::Group { event: GroupEvent::Held(_), .. }));
        notices.append(&mut told);
        Ok(())
    }

    /// Tries again what was held for a chain: because all devices of its author were replaced, if this
    /// user has accepted that since, or because a device was not known, if it is now.
    pub(super) fn retry_after_chains(&self, notices: &mut Vec<Notice>) -> Result<(), MessengerError> {
        self.store.write(|tx| {
            for held in tx.held_for_chains()? {
                let Some(contact) = self.kept_contact(tx, &held.awaited)? else { continue };
                let is_settled = if held.why == HeldReason::Reset {
                    contact.trust() != Trust::Reset
                } else {
                    contact.listed(&held.awaited_device).is_some()
                };
                if is_settled && let Ok(id) = GroupId::parse(&held.group) {
                    self.retry_held(tx, &id, notices)?;
                }
            }
            Ok(self.keep_notices(tx, notices)?)
        })
    }
}
