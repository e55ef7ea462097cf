//! The pinned chains of this user and of contacts.

use std::collections::{BTreeMap, BTreeSet};

use eko_protocol::chain::ChainNode;
use eko_protocol::device_set::DeviceSetRef;
use rusqlite::{OptionalExtension as _, Row, params};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{DeviceStoreError, Transaction};

/// The beginning of the names of users whose accounts were deleted, as their servers say. The value is the time
/// at which this device heard of it.
const DELETED: &str = "deleted ";
/// The name under which the store keeps the hash of the root under which the own chain was pinned.
const OWN_ROOT: &str = "own_root";

/// A contradiction that a server showed in place of a pinned chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainAlarm {
    /// The contradiction, in words.
    pub why: String,
    /// The time at which this device saw it, in epoch milliseconds.
    pub raised_ms: i64,
}

/// A chain as it was last verified, with the user's decisions about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PinnedChain {
    /// The nodes, from the first.
    pub(crate) nodes: Vec<ChainNode>,
    /// The hash of the root node that the user accepts: the one that was seen first, or one that
    /// the user accepted later.
    pub(crate) accepted: String,
    /// True if the user has accepted a reset, and has compared no safety numbers since.
    pub(crate) uncompared: bool,
    /// The hash of the chain's head for which the user compared safety numbers.
    pub(crate) verified: Option<String>,
    /// The hash of the own chain's head at that time.
    pub(crate) compared_with: Option<String>,
    /// The contradiction that a server showed in place of this chain.
    pub(crate) alarm: Option<ChainAlarm>,
    /// True if this user has accepted the user as a contact: has written to them, or said so. It is pinned as
    /// [`Transaction::is_contact`] has it.
    pub(crate) contact: bool,
    /// The time at which the chain was last read, in epoch milliseconds.
    pub(crate) looked_ms: i64,
    /// The number of nodes that the user was told of.
    pub(crate) told: u64,
    /// A head for each device of the user, by its address: the device has signed it, and this chain
    /// lacks it.
    pub(crate) proven: BTreeMap<String, DeviceSetRef>,
    /// The newest time at which a device of the user stated a head that this chain has, or at which
    /// the reader accepted the chain, in epoch milliseconds.
    pub(crate) confirmed_ms: i64,
}

impl Transaction<'_> {
    /// Returns the pinned chain of a user.
    pub(crate) fn pinned(&self, actor: &str) -> Result<Option<PinnedChain>, DeviceStoreError> {
        let sql = "SELECT nodes, accepted, verified, alarm, alarm_at, contact, looked, told, proven, \
                   confirmed, uncompared, compared_with FROM chains WHERE actor = ?1";
        let mut statement = self.inner.prepare_cached(sql)?;
        let row = statement.query_row([actor], |row| {
            let alarm: Option<String> = row.get(3)?;
            let at: Option<i64> = row.get(4)?;
            let pinned = PinnedChain {
                nodes: Vec::new(),
                accepted: row.get(1)?,
                uncompared: row.get(10)?,
                compared_with: row.get(11)?,
                verified: row.get(2)?,
                alarm: alarm.zip(at).map(|(why, raised_ms)| ChainAlarm { why, raised_ms }),
                contact: row.get(5)?,
                looked_ms: row.get(6)?,
                told: row.get(7)?,
                proven: BTreeMap::new(),
                confirmed_ms: row.get(9)?,
            };
            Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, String>(8)?, pinned))
        });
        let Some((nodes, proven, pinned)) = row.optional()? else { return Ok(None) };
        let corrupt = || DeviceStoreError::Corrupt("device chain");
        let nodes: Vec<Value> = serde_json::from_slice(&nodes).map_err(|_| corrupt())?;
        let nodes = nodes.iter().map(ChainNode::parse).collect::<Result<_, _>>().map_err(|_| corrupt())?;
        let proven = serde_json::from_str(&proven).map_err(|_| corrupt())?;
        Ok(Some(PinnedChain { nodes, proven, ..pinned }))
    }

    /// True if the chain of a user is pinned.
    pub(crate) fn is_pinned(&self, actor: &str) -> Result<bool, DeviceStoreError> {
        let mut statement = self.inner.prepare_cached("SELECT 1 FROM chains WHERE actor = ?1")?;
        Ok(statement.exists([actor])?)
    }

    /// Records that the server of a user whose chain is pinned calls their account deleted.
    pub(crate) fn note_person_deleted(&self, actor: &str, now_ms: i64) -> Result<(), DeviceStoreError> {
        match self.is_pinned(actor)? {
            true => self.put_moment(&format!("{DELETED}{actor}"), now_ms),
            false => Ok(()),
        }
    }

    /// Records that the server of a user shows their devices.
    pub(crate) fn note_person_there(&self, actor: &str) -> Result<(), DeviceStoreError> {
        self.delete(&format!("{DELETED}{actor}"))
    }

    /// True if the server of a user has called their account deleted, and has not shown their devices since.
    pub(crate) fn is_person_deleted(&self, actor: &str) -> Result<bool, DeviceStoreError> {
        Ok(self.moment(&format!("{DELETED}{actor}"))?.is_some())
    }

    /// Pins a chain, with everything that is recorded of its user, who is a contact if that was decided. A chain
    /// has a node.
    pub(crate) fn pin(&self, actor: &str, pinned: &PinnedChain) -> Result<(), DeviceStoreError> {
        let corrupt = || DeviceStoreError::Corrupt("device chain");
        let set = pinned.nodes.last().map(ChainNode::device_set).ok_or_else(corrupt)?;
        let nodes: Vec<Value> = pinned.nodes.iter().map(ChainNode::to_value).collect();
        let nodes = serde_json::to_vec(&nodes).map_err(|_| corrupt())?;
        let alarm = pinned.alarm.as_ref();
        let (alarm, at) = (alarm.map(|alarm| &alarm.why), alarm.map(|alarm| alarm.raised_ms));
        let proven = serde_json::to_string(&pinned.proven).map_err(|_| corrupt())?;
        let sql = "INSERT OR REPLACE INTO chains (actor, nodes, length, head, accepted, verified, alarm, alarm_at, \
                   contact, looked, told, proven, confirmed, uncompared, \
                   compared_with) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, \
                   EXISTS (SELECT 1 FROM decisions WHERE decisions.actor = ?1 AND decisions.accepted = 1), \
                   ?9, ?10, ?11, ?12, ?13, ?14)";
        self.inner.execute(
            sql,
            params![
                actor,
                nodes,
                set.length,
                set.head,
                pinned.accepted,
                pinned.verified,
                alarm,
                at,
                pinned.looked_ms,
                pinned.told,
                proven,
                pinned.confirmed_ms,
                pinned.uncompared,
                pinned.compared_with
            ],
        )?;
        Ok(())
    }

    /// Returns the device set of a user whose chain is pinned.
    pub(crate) fn device_set(&self, actor: &str) -> Result<Option<DeviceSetRef>, DeviceStoreError> {
        let mut statement = self.inner.prepare_cached("SELECT length, head FROM chains WHERE actor = ?1")?;
        let set = |row: &Row<'_>| Ok(DeviceSetRef { length: row.get(0)?, head: row.get(1)? });
        Ok(statement.query_row([actor], set).optional()?)
    }

    /// Returns the device sets of those of these users whose chains are pinned.
    pub(crate) fn device_sets(
        &self,
        actors: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, DeviceSetRef>, DeviceStoreError> {
        let set = |actor: &String| Ok(self.device_set(actor)?.map(|set| (actor.clone(), set)));
        actors.iter().filter_map(|actor| set(actor).transpose()).collect()
    }

    /// Records that a device of a user has stated the head of the pinned chain at a time. A recorded time
    /// that is yet to come is replaced: the clock was ahead.
    pub(crate) fn note_confirmed(
        &self,
        actor: &str,
        stated_ms: i64,
        now_ms: i64,
    ) -> Result<(), DeviceStoreError> {
        let sql =
            "UPDATE chains SET confirmed = max(?2, iif(confirmed > ?3, ?2, confirmed)) WHERE actor = ?1";
        self.inner.prepare_cached(sql)?.execute(params![actor, stated_ms, now_ms])?;
        Ok(())
    }

    /// True if devices of a user have proven heads that the pinned chain lacks.
    pub(crate) fn has_proofs(&self, actor: &str) -> Result<bool, DeviceStoreError> {
        let sql = "SELECT 1 FROM chains WHERE actor = ?1 AND proven <> '{}'";
        Ok(self.inner.prepare_cached(sql)?.exists([actor])?)
    }

    /// Returns the actor ids of the users whose chains have nodes that the user was not told of.
    pub(crate) fn grown(&self) -> Result<Vec<String>, DeviceStoreError> {
        let mut statement =
            self.inner.prepare_cached("SELECT actor FROM chains WHERE told < length ORDER BY actor")?;
        let grown = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>();
        Ok(grown?)
    }

    /// Records that the user was told of the first nodes of a chain.
    pub(crate) fn note_told(&self, actor: &str, told: u64) -> Result<(), DeviceStoreError> {
        let sql = "UPDATE chains SET told = max(told, min(length, ?2)) WHERE actor = ?1";
        self.inner.execute(sql, params![actor, told])?;
        Ok(())
    }

    /// Records the hash of a node of the own chain, before this device appends it.
    pub(crate) fn keep_own_node(&self, hash: &str) -> Result<(), DeviceStoreError> {
        self.inner.execute("INSERT OR IGNORE INTO own_nodes (hash) VALUES (?1)", [hash])?;
        Ok(())
    }

    /// Returns the hashes of the nodes that this device has made.
    pub(crate) fn own_nodes(&self) -> Result<BTreeSet<String>, DeviceStoreError> {
        let mut statement = self.inner.prepare_cached("SELECT hash FROM own_nodes")?;
        let hashes = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>();
        Ok(hashes?)
    }

    /// Records the root under which the own chain is pinned, by its hash. Returns false if the chain was pinned
    /// under this root before, also if that one was lost with a part of the store.
    pub(crate) fn note_own_root(&self, root: &str) -> Result<bool, DeviceStoreError> {
        let is_new = self.json::<String>(OWN_ROOT)?.as_deref() != Some(root);
        if is_new {
            self.put_json(OWN_ROOT, &root)?;
        }
        Ok(is_new)
    }

    /// Records a contradiction that a server showed in place of the pinned chain. Without a pinned
    /// chain nothing is recorded. The chain counts as read no later than that, whatever the clock said
    /// then.
    pub(crate) fn raise_alarm(&self, actor: &str, alarm: &str, now_ms: i64) -> Result<(), DeviceStoreError> {
        let sql = "UPDATE chains SET alarm = ?2, alarm_at = ?3, looked = min(looked, ?3) WHERE actor = ?1";
        self.inner.execute(sql, params![actor, alarm, now_ms])?;
        Ok(())
    }

    /// Forgets a pinned chain. The next one that the server shows is accepted.
    pub(crate) fn unpin(&self, actor: &str) -> Result<(), DeviceStoreError> {
        self.inner.execute("DELETE FROM chains WHERE actor = ?1", [actor])?;
        Ok(())
    }

    /// Returns the actor ids of all users whose chains are pinned.
    pub(crate) fn people(&self) -> Result<Vec<String>, DeviceStoreError> {
        let mut statement = self.inner.prepare_cached("SELECT actor FROM chains ORDER BY actor")?;
        let people = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>();
        Ok(people?)
    }
}
