//! Invitations: groups that this user was brought into and has not joined.

use rusqlite::params;

use super::groups::{control_json, known_json, read_control, read_known};
use super::{DeviceStoreError, Transaction};
use crate::group::{GroupControl, KnownGroup};

/// The greatest number of invitations that are kept of one author.
pub const MOST_INVITATIONS_OF_USER: i64 = 20;
/// The greatest number of invitations that are kept of strangers altogether.
pub const MOST_INVITATIONS_OF_STRANGERS: i64 = 100;
/// The greatest number of invitations that the user has declined and that are remembered.
pub const MOST_DECLINED: i64 = 1_000;

/// A group that an actor has brought this user into.
#[derive(Debug, Clone)]
pub(crate) struct StoredInvitation {
    /// The actor id of the user who sent the first control.
    pub(crate) by: String,
    /// The group, as that control and those after it make it.
    pub(crate) known: KnownGroup,
    /// The control that made its state.
    pub(crate) latest: GroupControl,
    /// The time at which the server accepted the first control, in epoch milliseconds.
    pub(crate) received_ms: i64,
    /// True if the actor is no contact.
    pub(crate) stranger: bool,
    /// True if the user wants none of it.
    pub(crate) declined: bool,
}

const COLUMNS: &str = "SELECT actor, known, latest, at, stranger, declined FROM invitations";

impl Transaction<'_> {
    /// Keeps an invitation in the place of the former one of the same author to the same group. If
    /// there are too many, the oldest are deleted: those of the same author, and of all strangers
    /// those of the domain, the server of it, and the author with the most. What the user has declined
    /// is deleted only for the sake of what the user declines later, and in the same way.
    pub(crate) fn keep_invitation(&self, invitation: &StoredInvitation) -> Result<(), DeviceStoreError> {
        let sql = "INSERT OR REPLACE INTO invitations (grp, actor, known, latest, at, stranger, declined) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let StoredInvitation { by, known, latest, received_ms, stranger, declined } = invitation;
        let (id, known, latest) = (known.current.id().as_str(), known_json(known), control_json(latest));
        self.inner.execute(sql, params![id, by, known, latest, received_ms, stranger, declined])?;
        let sql = "DELETE FROM invitations WHERE (grp, actor) IN (SELECT grp, actor FROM invitations \
                   WHERE actor = ?1 AND declined = 0 ORDER BY at DESC, grp LIMIT -1 OFFSET ?2)";
        self.inner.execute(sql, params![by, MOST_INVITATIONS_OF_USER])?;
        for (which, most) in [
            ("declined = 1", MOST_DECLINED),
            ("stranger = 1 AND declined = 0", MOST_INVITATIONS_OF_STRANGERS),
        ] {
            let sql = format!(
                "SELECT actor, count(*) FROM invitations WHERE {which} GROUP BY actor ORDER BY min(at), actor"
            );
            if let Some(author) = self.who_makes_room(&sql, [], most)? {
                let sql = format!(
                    "DELETE FROM invitations WHERE (grp, actor) IN (SELECT grp, actor FROM invitations \
                     WHERE {which} AND actor = ?1 ORDER BY at, grp LIMIT 1)"
                );
                self.inner.execute(&sql, [author])?;
            }
        }
        Ok(())
    }

    /// Returns the invitations to one group, or to all.
    pub(crate) fn invitations(&self, id: Option<&str>) -> Result<Vec<StoredInvitation>, DeviceStoreError> {
        let sql = format!("{COLUMNS} WHERE ?1 IS NULL OR grp = ?1 ORDER BY at, grp, actor");
        let mut statement = self.inner.prepare_cached(&sql)?;
        let mut rows = statement.query([id])?;
        let mut invitations = Vec::new();
        while let Some(row) = rows.next()? {
            invitations.push(StoredInvitation {
                by: row.get(0)?,
                known: read_known(&row.get::<_, Vec<u8>>(1)?)?,
                latest: read_control(&row.get::<_, Vec<u8>>(2)?)?,
                received_ms: row.get(3)?,
                stranger: row.get(4)?,
                declined: row.get(5)?,
            });
        }
        Ok(invitations)
    }

    /// Deletes the history of a group that an actor shows, if its state is the one with this hash.
    pub(crate) fn drop_lineage(&self, id: &str, by: &str, state: &str) -> Result<(), DeviceStoreError> {
        let mut shown = self.invitations(Some(id))?.into_iter();
        match shown.any(|it| it.by == by && it.known.current.hash() == state) {
            true => self.drop_invitations(id, Some(by)),
            false => Ok(()),
        }
    }

    /// Deletes the invitations of one actor to a group, or all to the group.
    pub(crate) fn drop_invitations(&self, id: &str, by: Option<&str>) -> Result<(), DeviceStoreError> {
        let sql = "DELETE FROM invitations WHERE grp = ?1 AND (?2 IS NULL OR actor = ?2)";
        self.inner.execute(sql, params![id, by])?;
        Ok(())
    }
}
