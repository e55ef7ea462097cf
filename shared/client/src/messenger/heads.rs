//! The heads of device chains that activities carry. The sending device signs the head of its own
//! user's chain, and states one hash for the heads of all members of the conversation. By these a
//! reader finds out what servers hide.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{MutexGuard, PoisonError};

use eko_protocol::Invalid;
use eko_protocol::device_set::DeviceSetRef;
use eko_protocol::limits::MAX_CHAIN_NODES;
use futures_util::future::join_all;

use super::announcing::announces;
use super::contact::{Contact, HeadComparison, ListedDevice};
use super::incoming::ActivitySource;
use super::standing::Standing;
use super::{Messenger, MessengerError, Person};
use crate::content::{Activity, ActivityContent, HeadStatement, SignedHead, device_sets_hash};
use crate::shares::{Party, Shares};
use crate::store::{DeviceStoreError, KeptNotice, Transaction, ViewHolder};
use crate::stored_time::is_over;
use crate::{SignalSessions, Transport};

/// The number of chains that are read again in one look because of others' views of them, and as many
/// because of controls of unknown authors.
pub const READ_FOR_VIEWS: usize = 8;
/// The number of chains that are read again in one look because of heads that their devices have
/// signed.
pub const READ_FOR_PROOFS: usize = 8;
/// The minutes between two readings of one chain because of somebody else's view of it.
pub const READ_AGAIN_MINUTES: i64 = 10;

/// The heads that go with an activity.
#[derive(Default)]
pub(super) struct AttachedHeads {
    /// The own device set, signed.
    device_set: Option<SignedHead>,
    /// The hash of the device sets of all members.
    hash: Option<String>,
    /// This device's whole view, if it is due.
    view: Option<AttachedView>,
}

/// A view of a conversation that goes to somebody who has another one.
struct AttachedView {
    /// The conversation.
    of: String,
    device_sets: BTreeMap<String, DeviceSetRef>,
}

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Adds to an activity of this device its signed head, the hash of the device sets of the
    /// conversation, and this device's view of them if that is due. A view is left out, and stays
    /// due, if the activity has no room for it.
    pub(super) fn attach_heads(
        &self,
        tx: &Transaction<'_>,
        activity: &mut Activity,
        conversation: &str,
    ) -> Result<(), MessengerError> {
        let heads = self.heads(tx, activity, conversation)?;
        activity.device_set = heads.device_set;
        activity.device_sets_hash = heads.hash;
        let Some(view) = heads.view else { return Ok(()) };
        activity.device_sets = view.device_sets;
        match activity.to_plaintext() {
            Ok(_) => tx.note_view_sent(conversation, &view.of)?,
            Err(_) => activity.device_sets.clear(),
        }
        Ok(())
    }

    fn heads(
        &self,
        tx: &Transaction<'_>,
        activity: &Activity,
        conversation: &str,
    ) -> Result<AttachedHeads, MessengerError> {
        let (me, device) = (self.device.actor(), self.device.address());
        let Some(set) = tx.device_set(&me)? else { return Ok(AttachedHeads::default()) };
        let statement = HeadStatement { actor: &me, device: &device, published_ms: activity.published_ms };
        let signed = statement.sign(set, self.device.keys().identity(), &self.environment)?;
        let hash = match self.members(tx, conversation)? {
            Some(members) => hash_of(tx, &members)?,
            None => None,
        };
        let view = match tx.due_view(conversation)? {
            Some(of) => {
                let members = self.members(tx, &of)?.unwrap_or_default();
                // The members of a group are no business of whoever has left it.
                let is_member = of == conversation || members.contains(conversation);
                let members = if is_member { members } else { BTreeSet::new() };
                let device_sets = tx.device_sets(&members)?;
                (!device_sets.is_empty()).then_some(AttachedView { of, device_sets })
            }
            None => None,
        };
        Ok(AttachedHeads { device_set: Some(signed), hash, view })
    }

    /// Returns the members of a conversation, this user among them, or `None` if this device does
    /// not know the group.
    fn members(
        &self,
        tx: &Transaction<'_>,
        conversation: &str,
    ) -> Result<Option<BTreeSet<String>>, DeviceStoreError> {
        if Person::of(conversation).is_some() {
            return Ok(Some([self.device.actor(), conversation.to_owned()].into()));
        }
        Ok(tx.group(conversation)?.map(|known| known.current.members().clone()))
    }

    /// Checks that the sending device has signed the head that an activity carries. An activity in
    /// somebody else's name is refused for that later.
    pub(super) fn check_head(
        activity: Activity,
        whence: &ActivitySource<'_>,
        listed: ListedDevice,
    ) -> Result<Activity, Invalid> {
        let head = activity.device_set.as_ref().filter(|_| activity.actor == whence.actor);
        let Some(head) = head else { return Ok(activity) };
        let (actor, device, published_ms) = (whence.actor, whence.device, activity.published_ms);
        match (HeadStatement { actor, device, published_ms }).is_signed(head, &listed.identity) {
            true => Ok(activity),
            false => Err(Invalid::at("/eko:signature", "is not the sending device's")),
        }
    }

    /// Keeps what the heads of an activity say: a head that confirms the sender's chain, one that
    /// proves a chain which their server does not show, or another view of the conversation. Runs in
    /// the transaction that keeps the activity, so that no proof is lost.
    pub(super) fn note_heads(
        &self,
        tx: &Transaction<'_>,
        activity: &Activity,
        whence: &ActivitySource<'_>,
    ) -> Result<(), DeviceStoreError> {
        if activity.actor != whence.actor || !self.counts(tx, whence)? {
            return Ok(());
        }
        if let Some(set) = self.stated_set(tx, activity, whence)? {
            // The end of the chain alone says that there is no more of it.
            if tx.device_set(whence.actor)?.as_ref() == Some(set) {
                // Neither the sender nor the own server may promise a later time.
                let stated_ms = activity.published_ms.min(whence.received_ms).min(self.now_ms());
                tx.note_confirmed(whence.actor, stated_ms, self.now_ms())?;
            } else if set.length <= MAX_CHAIN_NODES {
                self.note_proof(tx, whence, set)?;
            }
        }
        self.note_contradictions(tx, activity, whence)?;
        self.note_view(tx, activity, whence)
    }

    /// Keeps a head that the sending device has signed, if the pinned chain lacks it.
    fn note_proof(
        &self,
        tx: &Transaction<'_>,
        whence: &ActivitySource<'_>,
        set: &DeviceSetRef,
    ) -> Result<(), DeviceStoreError> {
        let Some(mut contact) = self.kept_contact(tx, whence.actor)? else { return Ok(()) };
        match contact.prove(whence.device, set) {
            true => tx.pin(whence.actor, &contact.pinned),
            false => Ok(()),
        }
    }

    /// Returns the device set that the sending device has signed. A control signs it together with
    /// everything else.
    fn stated_set<'a>(
        &self,
        tx: &Transaction<'_>,
        activity: &'a Activity,
        whence: &ActivitySource<'_>,
    ) -> Result<Option<&'a DeviceSetRef>, DeviceStoreError> {
        let ActivityContent::Control(control) = &activity.content else {
            return Ok(activity.device_set.as_ref().map(|head| &head.set));
        };
        if control.device() != whence.device {
            return Ok(None);
        }
        let listed = self.kept_contact(tx, whence.actor)?.and_then(|sender| sender.listed(whence.device));
        let is_signed = listed.is_some_and(|listed| control.is_signed_by(&listed.identity));
        Ok(control.device_set().filter(|_| is_signed))
    }

    /// Keeps the heads of others that the sender has seen and the pinned chains lack. The others are
    /// those who are in a conversation with both the sender and this user: about anybody else the sender
    /// has nothing to say.
    fn note_contradictions(
        &self,
        tx: &Transaction<'_>,
        activity: &Activity,
        whence: &ActivitySource<'_>,
    ) -> Result<(), DeviceStoreError> {
        if activity.device_sets.is_empty() {
            return Ok(());
        }
        let me = self.device.actor();
        let mut groups = tx.groups()?;
        groups.retain(|known| [&me, &activity.actor].iter().all(|it| known.current.members().contains(*it)));
        let mut members: BTreeSet<&String> =
            groups.iter().flat_map(|known| known.current.members()).collect();
        members.insert(&me);
        let own = whence.standing == Standing::Own;
        for (of, set) in activity.device_sets.iter().filter(|(of, _)| **of != activity.actor) {
            let in_common = members.contains(of) || own && tx.is_contact(of)?;
            let contact = if in_common { self.kept_contact(tx, of)? } else { None };
            let Some(contact) = contact else { continue };
            if contact.compare_head(set) != HeadComparison::Same {
                tx.keep_notice(&activity.actor, &KeptNotice::Contradiction(of.clone(), set.clone()))?;
            }
        }
        Ok(())
    }

    /// True if the heads of a sender count: those of active devices of this user, of contacts, and of
    /// members of this user's groups.
    pub(super) fn counts(
        &self,
        tx: &Transaction<'_>,
        whence: &ActivitySource<'_>,
    ) -> Result<bool, DeviceStoreError> {
        match whence.standing {
            Standing::Own | Standing::Accepted => Ok(true),
            Standing::Stranger => Ok(!self.is_stranger(tx, whence.actor)?),
            Standing::Reset | Standing::Former | Standing::Revoked => Ok(false),
        }
    }

    /// Compares the hash of the conversation's device sets with this device's own.
    fn note_view(
        &self,
        tx: &Transaction<'_>,
        activity: &Activity,
        whence: &ActivitySource<'_>,
    ) -> Result<(), DeviceStoreError> {
        let Some(theirs) = &activity.device_sets_hash else { return Ok(()) };
        let mut group_of = None;
        let conversation = match &activity.group {
            // Whoever has another state of the group has other members.
            Some(group) => match tx.group(group.id.as_str())? {
                Some(known) if known.current.hash() == group.state => {
                    group_of = Some(known);
                    group.id.to_string()
                }
                _ => return Ok(()),
            },
            None if whence.standing == Standing::Own => activity.to.clone(),
            None => whence.actor.to_owned(),
        };
        let Some(members) = self.members(tx, &conversation)? else { return Ok(()) };
        if !members.contains(whence.actor) {
            return Ok(());
        }
        let of = ViewHolder { actor: whence.actor, device: whence.device, conversation: &conversation };
        match hash_of(tx, &members)? {
            Some(ours) if ours == *theirs => return tx.note_agreement(of),
            _ => tx.note_difference(of, theirs)?,
        }
        match group_of {
            Some(known) if announces(&known, &self.device.actor(), whence.actor) => {
                tx.note_unaware(whence.actor, &members)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Reads the chains again of which others have seen more than is pinned: eight for one look at
    /// most, at the same time, and each once in ten minutes. The others are left for a later look.
    /// Whoever has seen something shares with others who have, whatever the users are of whom it is.
    pub(super) async fn settle_views(&self) -> Result<(), MessengerError> {
        let due = self.store.read(|tx| {
            let members = self.fellow_members(tx)?;
            let mut due = Shares::new(READ_FOR_VIEWS);
            for (seen_by, of) in tx.unsettled_views()? {
                if !self.has_looked(&of)
                    && let Some(contact) = self.compared_contact(tx, &of, &members)?
                {
                    due.put((), Party::of(&seen_by).about(&of), contact.person, &self.environment);
                }
            }
            Ok::<_, DeviceStoreError>(due)
        })?;
        let due: BTreeSet<Person> = due.into_things().filter(|it| self.may_look(&it.actor())).collect();
        let reads = due.iter().map(async |person| (person.actor(), self.look_again(person).await));
        for (of, read) in join_all(reads).await {
            match read {
                Ok(_) => self.store.write(|tx| tx.settle_views(&of))?,
                // The alarm about the chain is kept with it, and so is the notice.
                Err(MessengerError::Distrust { .. }) => self.store.write(|tx| tx.drop_views(&of))?,
                Err(error @ MessengerError::Store(_)) => return Err(error),
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// Returns a user whose chain is compared with the views of others: this user, a contact, or one of
    /// `members`, who are the members of this user's groups.
    pub(super) fn compared_contact(
        &self,
        tx: &Transaction<'_>,
        actor: &str,
        members: &BTreeSet<String>,
    ) -> Result<Option<Contact>, DeviceStoreError> {
        if !members.contains(actor) && !self.is_own_or_contact(tx, actor)? {
            return Ok(None);
        }
        self.kept_contact(tx, actor)
    }

    /// Has the chain of a user read in this look if one of its devices has proven a head that it lacks:
    /// eight chains at most, and each once in ten minutes.
    /// Returns false if there is no place for it in this look.
    pub(super) fn note_doubt(&self, actor: &str) -> Result<bool, DeviceStoreError> {
        Ok(match self.store.read(|tx| self.unread_doubt(tx, actor))? {
            Some(person) => self.put_doubt(&person),
            None => true,
        })
    }

    /// Has the chain of a user in doubt read in this look. Returns false if there is no place for it.
    pub(super) fn put_doubt(&self, person: &Person) -> bool {
        if !self.is_doubted(person) {
            self.doubted().put((), Party::of(&person.actor()), person.clone(), &self.environment);
        }
        self.is_doubted(person)
    }

    /// Returns a user whose chain lacks a head that one of its devices has proven, and was not read for
    /// that in the last ten minutes.
    pub(super) fn unread_doubt(
        &self,
        tx: &Transaction<'_>,
        actor: &str,
    ) -> Result<Option<Person>, DeviceStoreError> {
        if !tx.has_proofs(actor)? || self.has_looked(&in_doubt(actor)) {
            return Ok(None);
        }
        let contact = self.kept_contact(tx, actor)?.filter(|contact| contact.hidden().is_some());
        Ok(contact.map(|contact| contact.person))
    }

    /// True if the chain of this user is read in this look because of a proof.
    pub(super) fn is_doubted(&self, person: &Person) -> bool {
        self.doubted().iter().any(|doubted| doubted == person)
    }

    /// Reads the chains, at the same time, of the users whose devices have proven heads that the pinned
    /// chains lack. If a server does not show such a head, there is a notice.
    pub(super) async fn settle_proofs(&self) -> Result<(), MessengerError> {
        let doubted = std::mem::replace(&mut *self.doubted(), Shares::new(READ_FOR_PROOFS));
        let doubted = doubted.into_things().filter(|person| self.may_look_in_doubt(&person.actor()));
        let doubted: Vec<Person> = doubted.collect();
        let reads = doubted.iter().map(async |person| {
            let contact = self.store.read(|tx| self.kept_contact(tx, &person.actor()))?;
            // What was sent meanwhile may have had the chain read.
            if contact.is_none_or(|contact| contact.hidden().is_none()) {
                return Ok(());
            }
            match self.undisputed(person).await {
                Err(error @ MessengerError::Store(_)) => Err(error),
                // The chain is read again before anything is sent.
                Ok(_) | Err(_) => Ok(()),
            }
        });
        join_all(reads).await.into_iter().collect()
    }

    fn doubted(&self) -> MutexGuard<'_, Shares<(), Person>> {
        self.doubted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a person's chain again, which must have every head that their devices have proven. A
    /// head that is not shown is recorded as an alarm, and is the error.
    pub(super) async fn undisputed(&self, person: &Person) -> Result<Contact, MessengerError> {
        let contact = self.look_again(person).await?;
        match contact.hidden() {
            Some(why) => Err(self.alarm(&person.actor(), why)?),
            None => Ok(contact),
        }
    }

    /// True if a chain in doubt may be read now although the user sends nothing. The reading tells the
    /// other server that this device is in use, so whatever its users state leads to one in ten
    /// minutes.
    pub(super) fn may_look_in_doubt(&self, actor: &str) -> bool {
        self.may_look(&in_doubt(actor))
    }

    /// True if a chain may be read now for a reason that others may repeat at will: once in ten
    /// minutes. The reason is an actor id, alone or after `proof ` or `held `. The caller reads the chain.
    pub(super) fn may_look(&self, reason: &str) -> bool {
        let may = !self.has_looked(reason);
        if may {
            self.looks().insert(reason.to_owned(), self.now_ms());
        }
        may
    }

    /// True if a chain was read for this reason in the last ten minutes.
    pub(super) fn has_looked(&self, reason: &str) -> bool {
        let now_ms = self.now_ms();
        self.looks().get(reason).is_some_and(|at| !is_over(now_ms, *at, READ_AGAIN_MINUTES * 60_000))
    }

    fn looks(&self) -> MutexGuard<'_, BTreeMap<String, i64>> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the reason for which the chain of a user is read whose device has proven more of it.
pub(super) fn in_doubt(actor: &str) -> String {
    format!("proof {actor}")
}

/// Returns the hash of the device sets of these users, or `None` if one of their chains is not
/// pinned.
fn hash_of(tx: &Transaction<'_>, members: &BTreeSet<String>) -> Result<Option<String>, DeviceStoreError> {
    let sets = tx.device_sets(members)?;
    if sets.len() < members.len() {
        return Ok(None);
    }
    device_sets_hash(&sets).map(Some).map_err(|_| DeviceStoreError::Corrupt("device chain"))
}
