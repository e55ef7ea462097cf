//! The setting of who may write to this user, which the server enforces.
//!
//! The server does not know contacts. If the user does not let everyone write, it is told whom the
//! user knows: contacts, and the members of the user's groups. Of a member who is in no group of the user any
//! more it is told so, too, after a while.

use std::collections::{BTreeMap, BTreeSet};

use eko_protocol::block::BlockedParty;
use eko_protocol::settings::{AccountSettings, WhoMayWrite};
use serde::{Deserialize, Serialize};

use super::{Messenger, MessengerError};
use crate::group::MAX_MEMBERS;
use crate::store::{DeviceStoreError, KeptNotice, Transaction};
use crate::stored_time::{TOLERANCE_MS, age_ms, is_over};
use crate::{ClientError, SignalSessions, Transport};

/// The name under which the store keeps the setting as it was last read or put.
pub(super) const SETTING: &str = "who_may_write";
/// The name under which the store keeps when the setting was last read.
pub(super) const READ: &str = "who_may_write_read";
/// The name under which the store keeps the actors of whom the server was told.
pub(super) const TOLD: &str = "known_at_server";
/// The name under which the store keeps those among them who are no contacts.
pub(super) const FELLOWS: &str = "fellows_at_server";
/// The name under which the store keeps the actors whom the server has refused, and when it did.
pub(super) const REFUSED: &str = "known_refused";
/// The name under which the store keeps when the user was told that not everybody is known to the server.
pub(super) const UNTOLD_SAID: &str = "known_untold_said";
/// The time after which the setting is read again: another device may have changed it.
const READ_AGAIN_MS: i64 = 24 * 3_600_000;
/// The time after which the server is told again of somebody whom it has refused.
const REFUSED_PAUSE_MS: i64 = 24 * 3_600_000;
/// The time after which the user is told again that the server has no room.
pub(super) const SAID_AGAIN_MS: i64 = 30 * 24 * 3_600_000;
/// The refusals after which the server is told of nobody else for now: it has no room.
const MOST_REFUSALS: usize = 3;
/// The greatest number of actors of whom one group has the server told: its members, and those who were
/// members until a short while ago.
pub const FELLOWS_OF_GROUP: usize = 2 * MAX_MEMBERS;
/// The greatest number of actors of whom all groups together have the server told. The rest of what a server
/// keeps is for contacts.
pub const FELLOWS_OF_ALL: usize = 8_000;
/// The days after which the server is told that somebody is known no longer who is in no group of the user.
/// Another device may know of a newer group meanwhile.
pub const FORGOTTEN_AFTER_DAYS: i64 = 7;
/// The most actors of whom the server is told so in one look.
const FORGOTTEN_AT_ONCE: usize = 100;

/// An actor of whom the server was told, and who is no contact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ToldFellow {
    /// The group to whose number the actor counts; empty if no group of this device has made them known.
    pub(super) group: String,
    /// The time since which the actor is in no group of the user, in epoch milliseconds.
    pub(super) gone_ms: Option<i64>,
    /// True if the server is to be told that the user does not know the actor. It may have been told.
    pub(super) is_undone: bool,
}

/// The actors of whom the server was told.
#[derive(Debug, Default, PartialEq, Eq)]
struct ToldActors {
    told: BTreeSet<String>,
    fellows: BTreeMap<String, ToldFellow>,
    refused: BTreeMap<String, i64>,
}

impl ToldActors {
    fn read(tx: &Transaction<'_>) -> Result<Self, DeviceStoreError> {
        Ok(Self {
            told: tx.json(TOLD)?.unwrap_or_default(),
            fellows: tx.json(FELLOWS)?.unwrap_or_default(),
            refused: tx.json(REFUSED)?.unwrap_or_default(),
        })
    }

    fn keep(&self, tx: &Transaction<'_>) -> Result<(), DeviceStoreError> {
        tx.put_json(TOLD, &self.told)?;
        tx.put_json(FELLOWS, &self.fellows)?;
        tx.put_json(REFUSED, &self.refused)
    }
}

/// The people whom this user knows, and the groups that make them known.
pub(super) struct KnownPeople {
    contacts: BTreeSet<String>,
    /// The groups of each fellow member, contacts included.
    members: BTreeMap<String, BTreeSet<String>>,
}

impl KnownPeople {
    /// True if the user knows somebody.
    pub(super) fn has(&self, actor: &str) -> bool {
        self.contacts.contains(actor) || self.members.contains_key(actor)
    }
}

/// An actor of whom the server is to be told.
struct ActorToTell {
    actor: String,
    /// The group to whose number the actor counts; `None` for a contact.
    group: Option<String>,
}

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Returns who may write to this user: one call.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn who_may_write(&self) -> Result<WhoMayWrite, MessengerError> {
        let AccountSettings { who_may_write } = self.signed_in(async || self.device.settings().await).await?;
        self.keep_setting(who_may_write)?;
        Ok(who_may_write)
    }

    /// Has the server let everyone, known actors or nobody new write to this user. The server is told
    /// of everybody whom this device knows first, so that nobody of them is taken for a stranger.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn let_write(&self, who_may_write: WhoMayWrite) -> Result<(), MessengerError> {
        if who_may_write != WhoMayWrite::Everyone {
            self.tell_known().await?;
        }
        let settings = AccountSettings { who_may_write };
        self.signed_in(async || self.device.change_settings(settings).await).await?;
        Ok(self.keep_setting(who_may_write)?)
    }

    /// Reads the setting once a day, and tells the server of those whom the user has got to know since, and
    /// of those whom the user does not know any more, if that matters.
    pub(super) async fn settle_known(&self) -> Result<(), MessengerError> {
        let read_ms = self.store.read(|tx| tx.json::<i64>(READ))?;
        if read_ms.is_none_or(|read_ms| is_over(self.now_ms(), read_ms, READ_AGAIN_MS)) {
            match self.who_may_write().await {
                // A server that has no settings lets everyone write.
                Err(error) if error.retry_after_s().is_none() => self.keep_setting(WhoMayWrite::Everyone)?,
                read => drop(read?),
            }
        }
        if !self.enforces_known()? {
            return Ok(());
        }
        let compared = Box::pin(self.compare_known()).await;
        let forgotten = Box::pin(self.forget_gone()).await;
        compared.and(forgotten).and(self.tell_known().await)
    }

    /// Tells the server of those whom this user knows, unless everyone may write.
    pub(super) async fn tell_known_if_due(&self) -> Result<(), MessengerError> {
        match self.enforces_known()? {
            true => self.tell_known().await,
            false => Ok(()),
        }
    }

    /// True unless everyone may write, as far as this device knows.
    fn enforces_known(&self) -> Result<bool, DeviceStoreError> {
        let setting = self.store.read(|tx| tx.json::<String>(SETTING))?;
        Ok(setting.is_some_and(|setting| setting != WhoMayWrite::Everyone.as_str()))
    }

    async fn tell_known(&self) -> Result<(), MessengerError> {
        let due = self.store.write(|tx| self.actors_to_tell(tx))?;
        if due.is_empty() {
            return Ok(());
        }
        let (mut accepted, mut refused) = (Vec::new(), Vec::new());
        let answer = self.tell_each(due, &mut accepted, &mut refused).await;
        // If this is lost, the server is told again.
        self.store.write(|tx| {
            let mut actors = ToldActors::read(tx)?;
            for ActorToTell { actor, group } in accepted {
                actors.refused.remove(&actor);
                if let Some(group) = group {
                    let fellow = ToldFellow { group, gone_ms: None, is_undone: false };
                    actors.fellows.insert(actor.clone(), fellow);
                }
                actors.told.insert(actor);
            }
            if !refused.is_empty() {
                self.say_untold(tx)?;
            }
            actors.refused.extend(refused.into_iter().map(|actor| (actor, self.now_ms())));
            actors.keep(tx)
        })?;
        answer
    }

    /// Tells the server of people, until it has no room.
    async fn tell_each(
        &self,
        due: Vec<ActorToTell>,
        accepted: &mut Vec<ActorToTell>,
        refused: &mut Vec<String>,
    ) -> Result<(), MessengerError> {
        for known in due {
            match self.signed_in(async || self.device.accept_actor(&known.actor).await).await {
                Ok(()) => accepted.push(known),
                // There is room for no more, or this server does not take the id.
                Err(MessengerError::Client(ClientError::Problem(problem))) if problem.slug() == "invalid" => {
                    refused.push(known.actor);
                    if refused.len() >= MOST_REFUSALS {
                        break;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Returns those of whom the server is to be told: contacts, and as many members of groups as may be. Notes
    /// who is a contact now, and who is in no group any more.
    fn actors_to_tell(&self, tx: &Transaction<'_>) -> Result<Vec<ActorToTell>, DeviceStoreError> {
        let (known, now_ms) = (self.known_people(tx)?, self.now_ms());
        let mut actors = ToldActors::read(tx)?;
        let mut counts = self.settle_fellows(tx, &known, &mut actors)?;
        let is_due = |actor: &String| {
            let refused_ms = actors.refused.get(actor);
            // An acceptance waits for its undoing, so that it comes after it.
            !actors.told.contains(actor)
                && actors.fellows.get(actor).is_none_or(|fellow| !fellow.is_undone)
                && refused_ms.is_none_or(|ms| is_over(now_ms, *ms, REFUSED_PAUSE_MS))
                && matches!(BlockedParty::parse(actor), Ok(BlockedParty::Actor(_)))
        };
        let contacts = known.contacts.iter().filter(|actor| is_due(actor));
        let mut due: Vec<_> =
            contacts.map(|actor| ActorToTell { actor: actor.clone(), group: None }).collect();
        let mut of_all: usize = counts.values().sum();
        let mut is_complete = true;
        for (actor, groups) in &known.members {
            if known.contacts.contains(actor) || !is_due(actor) {
                continue;
            }
            let room = |group: &&String| counts.get(*group).is_none_or(|count| *count < FELLOWS_OF_GROUP);
            match groups.iter().find(room).filter(|_| of_all < FELLOWS_OF_ALL) {
                Some(group) => {
                    let count = counts.entry(group.clone()).or_default();
                    *count = count.saturating_add(1);
                    of_all = of_all.saturating_add(1);
                    due.push(ActorToTell { actor: actor.clone(), group: Some(group.clone()) });
                }
                None => is_complete = false,
            }
        }
        if !is_complete {
            self.say_untold(tx)?;
        }
        Ok(due)
    }

    /// Returns whom this user knows.
    pub(super) fn known_people(&self, tx: &Transaction<'_>) -> Result<KnownPeople, DeviceStoreError> {
        let me = self.device.actor();
        let mut contacts: BTreeSet<String> = tx.contacts()?.into_iter().collect();
        let mut members: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for group in tx.groups()?.iter().filter(|group| group.current.members().contains(&me)) {
            for member in group.current.members().iter().filter(|member| **member != me) {
                members.entry(member.clone()).or_default().insert(group.current.id().to_string());
            }
        }
        contacts.remove(&me);
        Ok(KnownPeople { contacts, members })
    }

    /// Brings what is kept of those who are no contacts up to date. Returns for each group the number of those
    /// who count to it.
    fn settle_fellows(
        &self,
        tx: &Transaction<'_>,
        known: &KnownPeople,
        actors: &mut ToldActors,
    ) -> Result<BTreeMap<String, usize>, DeviceStoreError> {
        let now_ms = self.now_ms();
        let before = actors.fellows.clone();
        let refused = actors.refused.len();
        actors.fellows.retain(|actor, fellow| fellow.is_undone || !known.contacts.contains(actor));
        for actor in actors.told.iter().filter(|actor| !known.contacts.contains(*actor)) {
            // An earlier version has not kept which group it was.
            let new = || ToldFellow { group: String::new(), gone_ms: None, is_undone: false };
            actors.fellows.entry(actor.clone()).or_insert_with(new);
        }
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for (actor, fellow) in &mut actors.fellows {
            match known.members.get(actor) {
                Some(groups) => {
                    fellow.gone_ms = None;
                    if let Some(group) = groups.first().filter(|_| !groups.contains(&fellow.group)) {
                        fellow.group.clone_from(group);
                    }
                }
                None => {
                    let gone_ms = fellow.gone_ms.filter(|ms| age_ms(now_ms, *ms, TOLERANCE_MS).is_some());
                    fellow.gone_ms = gone_ms.or(Some(now_ms));
                }
            }
            if !fellow.group.is_empty() {
                let count = counts.entry(fellow.group.clone()).or_default();
                *count = count.saturating_add(1);
            }
        }
        actors.refused.retain(|actor, _| known.has(actor) && !actors.told.contains(actor));
        if actors.fellows != before || actors.refused.len() != refused {
            actors.keep(tx)?;
        }
        Ok(counts)
    }

    /// Tells the server of those who have been in no group of the user for a while and are no contacts that
    /// the user does not know them. What was begun is repeated until the server has answered.
    async fn forget_gone(&self) -> Result<(), MessengerError> {
        let due = self.store.write(|tx| {
            let (known, now_ms) = (self.known_people(tx)?, self.now_ms());
            let mut actors = ToldActors::read(tx)?;
            let mut due = Vec::new();
            for (actor, fellow) in &mut actors.fellows {
                let is_gone = fellow
                    .gone_ms
                    .is_some_and(|ms| is_over(now_ms, ms, FORGOTTEN_AFTER_DAYS * 24 * 3_600_000));
                fellow.is_undone |= is_gone && !known.has(actor) && due.len() < FORGOTTEN_AT_ONCE;
                if fellow.is_undone && due.len() < FORGOTTEN_AT_ONCE {
                    // Whoever is known again from now on is told of again.
                    actors.told.remove(actor);
                    due.push(actor.clone());
                }
            }
            if !due.is_empty() {
                actors.keep(tx)?;
            }
            Ok::<_, DeviceStoreError>(due)
        })?;
        if due.is_empty() {
            return Ok(());
        }
        let (mut forgotten, mut refused) = (Vec::new(), Vec::new());
        let mut answer = Ok(());
        for actor in due {
            match self.signed_in(async || self.device.forget_actor(&actor).await).await {
                Ok(()) => forgotten.push(actor),
                // A server of an earlier version undoes no acceptance.
                Err(MessengerError::Client(ClientError::Problem(problem))) if problem.slug() == "invalid" => {
                    refused.push(actor);
                }
                Err(error) => {
                    answer = Err(error);
                    break;
                }
            }
        }
        self.store.write(|tx| {
            let mut actors = ToldActors::read(tx)?;
            for actor in &forgotten {
                actors.fellows.remove(actor);
            }
            for actor in refused {
                if let Some(fellow) = actors.fellows.get_mut(&actor) {
                    (fellow.is_undone, fellow.gone_ms) = (false, Some(self.now_ms()));
                    actors.told.insert(actor);
                }
            }
            if !forgotten.is_empty() {
                // There is room again.
                actors.refused.clear();
            }
            actors.keep(tx)
        })?;
        answer
    }

    /// Tells the user that the server could not be told of everybody, once in [`SAID_AGAIN_MS`].
    fn say_untold(&self, tx: &Transaction<'_>) -> Result<(), DeviceStoreError> {
        if tx.json::<i64>(UNTOLD_SAID)?.is_none_or(|said_ms| is_over(self.now_ms(), said_ms, SAID_AGAIN_MS)) {
            tx.put_json(UNTOLD_SAID, &self.now_ms())?;
            tx.keep_notice(&self.device.actor(), &KeptNotice::KnownUntold)?;
        }
        Ok(())
    }

    fn keep_setting(&self, setting: WhoMayWrite) -> Result<(), DeviceStoreError> {
        self.store.write(|tx| {
            tx.put_json(SETTING, &setting.as_str())?;
            tx.put_json(READ, &self.now_ms())
        })
    }
}
