//! Activities of groups that cannot be judged yet.

use rusqlite::{Row, params};

use super::messages::LATE_MS;
use super::{AwaitedMessage, DeviceStoreError, Transaction};

/// A reason for which an activity of a group is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldReason {
    /// The activity belongs to a later state of the group than this device knows.
    Ahead,
    /// The user has not joined the group.
    NotJoined,
    /// All devices of the author were replaced, and the user has not accepted that.
    Reset,
    /// This device does not know the device of the author, or of somebody whose grant the activity
    /// needs.
    UnknownAuthor,
    /// The author is not in the group, as far as this device knows.
    NotMember,
}

/// A decrypted activity of a group that cannot be judged yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeldActivity {
    /// The number of its row.
    pub(crate) row: i64,
    /// The id of the group.
    pub(crate) group: String,
    /// The actor id of the sender.
    pub(crate) actor: String,
    /// The address of the device that sent it.
    pub(crate) device: String,
    /// The actor id of the author: the sender, unless the sender forwards a control.
    pub(crate) author: String,
    /// The actor id of whose chain it awaits: the author's, or that of somebody who granted.
    pub(crate) awaited: String,
    /// The address of the device that this chain is to have.
    pub(crate) awaited_device: String,
    /// The time at which the server accepted it, in epoch milliseconds.
    pub(crate) received_ms: i64,
    /// The padded activity.
    pub(crate) plaintext: Vec<u8>,
    /// The reason.
    pub(crate) why: HeldReason,
    /// True if the sender is neither a contact, nor a member of the group or of a contact's
    /// invitation to it.
    pub(crate) stranger: bool,
    /// The warning about the sender that there was when it came.
    pub(crate) warning: Option<String>,
    /// The position that was kept for it, if it was sent again.
    pub(crate) place: Option<i64>,
    /// The JSON of the report that the user can make of it once it is a message.
    pub(crate) evidence: Option<String>,
}

/// A device that this device does not know, and that something awaits that is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AwaitedAuthor {
    /// The actor id of whoever sent what is held.
    pub(crate) sender: String,
    /// The actor id of the device's user.
    pub(crate) actor: String,
    /// The device's address.
    pub(crate) device: String,
}

/// The greatest number of activities held of one sender. Nothing of them is proven.
pub const MOST_HELD_OF_SENDER: i64 = 500;
/// The greatest number of activities held of one stranger.
pub const MOST_HELD_OF_STRANGER: i64 = 20;
/// The greatest number of activities held of all strangers together.
pub const MOST_HELD_OF_STRANGERS: i64 = 200;
/// The greatest number of activities held of contacts and members together.
pub const MOST_HELD: i64 = 5_000;

pub(super) const COLUMNS: &str = "SELECT row, grp, actor, device, author, awaited, received, plaintext, why, stranger, \
                       warning, awaited_device, place, \
                       (SELECT flag FROM held_evidence WHERE held_evidence.row = held.row) FROM held";

impl Transaction<'_> {
    /// Holds an activity until its group has changed. If there are too many, the oldest one is deleted
    /// of the domain, the server of it, and the sender with the most. Strangers have a share of their
    /// own: what a contact or a member sent is never deleted for the sake of a stranger.
    pub(crate) fn hold(&self, held: &HeldActivity, now_ms: i64) -> Result<(), DeviceStoreError> {
        let sql = "INSERT INTO held (grp, actor, device, received, stored, plaintext, why, stranger, warning, \
                   author, awaited, awaited_device, place) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
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
            held.warning,
            held.author,
            held.awaited,
            held.awaited_device,
            held.place
        ];
        self.inner.execute(sql, parameters)?;
        let sql = "DELETE FROM held WHERE row IN (SELECT row FROM held WHERE actor = ?1 AND stranger = ?2 \
                   ORDER BY row DESC LIMIT -1 OFFSET ?3)";
        let most = if held.stranger { MOST_HELD_OF_STRANGER } else { MOST_HELD_OF_SENDER };
        self.inner.execute(sql, params![held.actor, held.stranger, most])?;
        let sql = "SELECT actor, count(*) FROM held WHERE stranger = ?1 GROUP BY actor ORDER BY min(row)";
        let most = if held.stranger { MOST_HELD_OF_STRANGERS } else { MOST_HELD };
        if let Some(sender) = self.who_makes_room(sql, [held.stranger], most)? {
            let sql = "DELETE FROM held WHERE row = \
                       (SELECT min(row) FROM held WHERE stranger = ?1 AND actor = ?2)";
            self.inner.execute(sql, params![held.stranger, sender])?;
        }
        Ok(())
    }

    /// Keeps the place in which an activity was awaited that is held now, unless it comes later than anything is
    /// sent again.
    pub(crate) fn hold_place(
        &self,
        place: &AwaitedMessage,
        plaintext: &[u8],
    ) -> Result<(), DeviceStoreError> {
        let AwaitedMessage { actor, device, position, received_ms, .. } = place;
        let sql = "UPDATE held SET place = ?4 WHERE actor = ?1 AND device = ?2 AND plaintext = ?3 \
                   AND received - ?5 <= ?6";
        self.inner.execute(sql, params![actor, device, plaintext, position, received_ms, LATE_MS])?;
        Ok(())
    }

    /// Returns the activities held for one group or for all, oldest first.
    pub(crate) fn held(&self, group: Option<&str>) -> Result<Vec<HeldActivity>, DeviceStoreError> {
        let sql = format!("{COLUMNS} WHERE ?1 IS NULL OR grp = ?1 ORDER BY row");
        let mut statement = self.inner.prepare_cached(&sql)?;
        let rows = statement.query_map([group], read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Returns what is held until a chain is another one: one activity of each device for each group and
    /// reason.
    pub(crate) fn held_for_chains(&self) -> Result<Vec<HeldActivity>, DeviceStoreError> {
        let sql = format!("{COLUMNS} WHERE why IN (?1, ?2) GROUP BY grp, awaited, awaited_device, why");
        let mut statement = self.inner.prepare_cached(&sql)?;
        let whys = [number(HeldReason::Reset), number(HeldReason::UnknownAuthor)];
        let rows = statement.query_map(whys, read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Returns the devices that held activities await because they are not known, by sender.
    pub(crate) fn awaited_authors(&self) -> Result<Vec<AwaitedAuthor>, DeviceStoreError> {
        let sql = "SELECT DISTINCT actor, awaited, awaited_device FROM held WHERE why = ?1";
        let mut statement = self.inner.prepare_cached(sql)?;
        let authors = statement.query_map([number(HeldReason::UnknownAuthor)], |row| {
            Ok(AwaitedAuthor { sender: row.get(0)?, actor: row.get(1)?, device: row.get(2)? })
        })?;
        Ok(authors.collect::<Result<_, _>>()?)
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

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<HeldActivity> {
    Ok(HeldActivity {
        row: row.get(0)?,
        group: row.get(1)?,
        actor: row.get(2)?,
        device: row.get(3)?,
        author: row.get(4)?,
        awaited: row.get(5)?,
        received_ms: row.get(6)?,
        plaintext: row.get(7)?,
        why: match row.get(8)? {
            1 => HeldReason::Ahead,
            2 => HeldReason::NotJoined,
            3 => HeldReason::Reset,
            5 => HeldReason::NotMember,
            _ => HeldReason::UnknownAuthor,
        },
        stranger: row.get(9)?,
        warning: row.get(10)?,
        awaited_device: row.get(11)?,
        place: row.get(12)?,
        evidence: row.get(13)?,
    })
}

fn number(why: HeldReason) -> i64 {
    match why {
        HeldReason::Ahead => 1,
        HeldReason::NotJoined => 2,
        HeldReason::Reset => 3,
        HeldReason::UnknownAuthor => 4,
        HeldReason::NotMember => 5,
    }
}
