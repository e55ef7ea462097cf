//! Views of device chains that others have and this device does not share: another hash of the
//! device sets of a conversation (`eko:deviceSetsHash`).

use std::collections::BTreeSet;

use rusqlite::{OptionalExtension as _, params};

use super::{DeviceStoreError, Transaction};

/// A device that stated a hash of the device sets of a conversation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ViewHolder<'a> {
    /// The actor id of the device's user.
    pub(crate) actor: &'a str,
    /// The device's address.
    pub(crate) device: &'a str,
    /// The other person's actor id, or the group's id.
    pub(crate) conversation: &'a str,
}

impl Transaction<'_> {
    /// Records that a device has another view of a conversation's device sets than this device. One
    /// hash is kept of a device and a conversation. This device's own view is due if the hash is a
    /// new one.
    pub(crate) fn note_difference(&self, of: ViewHolder<'_>, hash: &str) -> Result<(), DeviceStoreError> {
        let sql = "INSERT INTO views (device, conversation, actor, hash) VALUES (?1, ?2, ?3, ?4) \
                   ON CONFLICT (device, conversation) DO UPDATE SET hash = ?4, sent = 0 WHERE hash != ?4";
        let parameters = params![of.device, of.conversation, of.actor, hash];
        self.inner.prepare_cached(sql)?.execute(parameters)?;
        Ok(())
    }

    /// Forgets the views that others than these members have of a conversation.
    pub(crate) fn keep_views_of(
        &self,
        conversation: &str,
        members: &BTreeSet<String>,
    ) -> Result<(), DeviceStoreError> {
        let members = serde_json::to_string(members).map_err(|_| DeviceStoreError::Corrupt("group"))?;
        let sql =
            "DELETE FROM views WHERE conversation = ?1 AND actor NOT IN (SELECT value FROM json_each(?2))";
        self.inner.prepare_cached(sql)?.execute([conversation, &members])?;
        Ok(())
    }

    /// Records that a device has the same view of a conversation as this device.
    pub(crate) fn note_agreement(&self, of: ViewHolder<'_>) -> Result<(), DeviceStoreError> {
        let sql = "DELETE FROM views WHERE device = ?1 AND conversation = ?2";
        self.inner.prepare_cached(sql)?.execute(params![of.device, of.conversation])?;
        Ok(())
    }

    /// Returns a conversation of which this device's own view is due, for an activity to this
    /// conversation or person.
    pub(crate) fn due_view(&self, to: &str) -> Result<Option<String>, DeviceStoreError> {
        let sql = "SELECT conversation FROM views WHERE sent = 0 AND (conversation = ?1 OR actor = ?1) \
                   ORDER BY conversation LIMIT 1";
        Ok(self.inner.prepare_cached(sql)?.query_row([to], |row| row.get(0)).optional()?)
    }

    /// Records that this device's own view of a conversation goes to this conversation or person.
    pub(crate) fn note_view_sent(&self, to: &str, conversation: &str) -> Result<(), DeviceStoreError> {
        let sql = "UPDATE views SET sent = 1 WHERE conversation = ?2 AND (conversation = ?1 OR actor = ?1)";
        self.inner.prepare_cached(sql)?.execute(params![to, conversation])?;
        Ok(())
    }
}
