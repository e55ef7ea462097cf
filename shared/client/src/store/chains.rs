//! The pinned chains of this user and of contacts.

use eko_protocol::chain::ChainNode;
use rusqlite::{OptionalExtension as _, params};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{DeviceStoreError, Transaction};

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
    /// The hash of the root node that the user accepts: the one of the first contact, or one that
    /// the user accepted later.
    pub(crate) accepted: String,
    /// The hash of the chain's head for which the user compared safety numbers.
    pub(crate) verified: Option<String>,
    /// The contradiction that a server showed in place of this chain.
    pub(crate) alarm: Option<ChainAlarm>,
    /// True if this user has accepted the user as a contact: has written to them, or said so.
    pub(crate) contact: bool,
}

impl Transaction<'_> {
    /// Returns the pinned chain of a user.
    pub(crate) fn pinned(&self, actor: &str) -> Result<Option<PinnedChain>, DeviceStoreError> {
        let sql = "SELECT nodes, accepted, verified, alarm, alarm_at, contact FROM chains WHERE actor = ?1";
        let mut statement = self.inner.prepare_cached(sql)?;
        let row = statement.query_row([actor], |row| {
            let alarm: Option<String> = row.get(3)?;
            let at: Option<i64> = row.get(4)?;
            Ok((
                row.get::<_, Vec<u8>>(0)?,
                row.get(1)?,
                row.get(2)?,
                alarm.zip(at).map(|(why, raised_ms)| ChainAlarm { why, raised_ms }),
                row.get(5)?,
            ))
        });
        let Some((nodes, accepted, verified, alarm, contact)) = row.optional()? else { return Ok(None) };
        let corrupt = || DeviceStoreError::Corrupt("device chain");
        let nodes: Vec<Value> = serde_json::from_slice(&nodes).map_err(|_| corrupt())?;
        let nodes = nodes.iter().map(ChainNode::parse).collect::<Result<_, _>>().map_err(|_| corrupt())?;
        Ok(Some(PinnedChain { nodes, accepted, verified, alarm, contact }))
    }

    /// True if the chain of a user is pinned.
    pub(crate) fn is_pinned(&self, actor: &str) -> Result<bool, DeviceStoreError> {
        let mut statement = self.inner.prepare_cached("SELECT 1 FROM chains WHERE actor = ?1")?;
        Ok(statement.exists([actor])?)
    }

    /// Pins a chain. What else is recorded of its user stays.
    pub(crate) fn pin(&self, actor: &str, pinned: &PinnedChain) -> Result<(), DeviceStoreError> {
        let nodes: Vec<Value> = pinned.nodes.iter().map(ChainNode::to_value).collect();
        let nodes = serde_json::to_vec(&nodes).map_err(|_| DeviceStoreError::Corrupt("device chain"))?;
        let alarm = pinned.alarm.as_ref();
        let (alarm, at) = (alarm.map(|alarm| &alarm.why), alarm.map(|alarm| alarm.raised_ms));
        let sql = "INSERT INTO chains (actor, nodes, accepted, verified, alarm, alarm_at, contact) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (actor) DO UPDATE SET \
                   nodes = ?2, accepted = ?3, verified = ?4, alarm = ?5, alarm_at = ?6, contact = ?7";
        let contact = pinned.contact;
        self.inner
            .execute(sql, params![actor, nodes, pinned.accepted, pinned.verified, alarm, at, contact])?;
        Ok(())
    }

    /// Records that this user has accepted a user as a contact.
    pub(crate) fn make_contact(&self, actor: &str) -> Result<(), DeviceStoreError> {
        self.inner.execute("UPDATE chains SET contact = 1 WHERE actor = ?1", [actor])?;
        Ok(())
    }

    /// True if this user has accepted a user as a contact.
    pub(crate) fn is_contact(&self, actor: &str) -> Result<bool, DeviceStoreError> {
        let sql = "SELECT 1 FROM chains WHERE actor = ?1 AND contact = 1";
        Ok(self.inner.prepare_cached(sql)?.exists([actor])?)
    }

    /// Records a contradiction that a server showed in place of the pinned chain. Without a pinned
    /// chain nothing is recorded.
    pub(crate) fn raise_alarm(&self, actor: &str, alarm: &str, now_ms: i64) -> Result<(), DeviceStoreError> {
        let sql = "UPDATE chains SET alarm = ?2, alarm_at = ?3 WHERE actor = ?1";
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
