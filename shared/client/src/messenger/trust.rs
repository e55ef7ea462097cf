//! The chains of contacts: each is replayed, pinned, and compared with the chain that the server
//! shows next.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use eko_protocol::chain::{ChainNode, root};

use super::contact::Contact;
use super::ending::note_deleted;
use super::{Distrust, Messenger, MessengerError, Person, ProgressStep};
use crate::store::{ChainAlarm, DeviceEnd, DeviceStoreError, KeptNotice, PinnedChain, Transaction};
use crate::{ClientError, SignalSessions, Transport};

/// The number of chains that are remembered as replayed.
const MOST_REPLAYED: usize = 512;
/// The name under which the store keeps an alarm about the own chain until that chain is pinned.
pub(super) const JOINING_ALARM: &str = "joining_alarm";

/// The degree to which somebody's devices are trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// The chain continues the one that was shown first.
    FirstUse,
    /// All devices were replaced, and the user has accepted that without comparing safety numbers.
    Accepted,
    /// The user has compared safety numbers. The chain may have grown since, but was not reset.
    Verified,
    /// All devices were replaced, and the user has not accepted that yet.
    Reset,
}

/// The way by which a chain is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChainRoute {
    /// From the server of its user, which learns this device's address.
    Direct,
    /// Through the own server.
    ThroughHome,
}

/// The outcome of comparing a chain that a server shows with the pinned one.
enum ChainComparison {
    /// The chain goes on from the pinned one, or none was pinned. It is pinned now.
    Pinned(PinnedChain),
    /// The chain contradicts the pinned one.
    Contradiction(Distrust),
    /// The chain has no nodes.
    Empty,
}

fn count(nodes: &[ChainNode]) -> u64 {
    u64::try_from(nodes.len()).unwrap_or(u64::MAX)
}

/// Checks that the chain which a server shows continues the pinned one.
fn goes_on(pinned: &[ChainNode], shown: &[ChainNode]) -> Result<(), Distrust> {
    if let Some(index) = pinned.iter().zip(shown).position(|(a, b)| a.hash() != b.hash()) {
        return Err(Distrust::Forked(u64::try_from(index).unwrap_or(u64::MAX)));
    }
    if shown.len() < pinned.len() {
        return Err(Distrust::RolledBack { pinned: count(pinned), shown: count(shown) });
    }
    Ok(())
}

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Returns a person with the pinned chain. If none is pinned, it reads the chain from their
    /// server.
    pub(super) async fn contact(&self, person: &Person) -> Result<Contact, MessengerError> {
        match self.store.read(|tx| tx.pinned(&person.actor()))? {
            Some(pinned) => Ok(Contact::new(person.clone(), pinned)?),
            None => self.look_again(person).await,
        }
    }

    /// Returns the user of an actor id with the pinned chain, if one is pinned. Makes no call. A
    /// chain is replayed once, however often it is asked for: its last hash stands for all of it.
    pub(super) fn kept_contact(
        &self,
        tx: &Transaction<'_>,
        actor: &str,
    ) -> Result<Option<Contact>, DeviceStoreError> {
        let Some((person, pinned)) = Person::of(actor).zip(tx.pinned(actor)?) else { return Ok(None) };
        let Some(head) = pinned.nodes.last().map(ChainNode::hash) else {
            return Contact::new(person, pinned).map(Some);
        };
        let mut replayed = self.replayed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, state)) = replayed.get(actor).filter(|(of, _)| *of == head) {
            return Ok(Some(Contact { person, pinned, state: state.clone() }));
        }
        let contact = Contact::new(person, pinned)?;
        if replayed.len() >= MOST_REPLAYED {
            replayed.clear();
        }
        replayed.insert(actor.to_owned(), (head, contact.state.clone()));
        Ok(Some(contact))
    }

    /// Reads a person's chain from their server, replays it, and pins it if it continues the pinned
    /// one. A contradiction is recorded as an alarm, and is the error.
    ///
    /// A chain of this user whose root is not the one that this device authenticated is such a
    /// contradiction. So no reset of the own account is ever pinned here: any server can make one.
    ///
    /// The chain of somebody who is known and a stranger is read through the own server: only what
    /// the user does leads to another one.
    pub(super) async fn look_again(&self, person: &Person) -> Result<Contact, MessengerError> {
        let route = match self.knows_as_stranger(&person.actor())? {
            true => ChainRoute::ThroughHome,
            false => ChainRoute::Direct,
        };
        self.look_again_by(person, route).await
    }

    /// Does as [`Messenger::look_again`], by this way.
    pub(super) async fn look_again_by(
        &self,
        person: &Person,
        route: ChainRoute,
    ) -> Result<Contact, MessengerError> {
        let actor = person.actor();
        // Nothing follows a move, whatever a server shows later.
        if *person != self.me()
            && let Some(kept) = self.store.read(|tx| self.kept_contact(tx, &actor))?
            && kept.target().is_some()
            && !kept.is_in_doubt()
        {
            return Ok(kept);
        }
        self.step(ProgressStep::Chain { actor: actor.clone() });
        let before = self.store.read(|tx| tx.device_set(&actor))?;
        let read = match route {
            ChainRoute::Direct => self.device.chain_at(&person.origin, &person.user).await,
            ChainRoute::ThroughHome if person.origin == *self.device.origin() => {
                self.device.chain(&person.user).await
            }
            ChainRoute::ThroughHome => self.device.chain_through_home(&person.origin, &person.user).await,
        };
        let (nodes, shown) = match read {
            Ok(read) => read,
            Err(ClientError::FalseChain { index, error, .. }) => {
                return Err(self.alarm(&actor, Distrust::FalseChain(format!("node {index}: {error}")))?);
            }
            Err(ClientError::Problem(problem)) if problem.status == 404 && *person == self.me() => {
                return Err(MessengerError::Forgotten);
            }
            Err(ClientError::Problem(problem)) if problem.status == 404 => {
                return Err(MessengerError::NoSuchPerson(person.handle().to_string()));
            }
            Err(error) if error.is_gone() && *person == self.me() => {
                note_deleted(&self.store, self.now_ms())?;
                return Err(MessengerError::AccountDeleted);
            }
            Err(error) if error.is_gone() => {
                self.store.write(|tx| tx.note_person_deleted(&actor, self.now_ms()))?;
                return Err(MessengerError::PersonDeleted(person.handle().to_string()));
            }
            // Their server cannot say that this device is revoked.
            Err(error) if route == ChainRoute::Direct => return Err(MessengerError::Client(error)),
            Err(error) => return Err(error.into()),
        };
        // For the own chain the device can check more: it knows its own key.
        let address = self.device.address();
        let mine = nodes.iter().filter(|node| node.device() == address).find_map(ChainNode::addition);
        if mine.is_some_and(|mine| mine.identity_key != self.device.keys().identity().public()) {
            return Err(self.alarm(&actor, Distrust::FalseKeys(address))?);
        }
        let own = *person == self.me();
        let excluded = own && !shown.active.contains_key(self.device.id());
        if own && !nodes.is_empty() && !self.store.read(|tx| tx.is_pinned(&actor))? {
            self.check_first_own(&nodes)?;
            if excluded {
                // The chain that was approved, or that this device began, proves it.
                self.store.write(|tx| {
                    tx.forget_joining_code()?;
                    tx.note_device_end(DeviceEnd::Proven, self.now_ms())
                })?;
                return Err(MessengerError::Revoked);
            }
        }
        let now_ms = self.now_ms();
        let compared = self.store.write(|tx| {
            let Some(first) = nodes.first() else { return Ok(ChainComparison::Empty) };
            tx.note_person_there(&actor)?;
            let Some(mut pinned) = tx.pinned(&actor)? else {
                let accepted = root(&nodes).unwrap_or(first).hash();
                let alarm = if own { tx.json(JOINING_ALARM)? } else { None };
                let pinned = PinnedChain {
                    told: count(&nodes),
                    nodes: nodes.clone(),
                    accepted,
                    uncompared: false,
                    verified: None,
                    compared_with: None,
                    alarm,
                    contact: tx.wrote_to(&actor)?,
                    looked_ms: now_ms,
                    proven: BTreeMap::new(),
                    confirmed_ms: now_ms,
                };
                tx.pin(&actor, &pinned)?;
                if own {
                    tx.forget_joining_code()?;
                    tx.forget_said_end()?;
                    let own = Contact::new(person.clone(), pinned.clone())?;
                    let is_first = tx.note_own_root(&pinned.accepted)?;
                    if is_first && own.was_reset_since(&tx.former_devices()?) {
                        // What was taken over is of the time before the reset.
                        tx.forget_groups()?;
                    }
                }
                return Ok(ChainComparison::Pinned(pinned));
            };
            match goes_on(&pinned.nodes, &nodes) {
                // Another process has pinned a longer chain since this one was asked for.
                Err(Distrust::RolledBack { shown, .. }) if before.is_some_and(|set| set.length <= shown) => {
                    return Ok(ChainComparison::Pinned(pinned));
                }
                Err(why) => return Ok(ChainComparison::Contradiction(why)),
                Ok(()) => {}
            }
            let new_root = root(&nodes).map(ChainNode::hash);
            if excluded && new_root.as_ref() != Some(&pinned.accepted) {
                return Ok(ChainComparison::Contradiction(Distrust::OwnReset));
            }
            if excluded {
                tx.note_device_end(DeviceEnd::Proven, now_ms)?;
            } else if own {
                tx.forget_said_end()?;
                if let Some(root) = &new_root {
                    tx.note_own_root(root)?;
                }
            }
            let before = Contact::new(person.clone(), pinned.clone())?.active();
            let is_reset = new_root != root(&pinned.nodes).map(ChainNode::hash);
            let had_moved = pinned.nodes.last().is_some_and(|node| node.target().is_some());
            pinned.nodes = nodes;
            pinned.looked_ms = now_ms;
            if let Some(alarm) = pinned.alarm.as_mut().filter(|alarm| alarm.raised_ms > now_ms) {
                // The chain is read after the alarm, whatever the clock said then.
                alarm.raised_ms = now_ms.saturating_sub(1);
            }
            let mut contact = Contact::new(person.clone(), pinned)?;
            // Once it is pinned, the chain that a device has signed could never follow.
            if let Some(why) = contact.disputed() {
                return Ok(ChainComparison::Contradiction(why));
            }
            for gone in before.difference(&contact.active()) {
                tx.end_session(gone, now_ms)?;
            }
            if !before.is_subset(&contact.active()) {
                tx.rekey_groups_of(&actor, contact.state.position.length)?;
            }
            if is_reset {
                tx.unconfirm(&actor)?;
            }
            contact.settle_proofs();
            tx.pin(&actor, &contact.pinned)?;
            if let Some((target, last)) = contact.target().zip(contact.state.position.head.as_ref())
                && !had_moved
            {
                match own {
                    // Nobody follows a stranger, who could lead to any server.
                    false if self.is_stranger(tx, &actor)? => {}
                    false => tx.note_move(&actor, &target.actor)?,
                    true if tx.own_nodes()?.contains(last) => {}
                    true => {
                        tx.keep_notice(&actor, &KeptNotice::Moved(target.actor.clone()))?;
                    }
                }
            }
            Ok::<_, DeviceStoreError>(ChainComparison::Pinned(contact.pinned))
        })?;
        match compared {
            ChainComparison::Pinned(pinned) => Ok(Contact::new(person.clone(), pinned)?),
            ChainComparison::Contradiction(why) => Err(self.alarm(&actor, why)?),
            ChainComparison::Empty => Err(MessengerError::NoSuchPerson(person.handle().to_string())),
        }
    }

    /// Records a contradiction in what a server showed, and returns the error for it. A notice of it is
    /// kept with it, so that it is told whatever becomes of the error. Strangers have no such notice:
    /// what they send is refused, which is told.
    pub(super) fn alarm(&self, actor: &str, why: Distrust) -> Result<MessengerError, DeviceStoreError> {
        let text = if actor == self.device.actor() { why.about_own() } else { why.to_string() };
        let alarm = ChainAlarm { why: text, raised_ms: self.now_ms() };
        self.store.write(|tx| {
            if why == Distrust::OwnReset {
                tx.note_device_end(DeviceEnd::Said, alarm.raised_ms)?;
            }
            tx.raise_alarm(actor, &alarm.why, alarm.raised_ms)?;
            // A device that has not joined fails with the contradiction whatever it is asked.
            let joins = actor == self.device.actor() && !tx.is_pinned(actor)?;
            if !joins && !self.is_stranger(tx, actor)? {
                let why = serde_json::to_string(&why).map_err(|_| DeviceStoreError::Corrupt("notice"))?;
                tx.keep_notice(actor, &KeptNotice::Distrusted(why))?;
            }
            // It has pinned no chain either that could carry the alarm.
            match joins {
                true => tx.put_json(JOINING_ALARM, &alarm),
                false => Ok(()),
            }
        })?;
        Ok(MessengerError::Distrust { actor: actor.to_owned(), why })
    }
}
