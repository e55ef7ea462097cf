//! Verifying a contact: the safety number that two people compare, and what follows from it.

use std::collections::BTreeMap;

use eko_protocol::Invalid;
use eko_protocol::chain::ChainNode;
use eko_protocol::device_set::DeviceSetRef;
use futures_util::future::join_all;

use super::contact::Contact;
use super::growth::DeviceChanges;
use super::{Distrust, Messenger, MessengerError, Person, Trust};
use crate::content::{Activity, ActivityContent};
use crate::fingerprint::{SafetyNumber, SafetyNumberEnd};
use crate::store::{ChainAlarm, DeviceStoreError, EnvelopeState, OutboxEnvelope, Transaction};
use crate::{SignalSessions, Transport};

/// The number of chains that are read again at the same time because something was held back.
const READ_FOR_HELD_BACK: usize = 8;
/// The reason of a note of a group that its recipient has left.
const NO_MEMBER: &str = "they are not in the group";
/// The reason of something that was refused, that this device has not kept, and that is no note of its own.
const NOT_KEPT: &str = "this device has not kept it";
/// The reason of something that was refused, and that this device cannot read any more.
const NOT_READABLE: &str = "this device cannot read what it has kept of it";

/// The safety number to compare with a person, and what is known of that person's devices.
#[derive(Debug, Clone)]
pub struct Verification {
    /// The safety number. Both sides see the same one if nobody is between them.
    pub number: SafetyNumber,
    /// The degree to which their devices are trusted.
    pub trust: Trust,
    /// The changes of their devices since the user compared numbers, or `None` if the user has not, or
    /// not since the last reset.
    pub since_compared: Option<DeviceChanges>,
    /// True if this user's own devices have changed since the user compared numbers, so that the number
    /// is another one.
    pub own_changed: bool,
    /// The device set of their chain, from which the number was computed.
    pub set: DeviceSetRef,
    /// The addresses of their active devices.
    pub devices: Vec<String>,
    /// The contradiction that their server showed in place of this chain, now or before.
    pub alarm: Option<ChainAlarm>,
    /// The contradiction that their server shows now. The user has not seen it yet, so nothing that
    /// the user says is about it.
    pub contradiction: Option<Distrust>,
    /// The head of the own chain, from which the number was computed.
    own_head: String,
    /// The heads that their devices had signed and this chain lacks, by the addresses of the devices.
    proven: BTreeMap<String, DeviceSetRef>,
}

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Reads a person's chain and the own one again, and returns what to compare. If their server
    /// shows a contradiction, it is in `alarm`, and the number is that of the pinned chain.
    ///
    /// # Errors
    /// [`MessengerError::NoSuchPerson`] if there is no such user; [`MessengerError::PersonDeleted`]. Other failures matter only if
    /// nothing was pinned.
    pub async fn verification(&self, person: &Person) -> Result<Verification, MessengerError> {
        let (contact, contradiction) = match self.look_again(person).await {
            Ok(contact) => match contact.hidden() {
                None => (contact, None),
                Some(why) => {
                    self.alarm(&person.actor(), why)?;
                    (self.contact(person).await?, None)
                }
            },
            Err(error) if !self.store.read(|tx| tx.is_pinned(&person.actor()))? => return Err(error),
            // There is nobody left with whom to compare.
            Err(error @ MessengerError::PersonDeleted(_)) => return Err(error),
            // Their devices contradict what the server shows, as they contradict the pinned chain. So
            // the user decides about both at once.
            Err(MessengerError::Distrust { why: Distrust::Disputed(_), .. }) => {
                (self.contact(person).await?, None)
            }
            Err(MessengerError::Distrust { why, .. }) => (self.contact(person).await?, Some(why)),
            Err(_) => (self.contact(person).await?, None),
        };
        // Both chains are part of the number, so the own one must be as new as the other side has it.
        let own = match self.look_again(&self.me()).await {
            Ok(own) => own,
            Err(_) => self.contact(&self.me()).await?,
        };
        Ok(Verification { contradiction, ..self.compared(&own, &contact)? })
    }

    /// Returns what to compare by the pinned chain, without a request, or `None` if nothing is
    /// pinned.
    ///
    /// # Errors
    /// [`MessengerError::Store`] if the store cannot be read.
    pub fn verification_kept(&self, person: &Person) -> Result<Option<Verification>, MessengerError> {
        let kept = |person: &Person| {
            let pinned = self.store.read(|tx| tx.pinned(&person.actor()))?;
            pinned.map(|pinned| Contact::new(person.clone(), pinned)).transpose()
        };
        match (kept(&self.me())?, kept(person)?) {
            (Some(own), Some(contact)) => self.compared(&own, &contact).map(Some),
            _ => Ok(None),
        }
    }

    fn compared(&self, own: &Contact, contact: &Contact) -> Result<Verification, MessengerError> {
        let corrupt = || DeviceStoreError::Corrupt("device chain");
        let [own_set, set] = [own, contact].map(Contact::device_set);
        let (own_set, set) = (own_set.ok_or_else(corrupt)?, set.ok_or_else(corrupt)?);
        let [own_anchor, anchor] = [own, contact].map(Contact::anchor);
        let number = SafetyNumber::new(
            SafetyNumberEnd {
                actor: &own.state.actor,
                set: &own_set,
                anchor: &own_anchor.ok_or_else(corrupt)?,
            },
            SafetyNumberEnd { actor: &contact.state.actor, set: &set, anchor: &anchor.ok_or_else(corrupt)? },
        );
        let compared = contact.pinned.verified.as_ref().filter(|_| contact.trust() == Trust::Verified);
        let at = compared.and_then(|head| contact.pinned.nodes.iter().position(|node| node.hash() == *head));
        Ok(Verification {
            number,
            trust: contact.trust(),
            own_changed: compared.is_some() && contact.pinned.compared_with.as_ref() != Some(&own_set.head),
            own_head: own_set.head,
            since_compared: at.map(|at| contact.changes_since(at + 1)).transpose()?,
            set,
            devices: contact.active().into_iter().collect(),
            alarm: contact.pinned.alarm.clone(),
            contradiction: None,
            proven: contact.pinned.proven.clone(),
        })
    }

    /// Records that the safety numbers were compared and are equal. This settles the alarm that the
    /// user has seen, and heads that the person's devices had signed otherwise before, but neither
    /// what the server showed in this very look nor what the devices have signed since.
    ///
    /// # Errors
    /// [`MessengerError::NoSuchPerson`] if nothing is pinned; [`MessengerError::Distrust`] if the
    /// devices were replaced since the number was computed.
    pub fn mark_verified(&self, person: &Person, compared: &Verification) -> Result<(), MessengerError> {
        self.take_as_theirs(person, compared, true)
    }

    /// Accepts a person's devices after a reset, or after they have confirmed nothing for long, as they
    /// were seen, without comparing numbers.
    ///
    /// # Errors
    /// [`MessengerError::NoSuchPerson`] if nothing is pinned; [`MessengerError::Distrust`] if the
    /// devices were replaced since, if their server contradicted them in this very look, or if one of
    /// them has signed another chain;
    /// [`MessengerError::Revoked`] for the own devices if this device is none of them.
    pub fn accept(&self, person: &Person, seen: &Verification) -> Result<(), MessengerError> {
        if let Some(why) = &seen.contradiction {
            return Err(MessengerError::Distrust { actor: person.actor(), why: why.clone() });
        }
        if *person == self.me() && self.is_revoked()? {
            return Err(MessengerError::Revoked);
        }
        self.take_as_theirs(person, seen, false)
    }

    /// Accepts the chain that was seen. Another process may have pinned a longer one since, which is
    /// as good unless a reset is in it: then nothing is accepted.
    fn take_as_theirs(
        &self,
        person: &Person,
        seen: &Verification,
        compared: bool,
    ) -> Result<(), MessengerError> {
        let actor = person.actor();
        self.store.write(|tx| {
            let Some(pinned) = tx.pinned(&actor)? else {
                return Err(MessengerError::NoSuchPerson(person.handle().to_string()));
            };
            let verified_before = pinned.verified.is_some();
            let mut contact = Contact::new(person.clone(), pinned)?;
            if !contact.descends_from(&seen.set.head) {
                let why = Distrust::Reset { verified: verified_before };
                return Err(contact.distrust(why));
            }
            // A user accepts a chain that one of its own devices has contradicted only by comparing
            // numbers. The own chain has none.
            match contact.hidden() {
                Some(why) if !compared && *person != self.me() => return Err(contact.distrust(why)),
                _ => contact.pinned.proven.retain(|device, head| seen.proven.get(device) != Some(head)),
            }
            contact.pinned.confirmed_ms = self.now_ms();
            let settles_reset = contact.trust() == Trust::Reset;
            contact.pinned.uncompared = !compared && (contact.pinned.uncompared || settles_reset);
            contact.pinned.accepted = contact.root().map(ChainNode::hash).unwrap_or_default();
            if compared {
                contact.pinned.verified = Some(seen.set.head.clone());
                contact.pinned.compared_with = Some(seen.own_head.clone());
            } else if contact.trust() != Trust::Verified {
                contact.pinned.verified = None;
            }
            let settled =
                |alarm: &ChainAlarm| seen.contradiction.is_none() && seen.alarm.as_ref() == Some(alarm);
            contact.pinned.alarm = contact.pinned.alarm.filter(|alarm| !settled(alarm));
            if contact.pinned.alarm.is_none() {
                tx.drop_distrust(&actor)?;
            }
            if *person != self.me() {
                self.take_as_contact(tx, &actor)?;
            }
            tx.pin(&actor, &contact.pinned)?;
            if contact.pinned.alarm.is_none() {
                self.send_what_was_refused(tx, &actor)?;
            }
            // Whoever has decided about these devices has been told of them.
            Ok(tx.note_told(&actor, seen.set.length)?)
        })
    }

    /// Forgets the pinned chain of a person. The next chain that their server shows is accepted as
    /// theirs. What was refused because of the former ones is to be sent, and so is what the own server
    /// still tries to deliver to them.
    ///
    /// This is the way out after a server was restored from an old copy. In other cases it is what
    /// an attacker wants.
    ///
    /// # Errors
    /// [`MessengerError::Invalid`] for this user: the own devices are known from the approval of
    /// this device, and from nothing that a server shows. [`MessengerError::Store`] if the store
    /// cannot be written.
    pub fn forget(&self, person: &Person) -> Result<(), MessengerError> {
        if *person == self.me() {
            return Err(Invalid::whole("a device does not forget the devices of its own user").into());
        }
        let actor = person.actor();
        self.store.write(|tx| {
            tx.drop_distrust(&actor)?;
            tx.unpin(&actor)?;
            for queued in tx.queued_to(&actor)? {
                let plaintext = tx.plaintext(&queued.id)?.unwrap_or_default();
                let Ok(activity) = Activity::from_plaintext(&plaintext) else { continue };
                match self.may_have(tx, &activity, &actor)? {
                    true => self.send_anew(tx, &queued.id, &plaintext)?,
                    false => tx.settle(&queued.id, EnvelopeState::Failed, Some(NO_MEMBER))?,
                }
            }
            self.send_what_was_refused(tx, &actor).map(drop)
        })
    }

    /// Has what was held back sent, as far as nothing speaks against its recipients any more, as after a
    /// confirmation of their device list. The chain of a recipient in doubt is read again for that: eight
    /// chains at most, at the same time, and each once in ten minutes. Their server may have shown a false
    /// chain once, and show the true one again. Without such a recipient this makes no call. Returns true if
    /// something is to be sent now.
    pub(super) async fn release_held_back(&self) -> Result<bool, MessengerError> {
        let (mut in_doubt, mut is_released) = (Vec::new(), false);
        for actor in self.store.read(|tx| tx.recipients_of_refused())? {
            let Some(person) = Person::of(&actor).filter(|person| *person != self.me()) else { continue };
            let kept = self.store.read(|tx| self.kept_contact(tx, &actor))?;
            match kept.filter(|contact| !contact.is_in_doubt()) {
                Some(contact) if self.objection(&contact).is_some() => {}
                Some(contact) => is_released |= self.resume(&contact)?,
                None if self.is_blocked(&actor)? => {}
                None if in_doubt.len() < READ_FOR_HELD_BACK && self.may_look(&format!("held {actor}")) => {
                    in_doubt.push(person);
                }
                None => {}
            }
        }
        for read in join_all(in_doubt.iter().map(|person| self.trusted(person))).await {
            match read {
                Ok(contact) => is_released |= self.resume(&contact)?,
                Err(error @ MessengerError::Store(_)) => return Err(error),
                Err(_) => {}
            }
        }
        Ok(is_released)
    }

    /// Has what was held back from somebody sent, who may be sent to now. A copy for the own devices waits
    /// for the user's decision, and what is for somebody whom the user blocks for the end of the block.
    /// Returns false if nothing is sent.
    fn resume(&self, contact: &Contact) -> Result<bool, MessengerError> {
        let actor = contact.person.actor();
        if self.store.read(|tx| tx.refused_to(&actor))?.is_empty() {
            return Ok(false);
        }
        self.store.write(|tx| self.resume_in(tx, &actor))
    }

    /// Does what [`Messenger::resume`] does, in this transaction.
    pub(super) fn resume_in(&self, tx: &Transaction<'_>, actor: &str) -> Result<bool, MessengerError> {
        if actor == self.device.actor() || tx.blocks()?.cover(actor) {
            return Ok(false);
        }
        self.send_what_was_refused(tx, actor)
    }

    /// Has those envelopes sent that were refused because of the devices of their recipient, about which
    /// nothing is to be decided now. Whoever has left a group since gets none of its notes. One that cannot be
    /// sent fails alone. Returns false if nothing is sent.
    fn send_what_was_refused(&self, tx: &Transaction<'_>, actor: &str) -> Result<bool, MessengerError> {
        let mut is_released = false;
        for refused in tx.refused_to(actor)? {
            let kept = tx.plaintext(&refused.id)?;
            let activity = match kept.as_deref().map(Activity::from_plaintext) {
                Some(Ok(activity)) => activity,
                Some(Err(_)) => {
                    tx.settle(&refused.id, EnvelopeState::Failed, Some(NOT_READABLE))?;
                    continue;
                }
                // An earlier version of this library has kept the message only, or not even that.
                None => match self.written(tx, &refused.message) {
                    Ok(activity) => activity,
                    Err(MessengerError::NoSuchMessage(_)) => {
                        tx.settle(&refused.id, EnvelopeState::Failed, Some(NOT_KEPT))?;
                        continue;
                    }
                    Err(error) => return Err(error),
                },
            };
            if !self.may_have(tx, &activity, actor)? {
                tx.settle(&refused.id, EnvelopeState::Failed, Some(NO_MEMBER))?;
                continue;
            }
            if kept.is_some() {
                tx.send_refused(&refused.id, self.now_ms())?;
            } else {
                match activity.to_plaintext() {
                    Ok(plaintext) => self.send_anew(tx, &refused.id, &plaintext)?,
                    // As one that an earlier version of this library has let be longer. The others go.
                    Err(invalid) => {
                        tx.settle(&refused.id, EnvelopeState::Failed, Some(&invalid.in_words()))?;
                        continue;
                    }
                }
            }
            is_released = true;
        }
        Ok(is_released)
    }

    /// True if somebody may get an activity now: only members get the notes of a group.
    fn may_have(
        &self,
        tx: &Transaction<'_>,
        activity: &Activity,
        actor: &str,
    ) -> Result<bool, DeviceStoreError> {
        let is_note = matches!(activity.content, ActivityContent::Note(_));
        let to = self.still_addressed(tx, activity)?.filter(|_| is_note);
        Ok(to.is_none_or(|to| to.iter().any(|member| member == actor)))
    }

    /// Returns the envelopes to a person that are still to be sent, in order.
    ///
    /// # Errors
    /// [`MessengerError::Store`] if the store cannot be read.
    pub fn unsent_to(&self, person: &Person) -> Result<Vec<OutboxEnvelope>, MessengerError> {
        Ok(self.store.read(|tx| tx.unsent_to(&person.actor()))?)
    }

    /// Returns the actor ids of all people whose chains are pinned.
    ///
    /// # Errors
    /// [`MessengerError::Store`] if the store cannot be read.
    pub fn people(&self) -> Result<Vec<String>, MessengerError> {
        Ok(self.store.read(|tx| tx.people())?)
    }
}
