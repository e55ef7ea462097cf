//! The records of groups.

use eko_protocol::json;
use rusqlite::{OptionalExtension as _, params};

use super::{DeviceStoreError, Transaction};
use crate::group::{GroupChange, GroupControl, KnownGroup, OwnDeparture};

/// The greatest number of actors who are recorded to have shown another history of one group.
const MOST_CONFLICTS: i64 = 512;

impl Transaction<'_> {
    /// Returns the record of a group.
    pub(crate) fn group(&self, id: &str) -> Result<Option<KnownGroup>, DeviceStoreError> {
        let mut statement = self.inner.prepare_cached("SELECT known FROM groups WHERE id = ?1")?;
        let known: Option<Vec<u8>> = statement.query_row([id], |row| row.get(0)).optional()?;
        known.as_deref().map(read_known).transpose()
    }

    /// Returns the records of all groups.
    pub(crate) fn groups(&self) -> Result<Vec<KnownGroup>, DeviceStoreError> {
        let mut statement = self.inner.prepare_cached("SELECT known FROM groups ORDER BY id")?;
        let known = statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<Vec<u8>>, _>>()?;
        known.iter().map(|known| read_known(known)).collect()
    }

    /// Keeps the record of a group. `latest` is the control that made its state, if that is new.
    /// Conflicts that were recorded before are settled, and the record at the server is to be stored. The views of
    /// former members are forgotten. Who has left or come in is followed anew, and everybody if this user has.
    pub(crate) fn keep_group(
        &self,
        known: &KnownGroup,
        latest: Option<&GroupControl>,
    ) -> Result<(), DeviceStoreError> {
        let sql = "INSERT INTO groups (id, known, latest) VALUES (?1, ?2, ?3) ON CONFLICT (id) DO UPDATE SET \
                   known = ?2, latest = COALESCE(?3, latest)";
        let id = known.current.id().as_str();
        self.follow_changed_members(self.group(id)?.as_ref(), known)?;
        if latest.is_some() {
            self.inner.execute("DELETE FROM conflicts WHERE grp = ?1", [id])?;
            self.mark_unstored(id, 0)?;
        }
        self.inner.execute(sql, params![id, known_json(known), latest.map(control_json)])?;
        if known.departure == OwnDeparture::NotMade {
            self.forget_departure(id)?;
        }
        self.keep_views_of(id, known.current.members())
    }

    /// Forgets the numbers of those who were not in a group for a time: nobody gets what is said in between.
    fn follow_changed_members(
        &self,
        before: Option<&KnownGroup>,
        after: &KnownGroup,
    ) -> Result<(), DeviceStoreError> {
        let Some(me) = self.own_actor()? else { return Ok(()) };
        let is_in = |known: &KnownGroup, actor: &str| {
            known.current.members().contains(actor)
                && (actor != me || known.departure == OwnDeparture::NotMade)
        };
        let has_changed =
            |actor: &str| before.is_some_and(|before| is_in(before, actor)) != is_in(after, actor);
        // Nobody is told of a removal who was removed. This user may have been out in a state between.
        let is_jump =
            before.is_some_and(|before| after.current.epoch() > before.current.epoch().saturating_add(1));
        let conversation = Some(after.current.id().as_str());
        match is_jump || has_changed(&me) {
            true => self.follow_anew(conversation, |_| true),
            false if before.is_some_and(|before| before.current.members() == after.current.members()) => {
                Ok(())
            }
            false => self.follow_anew(conversation, has_changed),
        }
    }

    /// Returns the control that made the current state of a group.
    pub(crate) fn latest_control(&self, id: &str) -> Result<Option<GroupControl>, DeviceStoreError> {
        let mut statement = self.inner.prepare_cached("SELECT latest FROM groups WHERE id = ?1")?;
        let latest: Option<Option<Vec<u8>>> = statement.query_row([id], |row| row.get(0)).optional()?;
        latest.flatten().as_deref().map(read_control).transpose()
    }

    /// Records that `actor` showed another history of a group. Returns false if that is known, or if
    /// [`MOST_CONFLICTS`] others have done so.
    pub(crate) fn note_conflict(&self, id: &str, actor: &str) -> Result<bool, DeviceStoreError> {
        let sql = "INSERT OR IGNORE INTO conflicts (grp, actor) SELECT ?1, ?2 \
                   WHERE (SELECT count(*) FROM conflicts WHERE grp = ?1) < ?3";
        Ok(self.inner.execute(sql, params![id, actor, MOST_CONFLICTS])? > 0)
    }

    /// Records that `actor` has the history of this device.
    pub(crate) fn settle_conflict(&self, id: &str, actor: &str) -> Result<(), DeviceStoreError> {
        self.inner.execute("DELETE FROM conflicts WHERE grp = ?1 AND actor = ?2", [id, actor])?;
        self.drop_invitations(id, Some(actor))
    }

    /// True if `actor` is recorded to have shown another history of a group.
    pub(crate) fn has_conflict(&self, id: &str, actor: &str) -> Result<bool, DeviceStoreError> {
        let sql = "SELECT 1 FROM conflicts WHERE grp = ?1 AND actor = ?2";
        Ok(self.inner.prepare_cached(sql)?.exists(params![id, actor])?)
    }

    /// Returns the first of the actors who showed another history of a group.
    pub(crate) fn conflict(&self, id: &str) -> Result<Option<String>, DeviceStoreError> {
        let sql = "SELECT actor FROM conflicts WHERE grp = ?1 ORDER BY actor LIMIT 1";
        Ok(self.inner.prepare_cached(sql)?.query_row([id], |row| row.get(0)).optional()?)
    }

    /// Records that a member is told of the current state of a group. Returns false if the member
    /// was told of it after `before_ms`.
    pub(crate) fn note_announced(
        &self,
        id: &str,
        actor: &str,
        state: &str,
        now_ms: i64,
        before_ms: i64,
    ) -> Result<bool, DeviceStoreError> {
        let sql = "INSERT INTO announced (grp, actor, state, at) VALUES (?1, ?2, ?3, ?4) \
                   ON CONFLICT (grp, actor) DO UPDATE SET state = ?3, at = ?4 WHERE state <> ?3 OR at <= ?5 OR at > ?4";
        Ok(self.inner.execute(sql, params![id, actor, state, now_ms, before_ms])? > 0)
    }

    /// Records that a member does not have the current state of a group. Returns true if that was so
    /// before `before_ms` already, and the caller is to tell of it: once for each state.
    pub(crate) fn note_behind(
        &self,
        id: &str,
        actor: &str,
        state: &str,
        now_ms: i64,
        before_ms: i64,
    ) -> Result<bool, DeviceStoreError> {
        let sql = "INSERT INTO behind (grp, actor, state, since) VALUES (?1, ?2, ?3, ?4) \
                   ON CONFLICT (grp, actor) DO UPDATE SET state = ?3, since = ?4, told = 0 \
                   WHERE state <> ?3 OR since > ?4";
        self.inner.execute(sql, params![id, actor, state, now_ms])?;
        let sql = "UPDATE behind SET told = 1 WHERE grp = ?1 AND actor = ?2 AND told = 0 AND since <= ?3";
        Ok(self.inner.execute(sql, params![id, actor, before_ms])? > 0)
    }

    /// Records that a member has the current state of a group.
    pub(crate) fn note_caught_up(&self, id: &str, actor: &str) -> Result<(), DeviceStoreError> {
        self.inner.execute("DELETE FROM behind WHERE grp = ?1 AND actor = ?2", [id, actor])?;
        Ok(())
    }

    /// Records that nothing shows any more that a user has the groups that they are a member of: all
    /// devices that had shown it were replaced.
    pub(crate) fn unconfirm(&self, actor: &str) -> Result<(), DeviceStoreError> {
        for mut known in self.groups()? {
            if known.confirmed.remove(actor) {
                self.keep_group(&known, None)?;
            }
        }
        Ok(())
    }

    /// Makes a new master key due in every group that this user is in together with `actor`, of
    /// whom a device was revoked: whoever has that device has the keys of today. `length` is that of
    /// the chain with the revocation. A key that the user has made since, by a device that knew of
    /// it, is out of that device's reach.
    pub(crate) fn rekey_groups_of(&self, actor: &str, length: u64) -> Result<(), DeviceStoreError> {
        for known in self.groups()? {
            if known.outsiders.revoked || !known.current.members().contains(actor) {
                continue;
            }
            let latest = self.latest_control(known.current.id().as_str())?;
            let is_renewed = latest.is_some_and(|control| {
                matches!(control.change(), GroupChange::Rekeyed | GroupChange::Removed)
                    && control.author() == actor
                    && control.device_set().is_some_and(|set| set.length >= length)
            });
            if !is_renewed {
                self.keep_group(&known.with_revoked_device(), None)?;
            }
        }
        Ok(())
    }
}

pub(super) fn known_json(known: &KnownGroup) -> Vec<u8> {
    known.to_value().to_string().into_bytes()
}

pub(super) fn control_json(control: &GroupControl) -> Vec<u8> {
    control.to_value().to_string().into_bytes()
}

pub(super) fn read_known(known: &[u8]) -> Result<KnownGroup, DeviceStoreError> {
    let value = json::parse(known).ok();
    value.and_then(|value| KnownGroup::parse(&value).ok()).ok_or(DeviceStoreError::Corrupt("group"))
}

pub(super) fn read_control(control: &[u8]) -> Result<GroupControl, DeviceStoreError> {
    let value = json::parse(control).ok();
    value.and_then(|value| GroupControl::parse(&value).ok()).ok_or(DeviceStoreError::Corrupt("control"))
}
