//! The takeover of a former device's store by a new device of the same user: messages, people, groups,
//! and messages that were not sent. Keys, sessions and tokens belong to a device, and stay behind.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rusqlite::{OptionalExtension as _, params};
use serde::{Deserialize, Serialize};

use super::envelopes::CONTENT_LOST;
use super::groups::read_known;
use super::messages::{COLUMNS, read};
use super::{DeviceStore, DeviceStoreError, StoredMessage, Transaction, VERSION};
use crate::group::KnownGroup;

/// The name under which the store keeps the messages that a former device has not sent.
pub(super) const UNSENT: &str = "carried_unsent";
/// The name under which the store keeps the addresses of the devices whose stores were taken over.
const FORMER_DEVICES: &str = "former_devices";
/// The name under which the store keeps the groups that a reset has ended for this user.
const ENDED_GROUPS: &str = "ended_groups";
/// The tables that are copied as they are. The messages are too, unless this store has some of its
/// own.
const WHOLE_TABLES: [&str; 4] = ["departures", "held", "awaited", "followed"];
/// True if this store has a message that was not copied from the former one.
const HAS_OWN_MESSAGES: &str = "SELECT EXISTS (SELECT 1 FROM main.messages AS own WHERE NOT EXISTS \
                                (SELECT 1 FROM former.messages AS theirs \
                                WHERE theirs.row = own.row AND theirs.id = own.id))";
/// The copies of evidence; `?1` is the user of the former store. A server has vouched for a message to that
/// account, or to one that the user has left for it, and no other one can report the message.
pub(super) const EVIDENCE: [&str; 2] = [
    "INSERT OR IGNORE INTO main.evidence SELECT actor, id, \
     iif(json_valid(flag), json_insert(flag, '$.\"eko:evidence\".to', ?1), flag) FROM former.evidence AS flags \
     WHERE EXISTS (SELECT 1 FROM main.messages WHERE messages.actor = flags.actor AND messages.id = flags.id)",
    "INSERT OR IGNORE INTO main.held_evidence SELECT row, \
     iif(json_valid(flag), json_insert(flag, '$.\"eko:evidence\".to', ?1), flag) FROM former.held_evidence",
];
/// The copies of groups. One with a change that was not sent to all is left out: its members have another
/// state, and no device can tell them of that one any more.
const GROUPS: [&str; 3] = [
    "INSERT OR IGNORE INTO main.groups SELECT * FROM former.groups AS known WHERE NOT EXISTS \
     (SELECT 1 FROM former.envelopes AS open WHERE open.state = 1 AND open.silent = 0 AND NOT EXISTS \
     (SELECT 1 FROM former.messages AS notes WHERE notes.id = open.message) \
     AND instr(CAST(open.plaintext AS TEXT), known.id) > 0)",
    "INSERT OR IGNORE INTO main.conflicts SELECT * FROM former.conflicts WHERE grp IN (SELECT id FROM main.groups)",
    "INSERT OR IGNORE INTO main.invitations SELECT * FROM former.invitations",
];
/// The copies of parts of tables; `?1` is this user. The own chain is left out: this device believes it from
/// its approval only.
const PARTS: [&str; 2] = [
    "INSERT OR IGNORE INTO chains SELECT * FROM former.chains WHERE actor <> ?1",
    "INSERT OR IGNORE INTO notices SELECT * FROM former.notices WHERE actor <> ?1",
];
/// The name under which the store keeps who could write to this user, as the former device knew it.
const WHO_MAY_WRITE: &str = "carried_who_may_write";
/// The copies of gaps, of which nobody is told again, of decisions, of which the other devices are told, of what
/// the user has chosen, of the marks up to which messages were read, of confirmed handles and other parts of
/// profiles, and of the moves of others.
const OTHERS: [&str; 3] = [
    "INSERT OR IGNORE INTO gaps (conversation, device, actor, first, last, position, told) \
     SELECT conversation, device, actor, first, last, position, 1 FROM former.gaps",
    "INSERT OR IGNORE INTO decisions (actor, accepted, declined, untold) \
     SELECT actor, accepted, declined, 1 FROM former.decisions",
    "INSERT OR IGNORE INTO account SELECT * FROM former.account WHERE name IN ('hides_reading', 'hides_typing', 'blocks', 'moves', \
     'awaited_move') \
     OR name LIKE 'read_up_to %' OR name LIKE 'seen_up_to %' OR name LIKE 'profile/%'",
];
/// The copy of who could write to this user.
const SETTING: &str = "INSERT OR REPLACE INTO account (name, value) SELECT 'carried_who_may_write', value \
     FROM former.account WHERE name = 'who_may_write'";
/// The copy of the node by which this user leaves the account, which another device may have given to the
/// contacts.
const OWN_MOVE: &str = "INSERT OR IGNORE INTO account SELECT * FROM former.account WHERE name = 'own_move'";
/// The number of places that are left for what the former store gets after it was copied, before what comes
/// into this one.
const PLACES_LEFT: i64 = 1_000_000_000;
/// The number of places that are left for a former store which cannot be read yet. It has room for
/// those that it has left itself.
const PLACES_LEFT_FOR_ALL: i64 = 1_000 * PLACES_LEFT;

/// A former device of a user.
#[derive(Debug, Clone, Copy)]
pub struct FormerDevice<'a> {
    /// The file of its store.
    pub store: &'a Path,
    /// The actor id of the user.
    pub actor: &'a str,
    /// True if the new device replaces all devices of the user. The members of a group do not know it then, so
    /// that no group is taken over.
    pub is_reset: bool,
}

/// The numbers of what was taken over from a former device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CarriedOver {
    /// The number of messages.
    pub messages: u64,
    /// The number of people whose devices are known.
    pub people: u64,
    /// The number of groups that the user is or was in.
    pub groups: u64,
    /// The number of messages that were not sent. This device sends them.
    pub unsent: u64,
}

/// The memory of a group whose record a reset of the account has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedGroup {
    /// The group's name at that time.
    pub name: String,
    /// True if the user was a member at that time.
    pub member: bool,
}

/// A message that a former device has not sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UnsentMessage {
    /// The activity's id.
    pub(crate) id: String,
    /// The actor ids of the recipients who do not have it. This user is among them if no copy was sent to
    /// the other devices.
    pub(crate) recipients: Vec<String>,
}

impl DeviceStore {
    /// True if the keys of a device were made in this store.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn has_device(&self) -> Result<bool, DeviceStoreError> {
        self.read(|tx| Ok(tx.account()?.is_some()))
    }

    /// Takes over what a former device of the same user has left in its store. Do so before the
    /// keys of the new device are made; a repetition changes nothing. If it fails, places are left
    /// for the messages of the former device, which may be taken over later.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if one of the stores cannot be used, the former one is of another user, or
    /// another version of this library wrote it: then nothing is taken over.
    pub fn carry_over(&self, former: FormerDevice<'_>) -> Result<CarriedOver, DeviceStoreError> {
        let carried = self.with_former(former, |tx, me| tx.carry_over(me, former.is_reset));
        if carried.is_err() {
            self.write(|tx| tx.pass_position(PLACES_LEFT_FOR_ALL))?;
        }
        carried
    }

    /// Runs a transaction beside the store of a former device, with the actor id of its user. If its keys were
    /// never made, nothing came after them, and nothing is done.
    pub(super) fn with_former<R: Default>(
        &self,
        former: FormerDevice<'_>,
        work: impl FnOnce(&Transaction<'_>, &str) -> Result<R, DeviceStoreError>,
    ) -> Result<R, DeviceStoreError> {
        // An earlier version may have written it.
        drop(Self::open(former.store)?);
        let path = former.store.to_str().ok_or(DeviceStoreError::Corrupt("path"))?;
        let connection = self.lock();
        connection.execute("ATTACH ?1 AS former", [path])?;
        drop(connection);
        let done = self.write(|tx| match tx.former_user()? {
            None => Ok(R::default()),
            Some(me) if me == former.actor => work(tx, &me),
            Some(_) => Err(DeviceStoreError::Corrupt("user")),
        });
        self.lock().execute("DETACH former", [])?;
        done
    }

    /// Returns the numbers of what a device that has not signed in has taken over.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn taken_over(&self) -> Result<CarriedOver, DeviceStoreError> {
        self.read(|tx| tx.carried())
    }
}

impl Transaction<'_> {
    /// Returns the actor id of the former device's user, if its keys were made.
    fn former_user(&self) -> Result<Option<String>, DeviceStoreError> {
        match self.inner.query_row("PRAGMA former.user_version", [], |row| row.get(0))? {
            VERSION => {}
            0 => return Err(DeviceStoreError::Emptied),
            older if older < VERSION => return Err(DeviceStoreError::Older(older)),
            newer => return Err(DeviceStoreError::Newer(newer)),
        }
        let (origin, user) = (self.former_value("origin")?, self.former_value("user")?);
        Ok(origin.zip(user).map(|(origin, user)| format!("{origin}/user/{user}")))
    }

    /// Returns the last place in the former store, or 0.
    pub(super) fn last_place_of_former(&self) -> Result<i64, DeviceStoreError> {
        let sql = "SELECT coalesce(max(position), 0) FROM (SELECT position FROM former.messages \
                   UNION ALL SELECT position FROM former.awaited)";
        Ok(self.inner.query_row(sql, [], |row| row.get(0))?)
    }

    /// Returns a value of the former store's account.
    pub(super) fn former_value(&self, name: &str) -> Result<Option<String>, DeviceStoreError> {
        let sql = "SELECT CAST(value AS TEXT) FROM former.account WHERE name = ?1";
        Ok(self.inner.query_row(sql, [name], |row| row.get(0)).optional()?)
    }

    pub(super) fn carry_over(&self, me: &str, is_reset: bool) -> Result<CarriedOver, DeviceStoreError> {
        let copy = |table: &str| {
            let sql = format!("INSERT OR IGNORE INTO main.{table} SELECT * FROM former.{table}");
            self.inner.execute(&sql, [])
        };
        let has_own: bool = self.inner.query_row(HAS_OWN_MESSAGES, [], |row| row.get(0))?;
        match has_own {
            true => drop(self.bring_messages(me, true)?),
            false => drop(copy("messages")?),
        }
        for table in WHOLE_TABLES {
            copy(table)?;
        }
        for sql in EVIDENCE.iter().chain(&PARTS) {
            self.inner.execute(sql, [me])?;
        }
        let groups = GROUPS.iter().chain([&OWN_MOVE]).filter(|_| !is_reset);
        for sql in OTHERS.iter().chain(groups) {
            self.inner.execute(sql, [])?;
        }
        self.carry_beside(me, is_reset)?;
        let unsent = self.unsent_of_former(me)?;
        match has_own {
            true => self.add_unsent(unsent)?,
            false => self.put_json(UNSENT, &unsent)?,
        }
        self.leave_places()?;
        self.carried()
    }

    /// Leaves the places of the former store, and of what it gets later, before what comes into
    /// this one.
    pub(super) fn leave_places(&self) -> Result<(), DeviceStoreError> {
        self.pass_position(self.last_place_of_former()?.saturating_add(PLACES_LEFT))
    }

    /// True if the store of the former device was taken over, or has no device.
    pub(super) fn has_taken_over(&self, me: &str) -> Result<bool, DeviceStoreError> {
        let Some(id) = self.former_value("device")? else { return Ok(true) };
        Ok(self.former_devices()?.contains(&format!("{me}/device/{id}")))
    }

    /// Takes over who could write to this user, the addresses of the devices that are no more, and with a reset
    /// the memory of the groups.
    pub(super) fn carry_beside(&self, me: &str, is_reset: bool) -> Result<(), DeviceStoreError> {
        self.inner.execute(SETTING, [])?;
        let earlier = self.former_value(FORMER_DEVICES)?.and_then(|json| serde_json::from_str(&json).ok());
        let mut devices: BTreeSet<String> = earlier.unwrap_or_default();
        devices.extend(self.former_devices()?);
        devices.extend(self.former_value("device")?.map(|id| format!("{me}/device/{id}")));
        self.put_json(FORMER_DEVICES, &devices)?;
        let earlier = self.former_value(ENDED_GROUPS)?.and_then(|json| serde_json::from_str(&json).ok());
        self.add_ended(earlier.unwrap_or_default())?;
        if is_reset {
            let mut statement = self.inner.prepare("SELECT known FROM former.groups")?;
            let rows = statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<Vec<u8>>, _>>()?;
            // Nothing but a name is lost with one that cannot be read.
            self.add_ended(ended(rows.iter().filter_map(|known| read_known(known).ok()), me))?;
        }
        Ok(())
    }

    /// Returns the numbers of what this store has, and of what a former device has not sent.
    pub(super) fn carried(&self) -> Result<CarriedOver, DeviceStoreError> {
        let count = |table: &str| -> Result<u64, DeviceStoreError> {
            Ok(self.inner.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?)
        };
        // Once this device is one of the user's, the own chain is among the others.
        let me = self.own_actor()?;
        let sql = "SELECT count(*) FROM chains WHERE actor IS NOT ?1";
        Ok(CarriedOver {
            messages: count("messages")?,
            people: self.inner.query_row(sql, [me], |row| row.get(0))?,
            groups: count("groups")?,
            unsent: u64::try_from(self.unsent()?.len()).unwrap_or(u64::MAX),
        })
    }

    /// Returns the addresses of the devices whose stores this one has taken over.
    pub(crate) fn former_devices(&self) -> Result<BTreeSet<String>, DeviceStoreError> {
        Ok(self.json(FORMER_DEVICES)?.unwrap_or_default())
    }

    /// Returns the groups that a reset has ended for this user, by their ids.
    pub(crate) fn ended_groups(&self) -> Result<BTreeMap<String, EndedGroup>, DeviceStoreError> {
        Ok(self.json(ENDED_GROUPS)?.unwrap_or_default())
    }

    /// Adds groups to those that a reset has ended for this user.
    fn add_ended(&self, groups: BTreeMap<String, EndedGroup>) -> Result<(), DeviceStoreError> {
        let mut all = self.ended_groups()?;
        all.extend(groups);
        self.put_json(ENDED_GROUPS, &all)
    }

    /// Forgets all groups but for their names. After a reset their members do not know this device.
    pub(crate) fn forget_groups(&self) -> Result<(), DeviceStoreError> {
        let me = self.own_actor()?.unwrap_or_default();
        self.add_ended(ended(self.groups()?.into_iter(), &me))?;
        Ok(self.inner.execute_batch("DELETE FROM groups; DELETE FROM conflicts; DELETE FROM invitations")?)
    }

    /// Returns the notes that wait to be sent in the former store, in order, with those who lack them. What was
    /// among them before, and has failed since, stays: the former device may have met the end of its account. So does
    /// what has failed because the content of its envelope was lost: the message itself is there.
    pub(super) fn unsent_of_former(&self, me: &str) -> Result<Vec<UnsentMessage>, DeviceStoreError> {
        let before: BTreeSet<(String, String)> = self
            .unsent()?
            .into_iter()
            .flat_map(|UnsentMessage { id, recipients }| {
                recipients.into_iter().map(move |it| (id.clone(), it))
            })
            .collect();
        let sql = "SELECT messages.id, envelopes.recipient, envelopes.state = 5 AND envelopes.reason IS NOT ?2 \
                   FROM former.envelopes AS envelopes \
                   JOIN former.messages AS messages ON messages.id = envelopes.message AND messages.actor = ?1 \
                   WHERE envelopes.silent = 0 AND envelopes.resent_to IS NULL \
                   AND envelopes.state IN (1, 5, 6) ORDER BY messages.position";
        let mut statement = self.inner.prepare(sql)?;
        let rows =
            statement.query_map([me, CONTENT_LOST], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let mut unsent: Vec<UnsentMessage> = Vec::new();
        for row in rows {
            let (id, recipient, has_failed): (String, String, bool) = row?;
            if has_failed && !before.contains(&(id.clone(), recipient.clone())) {
                continue;
            }
            match unsent.last_mut().filter(|last| last.id == id) {
                Some(last) => last.recipients.push(recipient),
                None => unsent.push(UnsentMessage { id, recipients: vec![recipient] }),
            }
        }
        // A message that only the own devices lack was sent.
        unsent.retain(|unsent| unsent.recipients.iter().any(|recipient| recipient != me));
        let earlier: Option<Vec<UnsentMessage>> =
            self.former_value(UNSENT)?.and_then(|json| serde_json::from_str(&json).ok());
        let mut all: Vec<UnsentMessage> = earlier.into_iter().flatten().chain(unsent).collect();
        // What this device has said is its own since.
        for unsent in &mut all {
            let said = self.recipients_of(&unsent.id)?;
            unsent.recipients.retain(|recipient| !said.contains(recipient));
        }
        all.retain(|unsent| !unsent.recipients.is_empty());
        Ok(all)
    }

    /// Returns the recipients of a message for whom this store has an envelope.
    fn recipients_of(&self, message: &str) -> Result<BTreeSet<String>, DeviceStoreError> {
        let mut statement =
            self.inner.prepare_cached("SELECT recipient FROM main.envelopes WHERE message = ?1")?;
        Ok(statement.query_map([message], |row| row.get(0))?.collect::<Result<_, _>>()?)
    }

    /// Adds messages to those that former devices have not sent.
    pub(super) fn add_unsent(&self, unsent: Vec<UnsentMessage>) -> Result<(), DeviceStoreError> {
        let mut all = self.unsent()?;
        all.retain(|kept| unsent.iter().all(|it| it.id != kept.id));
        all.extend(unsent);
        self.put_json(UNSENT, &all)
    }

    /// Takes the messages that a former device has not sent. They are to be said anew in this transaction.
    pub(crate) fn take_unsent(&self) -> Result<Vec<UnsentMessage>, DeviceStoreError> {
        let unsent = self.unsent()?;
        self.inner.execute("DELETE FROM account WHERE name = ?1", [UNSENT])?;
        Ok(unsent)
    }

    /// Returns who could write to this user, as the former device knew it.
    pub(crate) fn carried_setting(&self) -> Result<Option<String>, DeviceStoreError> {
        self.json(WHO_MAY_WRITE)
    }

    /// Forgets who could write to this user: the server knows.
    pub(crate) fn drop_carried_setting(&self) -> Result<(), DeviceStoreError> {
        self.inner.execute("DELETE FROM account WHERE name = ?1", [WHO_MAY_WRITE])?;
        Ok(())
    }

    /// Returns the messages that a former device has left and has not sent.
    pub(crate) fn unsent(&self) -> Result<Vec<UnsentMessage>, DeviceStoreError> {
        Ok(self.json(UNSENT)?.unwrap_or_default())
    }

    /// Deletes a message and returns it, because it is said anew.
    pub(crate) fn withdraw(&self, actor: &str, id: &str) -> Result<Option<StoredMessage>, DeviceStoreError> {
        let message =
            self.inner.query_row(&format!("{COLUMNS} WHERE actor = ?1 AND id = ?2"), [actor, id], read);
        let message = message.optional()?;
        self.inner.execute("DELETE FROM messages WHERE actor = ?1 AND id = ?2", params![actor, id])?;
        Ok(message)
    }
}

/// Returns the memory of groups of which `me` is or was a member, by their ids.
fn ended(groups: impl Iterator<Item = KnownGroup>, me: &str) -> BTreeMap<String, EndedGroup> {
    let ended = |known: KnownGroup| {
        let member = known.current.members().contains(me);
        (known.current.id().to_string(), EndedGroup { name: known.current.name().to_owned(), member })
    };
    groups.map(ended).collect()
}
