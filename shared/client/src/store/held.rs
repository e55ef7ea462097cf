//! Activities of groups that cannot be judged yet.

use rusqlite::{Row, params};

use super::{DeviceStoreError, Transaction};

/// A reason for which an activity of a group is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldReason {
    /// The activity belongs to a later state of the group than this device knows.
    Ahead,
    /// The user has not joined the group.
    NotJoined,
    /// All devices of the sender were replaced, and the user has not accepted that.
    Reset,
}

/// A decrypted activity of a group that cannot be judged yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeldActivity {
    /// The number of its row.
    pub(crate) row: i64,
    /// The id of the group.
    pub(crate) group: String,
    /// The actor id of the author.
    pub(crate) actor: String,
    /// The address of the device that sent it.
    pub(crate) device: String,
    /// The time at which the server accepted it, in epoch milliseconds.
    pub(crate) received_ms: i64,
    /// The padded activity.
    pub(crate) plaintext: Vec<u8>,
    /// The reason.
    pub(crate) why: HeldReason,
    /// True if the author is neither a contact nor a member of the group.
    pub(crate) stranger: bool,
    /// The warning about the sender that there was when it came.
    pub(crate) warning: Option<String>,
}

/// The greatest number of activities held of one author. Nothing of them is proven.
const MOST_OF_AUTHOR: i64 = 500;
/// The greatest number of activities held of one stranger.
const MOST_OF_STRANGER: i64 = 20;
/// The greatest number of activities held of all strangers together.
const MOST_OF_STRANGERS: i64 = 200;
/// The greatest number of activities held of contacts and members together.
const MOST: i64 = 5_000;

const COLUMNS: &str = "SELECT row, grp, actor, device, received, plaintext, why, stranger, warning FROM held";

impl Transaction<'_> {
    /// Holds an activity until its group has changed. If there are too many, the oldest of the
    /// author of whom there are most are deleted. Strangers have a share of their own: what a
    /// contact or a member sent is never deleted for the sake of a stranger.
    pub(crate) fn hold(&self, held: &HeldActivity, now_ms: i64) -> Result<(), DeviceStoreError> {
        let sql = "INSERT INTO held (grp, actor, device, received, stored, plaintext, why, stranger, warning) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        let why = number(held.why);
        let parameters = params![
            held.group,
            held.actor,
            held.device,
            held.received_ms,
            now_ms,
            held.plaintext,
            why,
            held.stranger,
            held.warning
        ];
        self.inner.execute(sql, parameters)?;
        let sql = "DELETE FROM held WHERE row IN (SELECT row FROM held WHERE actor = ?1 AND stranger = ?2 \
                   ORDER BY row DESC LIMIT -1 OFFSET ?3)";
        let most = if held.stranger { MOST_OF_STRANGER } else { MOST_OF_AUTHOR };
        self.inner.execute(sql, params![held.actor, held.stranger, most])?;
        let sql = "SELECT count(*) FROM held WHERE stranger = ?1";
        let count: i64 = self.inner.prepare_cached(sql)?.query_row([held.stranger], |row| row.get(0))?;
        let most = if held.stranger { MOST_OF_STRANGERS } else { MOST };
        if count > most {
            let sql = "DELETE FROM held WHERE row = (SELECT min(row) FROM held WHERE stranger = ?1 GROUP BY actor \
                       ORDER BY count(*) DESC, min(row) LIMIT 1)";
            self.inner.execute(sql, [held.stranger])?;
        }
        Ok(())
    }

    /// Returns the activities held for one group or for all, oldest first.
    pub(crate) fn held(&self, group: Option<&str>) -> Result<Vec<HeldActivity>, DeviceStoreError> {
        let sql = format!("{COLUMNS} WHERE ?1 IS NULL OR grp = ?1 ORDER BY row");
        let mut statement = self.inner.prepare_cached(&sql)?;
        let rows = statement.query_map([group], read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Returns the groups and authors of what is held because of a reset.
    pub(crate) fn held_for_resets(&self) -> Result<Vec<(String, String)>, DeviceStoreError> {
        let sql = "SELECT DISTINCT grp, actor FROM held WHERE why = ?1";
        let mut statement = self.inner.prepare_cached(sql)?;
        let rows = statement.query_map([number(HeldReason::Reset)], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Deletes a held activity. Returns false if it is gone already.
    pub(crate) fn release(&self, row: i64) -> Result<bool, DeviceStoreError> {
        Ok(self.inner.execute("DELETE FROM held WHERE row = ?1", [row])? > 0)
    }

    /// Deletes everything that is held for a group.
    pub(crate) fn drop_held(&self, group: &str) -> Result<(), DeviceStoreError> {
        self.inner.execute("DELETE FROM held WHERE grp = ?1", [group])?;
        Ok(())
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<HeldActivity> {
    Ok(HeldActivity {
        row: row.get(0)?,
        group: row.get(1)?,
        actor: row.get(2)?,
        device: row.get(3)?,
        received_ms: row.get(4)?,
        plaintext: row.get(5)?,
        why: match row.get(6)? {
            1 => HeldReason::Ahead,
            2 => HeldReason::NotJoined,
            _ => HeldReason::Reset,
        },
        stranger: row.get(7)?,
        warning: row.get(8)?,
    })
}

fn number(why: HeldReason) -> i64 {
    match why {
        HeldReason::Ahead => 1,
        HeldReason::NotJoined => 2,
        HeldReason::Reset => 3,
    }
}
