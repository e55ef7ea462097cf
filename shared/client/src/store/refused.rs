//! Envelopes that wait for the user's decision about their recipient's devices.

use eko_protocol::id::EnvelopeId;
use rusqlite::params;

use super::envelopes::{COLUMNS, read};
use super::{DeviceStoreError, OutboxEnvelope, Transaction};

impl Transaction<'_> {
    /// Returns the envelopes to a recipient that were refused, oldest first. One that an earlier version of
    /// this library refused has no plaintext.
    pub(crate) fn refused_to(&self, recipient: &str) -> Result<Vec<OutboxEnvelope>, DeviceStoreError> {
        self.unsilent(recipient, "state > 4 AND state = 6")
    }

    /// Returns the actor ids of those from whom envelopes are held back.
    pub(crate) fn recipients_of_refused(&self) -> Result<Vec<String>, DeviceStoreError> {
        let sql = "SELECT DISTINCT recipient FROM envelopes WHERE state > 4 AND state = 6 AND silent = 0 \
                   ORDER BY recipient";
        let mut statement = self.inner.prepare_cached(sql)?;
        Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
    }

    /// Returns the envelopes to a recipient that the own server has queued, oldest first.
    pub(crate) fn queued_to(&self, recipient: &str) -> Result<Vec<OutboxEnvelope>, DeviceStoreError> {
        self.unsilent(recipient, "state = 2")
    }

    /// Returns the envelopes to a recipient that are to be sent, oldest first.
    pub(crate) fn unsent_to(&self, recipient: &str) -> Result<Vec<OutboxEnvelope>, DeviceStoreError> {
        self.unsilent(recipient, "state = 1 AND resent_to IS NULL")
    }

    fn unsilent(&self, recipient: &str, which: &str) -> Result<Vec<OutboxEnvelope>, DeviceStoreError> {
        let sql = format!("{COLUMNS} WHERE recipient = ?1 AND silent = 0 AND {which} ORDER BY made, id");
        let mut statement = self.inner.prepare_cached(&sql)?;
        statement.query_map([recipient], |row| Ok(read(row)))?.map(|row| row?).collect()
    }

    /// True if an envelope that is not silent was made after one to the same recipient that is held back.
    pub(crate) fn is_behind_refused(&self, id: &EnvelopeId) -> Result<bool, DeviceStoreError> {
        let sql = "SELECT 1 FROM envelopes AS later WHERE id = ?1 AND silent = 0 AND EXISTS \
                   (SELECT 1 FROM envelopes AS older WHERE older.state > 4 AND older.state = 6 AND older.silent = 0 \
                   AND older.recipient = later.recipient AND older.made < later.made)";
        Ok(self.inner.prepare_cached(sql)?.exists([id.as_str()])?)
    }

    /// Holds back what is to be sent to the same recipient after an envelope that was refused, for the same
    /// reason: it would meet the same answer, or overtake it. What a process sends now stays claimed.
    pub(crate) fn hold_back_after(&self, id: &EnvelopeId) -> Result<(), DeviceStoreError> {
        let sql = "UPDATE envelopes AS later SET state = 6, reason = refused.reason FROM \
                   (SELECT recipient, made, reason FROM envelopes WHERE id = ?1 AND state = 6 AND silent = 0) AS refused \
                   WHERE later.state = 1 AND later.claimed = 0 AND later.silent = 0 \
                   AND later.recipient = refused.recipient AND later.made > refused.made";
        self.inner.prepare_cached(sql)?.execute([id.as_str()])?;
        Ok(())
    }

    /// Holds back an envelope that is to be sent, for the reason of an older one to the same recipient that is
    /// held back. Without such a one it stays due.
    pub(crate) fn hold_back(&self, id: &EnvelopeId) -> Result<(), DeviceStoreError> {
        let sql = "UPDATE envelopes AS later SET state = 6, reason = older.reason FROM \
                   (SELECT recipient, made, reason FROM envelopes WHERE state > 4 AND state = 6 AND silent = 0) AS older \
                   WHERE later.id = ?1 AND later.state = 1 AND later.claimed = 0 AND later.silent = 0 \
                   AND older.recipient = later.recipient AND older.made < later.made";
        self.inner.prepare_cached(sql)?.execute([id.as_str()])?;
        Ok(())
    }

    /// Has an envelope sent that was refused. What the recipient's server has of it stays there.
    pub(crate) fn send_refused(&self, id: &EnvelopeId, now_ms: i64) -> Result<(), DeviceStoreError> {
        let sql = "UPDATE envelopes SET state = 1, due = ?2, put = ?2, tries = 0, claimed = 0, reason = NULL \
                   WHERE id = ?1 AND state = 6";
        self.inner.prepare_cached(sql)?.execute(params![id.as_str(), now_ms])?;
        Ok(())
    }

    /// Has an activity sent anew that was in an envelope, for the devices of now and under another id: a server
    /// may go on with the former one, and whoever gets both sees their activity once. The former id is kept as
    /// that of something silent: a device that cannot read what came under it makes nothing up.
    pub(crate) fn send_anew(
        &self,
        id: &EnvelopeId,
        anew: &EnvelopeId,
        plaintext: &[u8],
        now_ms: i64,
    ) -> Result<(), DeviceStoreError> {
        self.inner.prepare_cached("DELETE FROM ciphertexts WHERE envelope = ?1")?.execute([id.as_str()])?;
        let sql = "UPDATE envelopes SET id = ?2, state = 1, due = ?3, put = ?3, tries = 0, claimed = 0, reason = NULL, \
                   plaintext = ?4, full_devices = '[]' WHERE id = ?1 AND state <> 1";
        let parameters = params![id.as_str(), anew.as_str(), now_ms, plaintext];
        if self.inner.prepare_cached(sql)?.execute(parameters)? > 0 {
            let sql = "INSERT INTO envelopes (id, message, recipient, state, made, due, put, silent) \
                       SELECT ?1, ?1, recipient, 5, made, due, put, 1 FROM envelopes WHERE id = ?2";
            self.inner.prepare_cached(sql)?.execute([id.as_str(), anew.as_str()])?;
        }
        Ok(())
    }
}
