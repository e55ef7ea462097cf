//! The envelopes that this device sends, with their ciphertexts.

use std::collections::BTreeSet;

use eko_protocol::id::EnvelopeId;
use rusqlite::{OptionalExtension as _, Row, params};

use super::{DeviceStoreError, KeptNotice, Transaction};
use crate::stored_time::TOLERANCE_MS;

/// An envelope of this device: the part of an activity that goes to one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxEnvelope {
    /// The envelope's id, which stays the same however often it is sent.
    pub id: EnvelopeId,
    /// The id of the activity that it carries.
    pub message: String,
    /// The actor id of the recipient. A copy for this user's own devices has this user's.
    pub recipient: String,
    /// The state.
    pub state: EnvelopeState,
    /// The reason for which it waits or has failed, in words.
    pub reason: Option<String>,
    /// The addresses of the recipient's devices that do not get it, because they have not fetched
    /// for so long that their mailboxes are full.
    pub full_devices: BTreeSet<String>,
    /// The number of attempts that failed.
    pub tries: u32,
    /// The time of the next attempt, in epoch milliseconds.
    pub due_ms: i64,
    /// True if a process sends it now.
    pub is_claimed: bool,
    /// True if it wakes nobody and its author hears nothing of it, as a receipt.
    pub silent: bool,
    /// True if the recipient's program has said that a person has read it.
    pub seen: bool,
    /// The time from which it is of no more use, in epoch milliseconds.
    pub expires_ms: Option<i64>,
    /// The address of the only device that it is for, if it is sent again.
    pub resent_to: Option<String>,
    /// The number of devices that it was encrypted for, as long as that is kept.
    pub devices: usize,
    /// The number of those that have sent a receipt for it.
    pub received_by: usize,
}

/// The messages of this user that wait for another attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitingMessages {
    /// The number of messages.
    pub count: usize,
    /// The time at which all of them are due, in epoch milliseconds.
    pub due_ms: i64,
}

/// An envelope that is about to be added.
pub(crate) struct NewEnvelope<'a> {
    /// The envelope's id.
    pub(crate) id: &'a EnvelopeId,
    /// The id of the activity that it carries.
    pub(crate) message: &'a str,
    /// The actor id of the recipient.
    pub(crate) recipient: &'a str,
    /// The padded activity.
    pub(crate) plaintext: &'a [u8],
    /// True if it wakes nobody and its author hears nothing of it.
    pub(crate) silent: bool,
    /// The time from which it is of no more use, in epoch milliseconds.
    pub(crate) expires_ms: Option<i64>,
}

/// An attempt of a process at an envelope.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SendingAttempt<'a> {
    /// The envelope's id.
    pub(crate) id: &'a EnvelopeId,
    /// The number of the process.
    pub(crate) sender: i64,
    /// The time, in epoch milliseconds.
    pub(crate) now_ms: i64,
}

/// The state of an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnvelopeState {
    /// The envelope is still to be sent.
    ToSend,
    /// The own server is trying to reach the recipient's server. A report in the mailbox brings the
    /// outcome.
    Queued,
    /// Every device of the recipient has its ciphertext, or will have it: the servers say so.
    Accepted,
    /// A device of the recipient has sent a receipt for it.
    Delivered,
    /// The envelope cannot be sent.
    Failed,
    /// The envelope was not sent, because a server shows devices of the recipient that are not to
    /// be trusted. Once the user has decided about them, it is to be sent again.
    Refused,
}

/// One ciphertext of an envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EnvelopeCiphertext {
    pub(crate) device: String,
    pub(crate) content: Vec<u8>,
    pub(crate) accepted: bool,
}

pub(super) const COLUMNS: &str = "SELECT id, message, recipient, state, reason, tries, due, full_devices, silent, seen, expires, \
     resent_to, (SELECT count(*) FROM ciphertexts WHERE envelope = envelopes.id), \
     (SELECT coalesce(sum(received), 0) FROM ciphertexts WHERE envelope = envelopes.id), \
     state = 1 AND claimed <> 0 FROM envelopes";
/// The name under which the store keeps the ids of envelopes that wait only because the own server was out of
/// reach.
const UNREACHED: &str = "unreached";
/// The envelopes that are due at the time `?1`: the rule of [`crate::stored_time`] for `due`, with its
/// tolerance.
const DUE: &str = "state = 1 AND (due <= ?1 OR put > ?1 + 60000)";
/// The order of envelopes at the time `?1`. What a clock that was ahead has made is older. What somebody
/// else has asked for comes last.
const OLDEST_FIRST: &str = "ORDER BY resent_to IS NOT NULL, made > ?1 + 60000 DESC, made, id LIMIT 1000";
/// The greatest number of envelopes to one device that are being sent again at a time.
pub const MOST_RESENT: i64 = 20;
/// The time for which a device that was sent an activity again has not missed it.
pub const RESEND_TIME_MS: i64 = 60 * 60_000;
/// The time after which an envelope looks again whether another process has sent what is before it.
const BEHIND_MS: i64 = 500;
/// The reason of an envelope that its recipient cannot decrypt, and that is not sent again by itself.
pub(crate) const NOT_READ: &str = "they could not decrypt it";
/// The reason of an envelope whose content was lost before it was sent.
pub(super) const CONTENT_LOST: &str = "the store was damaged, and the content is lost";
/// The envelopes that are to be sent and have no content. Of one that was refused, version 10 of this library has
/// kept the message alone.
const WITHOUT_CONTENT: &str = "state = 1 AND plaintext IS NULL";

impl Transaction<'_> {
    /// Adds an envelope that is to be sent. It is made later than those to the same recipient that wait or
    /// are held back, if only by a millisecond, also if a clock that was ahead has made those. Only what
    /// wakes nobody, which overtakes nothing, goes by the clock of now then.
    pub(crate) fn add_envelope(&self, new: &NewEnvelope<'_>, now_ms: i64) -> Result<(), DeviceStoreError> {
        let sql = "INSERT INTO envelopes (id, message, recipient, plaintext, state, made, due, put, silent, expires) \
                   VALUES (?1, ?2, ?3, ?4, 1, max(?5, 1 + coalesce((SELECT max(made) FROM envelopes WHERE state = 1 \
                   AND recipient = ?3 AND made BETWEEN ?5 AND ?8), 0), 1 + coalesce((SELECT max(made) \
                   FROM envelopes WHERE state > 4 AND state = 6 AND recipient = ?3 \
                   AND made BETWEEN ?5 AND ?8), 0)), ?5, ?5, ?6, ?7)";
        let mut statement = self.inner.prepare_cached(sql)?;
        let NewEnvelope { id, message, recipient, plaintext, silent, expires_ms } = new;
        let latest_ms = if *silent { now_ms.saturating_add(TOLERANCE_MS) } else { i64::MAX - 1 };
        let id = id.as_str();
        statement
            .execute(params![id, message, recipient, plaintext, now_ms, silent, expires_ms, latest_ms])?;
        Ok(())
    }

    /// Deletes the records of silent envelopes that were made before a time. Until then a recipient
    /// may say that one of them cannot be read.
    pub(crate) fn forget_silent(&self, before_ms: i64) -> Result<(), DeviceStoreError> {
        let sql = "DELETE FROM envelopes WHERE silent <> 0 AND state > 2 AND made < ?1";
        self.inner.prepare_cached(sql)?.execute([before_ms])?;
        Ok(())
    }

    /// Marks a silent envelope as one that asks for what could not be read. Its content is kept, so that it can
    /// be sent again.
    pub(crate) fn mark_request(&self, id: &EnvelopeId) -> Result<(), DeviceStoreError> {
        self.inner.execute("UPDATE envelopes SET silent = 2 WHERE id = ?1", [id.as_str()])?;
        Ok(())
    }

    /// True if an envelope asks for what could not be read.
    pub(crate) fn is_request(&self, id: &EnvelopeId) -> Result<bool, DeviceStoreError> {
        let sql = "SELECT 1 FROM envelopes WHERE id = ?1 AND silent = 2";
        Ok(self.inner.prepare_cached(sql)?.exists([id.as_str()])?)
    }

    /// Adds an envelope that says again to one device of its recipient what another one has said to it. It is
    /// made later than those to the same device that wait. What was sent again is not sent a third time.
    /// Returns false if that was done before, if the first one was not encrypted for this device, if its
    /// content is not kept, or if [`MOST_RESENT`] to the device are on their way.
    pub(crate) fn add_resend(
        &self,
        of: &EnvelopeId,
        id: &EnvelopeId,
        device: &str,
        now_ms: i64,
    ) -> Result<bool, DeviceStoreError> {
        let sql = "INSERT OR IGNORE INTO envelopes (id, message, recipient, plaintext, state, made, due, put, silent, \
                   resent_to) SELECT ?2, message, recipient, plaintext, 1, \
                   max(?4, 1 + coalesce((SELECT max(made) FROM envelopes WHERE state = 1 AND resent_to = ?3 \
                   AND made BETWEEN ?4 AND ?4 + 60000), 0)), ?4, ?4, max(silent, 1), ?3 FROM envelopes \
                   WHERE id = ?1 AND silent <> 1 AND resent_to IS NULL AND plaintext IS NOT NULL \
                   AND EXISTS (SELECT 1 FROM ciphertexts WHERE envelope = ?1 AND device = ?3) \
                   AND (SELECT count(*) FROM envelopes AS open WHERE open.recipient = envelopes.recipient \
                   AND open.resent_to = ?3 AND open.state < 3) < ?5";
        let parameters = params![of.as_str(), id.as_str(), device, now_ms, MOST_RESENT];
        Ok(self.inner.execute(sql, parameters)? > 0)
    }

    /// True if an activity is being sent again to a recipient, or was so less than [`RESEND_TIME_MS`] ago.
    pub(crate) fn is_resent(
        &self,
        message: &str,
        recipient: &str,
        now_ms: i64,
    ) -> Result<bool, DeviceStoreError> {
        // The rule of `crate::stored_time` for the time of the last attempt.
        let sql = "SELECT 1 FROM envelopes WHERE message = ?1 AND recipient = ?2 AND resent_to IS NOT NULL \
                   AND (state < 3 OR (state = 3 AND put > ?3 - ?4 AND put <= ?3 + 60000))";
        Ok(self.inner.prepare_cached(sql)?.exists(params![message, recipient, now_ms, RESEND_TIME_MS])?)
    }

    /// Tells the user that a message was not read, if this envelope said it again to a device that has sent
    /// no receipt for it since.
    fn note_not_resent(&self, id: &str) -> Result<(), DeviceStoreError> {
        let sql = "SELECT message, recipient FROM envelopes AS again WHERE id = ?1 AND resent_to IS NOT NULL \
                   AND silent = 1 AND NOT EXISTS (SELECT 1 FROM ciphertexts JOIN envelopes AS first ON first.id = envelope \
                   WHERE first.message = again.message AND first.recipient = again.recipient \
                   AND device = again.resent_to AND ciphertexts.received = 1)";
        let mut statement = self.inner.prepare_cached(sql)?;
        let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let lost: Option<(String, String)> = statement.query_row([id], read).optional()?;
        if let Some((message, recipient)) = lost {
            self.note_missing(&message, &recipient, NOT_READ)?;
            self.keep_notice(&recipient, &KeptNotice::NotRead(message))?;
        }
        Ok(())
    }

    /// Deletes the contents of envelopes that were made and tried last before a time, and that have an
    /// outcome. They are not sent again. What was refused waits for the user's decision, however long that
    /// takes.
    pub(crate) fn forget_contents(&self, before_ms: i64, now_ms: i64) -> Result<(), DeviceStoreError> {
        let old = "made < ?1 AND (put < ?1 OR put > ?2 + 60000) AND state > 2 AND state <> 6 AND plaintext IS NOT NULL";
        let sql = format!("DELETE FROM ciphertexts WHERE envelope IN (SELECT id FROM envelopes WHERE {old})");
        self.inner.prepare_cached(&sql)?.execute([before_ms, now_ms])?;
        let sql = format!("UPDATE envelopes SET plaintext = NULL WHERE {old}");
        self.inner.prepare_cached(&sql)?.execute([before_ms, now_ms])?;
        Ok(())
    }

    /// True if an envelope cannot be sent because its content is lost.
    pub(super) fn lacks_contents(&self) -> Result<bool, DeviceStoreError> {
        let sql = format!("SELECT 1 FROM envelopes WHERE {WITHOUT_CONTENT}");
        Ok(self.inner.prepare(&sql)?.exists([])?)
    }

    /// Gives up the envelopes that cannot be sent because their contents are lost. Returns true if there are any.
    pub(super) fn give_up_without_contents(&self) -> Result<bool, DeviceStoreError> {
        let sql = format!("UPDATE envelopes SET state = 5, reason = ?1 WHERE {WITHOUT_CONTENT}");
        Ok(self.inner.execute(&sql, [CONTENT_LOST])? > 0)
    }

    /// Returns the number of envelopes to a recipient that were made in the last `span_ms`.
    pub(crate) fn made_within(
        &self,
        recipient: &str,
        now_ms: i64,
        span_ms: i64,
    ) -> Result<usize, DeviceStoreError> {
        let sql = "SELECT count(*) FROM envelopes WHERE recipient = ?1 AND made > ?2 AND made <= ?3";
        let parameters = params![recipient, now_ms.saturating_sub(span_ms), now_ms];
        let count: i64 = self.inner.prepare_cached(sql)?.query_row(parameters, |row| row.get(0))?;
        Ok(usize::try_from(count).unwrap_or(usize::MAX))
    }

    /// Records that a device of a recipient has an activity.
    pub(crate) fn note_received_by(
        &self,
        message: &str,
        recipient: &str,
        device: &str,
    ) -> Result<(), DeviceStoreError> {
        let sql = "UPDATE ciphertexts SET received = 1 WHERE device = ?3 AND envelope IN \
                   (SELECT id FROM envelopes WHERE message = ?1 AND recipient = ?2 AND resent_to IS NULL)";
        self.inner.prepare_cached(sql)?.execute([message, recipient, device])?;
        Ok(())
    }

    /// Records that a recipient has an activity. Returns the envelope if it counts as delivered from
    /// now on. One that is still to be sent to other devices does so when that is done.
    pub(crate) fn note_received(
        &self,
        message: &str,
        recipient: &str,
    ) -> Result<Option<OutboxEnvelope>, DeviceStoreError> {
        let sql = "UPDATE envelopes SET received = 1, reason = CASE WHEN state IN (3, 5) THEN NULL ELSE reason END, \
                   state = CASE WHEN state IN (3, 5) THEN 4 ELSE state END \
                   WHERE message = ?1 AND recipient = ?2 AND received = 0 AND resent_to IS NULL RETURNING id";
        let mut statement = self.inner.prepare_cached(sql)?;
        let id: Option<String> = statement.query_row([message, recipient], |row| row.get(0)).optional()?;
        // A later message of the conversation was read before: what says so may come first.
        let sql = "UPDATE envelopes SET seen = 1 WHERE message = ?1 AND recipient = ?2 AND state = 4 AND EXISTS \
                   (SELECT 1 FROM envelopes AS seen JOIN messages AS read ON read.id = seen.message \
                   JOIN messages AS earlier ON earlier.id = ?1 \
                   WHERE seen.recipient = ?2 AND seen.seen = 1 AND read.outgoing = 1 AND earlier.outgoing = 1 \
                   AND earlier.device = read.device AND earlier.conversation = read.conversation \
                   AND earlier.sequence < read.sequence)";
        self.inner.prepare_cached(sql)?.execute([message, recipient])?;
        let envelope = id.map(|id| self.envelope(&id)).transpose()?.flatten();
        Ok(envelope.filter(|envelope| envelope.state == EnvelopeState::Delivered))
    }

    /// Records that a recipient has read a note of this device or another activity, and with a note those
    /// that the device numbered before it in the conversation, as far as they were delivered. Returns
    /// the number of those of which it was not known. It is 0 for example if another device of the recipient
    /// has said so.
    pub(crate) fn note_seen(&self, message: &str, recipient: &str) -> Result<usize, DeviceStoreError> {
        let sql = "UPDATE envelopes SET seen = 1 WHERE recipient = ?2 AND seen = 0 AND (message = ?1 OR (state = 4 AND message IN \
                   (SELECT earlier.id FROM messages AS earlier JOIN messages AS read ON read.id = ?1 \
                   AND read.outgoing = 1 AND earlier.outgoing = 1 AND earlier.device = read.device \
                   AND earlier.conversation = read.conversation AND earlier.sequence < read.sequence)))";
        Ok(self.inner.prepare_cached(sql)?.execute([message, recipient])?)
    }

    /// Records that a recipient says that an activity has not come.
    pub(crate) fn note_missing(
        &self,
        message: &str,
        recipient: &str,
        reason: &str,
    ) -> Result<bool, DeviceStoreError> {
        let sql = "UPDATE envelopes SET reason = ?3 WHERE message = ?1 AND recipient = ?2 AND state = 3 \
                   AND resent_to IS NULL";
        Ok(self.inner.prepare_cached(sql)?.execute([message, recipient, reason])? > 0)
    }

    /// Returns an envelope by its id.
    pub(crate) fn envelope(&self, id: &str) -> Result<Option<OutboxEnvelope>, DeviceStoreError> {
        let mut statement = self.inner.prepare_cached(&format!("{COLUMNS} WHERE id = ?1"))?;
        statement.query_row([id], |row| Ok(read(row))).optional()?.transpose()
    }

    /// Returns the envelopes of an activity, by recipient. What is sent again is left out.
    pub(crate) fn envelopes_of(&self, message: &str) -> Result<Vec<OutboxEnvelope>, DeviceStoreError> {
        let sql = format!("{COLUMNS} WHERE message = ?1 AND resent_to IS NULL ORDER BY recipient");
        let mut statement = self.inner.prepare_cached(&sql)?;
        statement.query_map([message], |row| Ok(read(row)))?.map(|row| row?).collect()
    }

    /// Returns the envelopes that are due, oldest first.
    pub(crate) fn due_envelopes(&self, now_ms: i64) -> Result<Vec<OutboxEnvelope>, DeviceStoreError> {
        let mut statement = self.inner.prepare_cached(&format!("{COLUMNS} WHERE {DUE} {OLDEST_FIRST}"))?;
        statement.query_map([now_ms], |row| Ok(read(row)))?.map(|row| row?).collect()
    }

    /// Returns the time at which the next envelope is due.
    pub(crate) fn next_due_ms(&self, now_ms: i64) -> Result<Option<i64>, DeviceStoreError> {
        let sql = "SELECT min(iif(put > ?1 + 60000, min(due, ?1), due)) FROM envelopes WHERE state = 1";
        Ok(self.inner.prepare_cached(sql)?.query_row([now_ms], |row| row.get(0))?)
    }

    /// Makes envelopes due that wait, if a later one to the same recipient is due: it shall not overtake
    /// them, and the pauses between their attempts begin anew. What is sent again is in nobody's way. What a
    /// process sends now stays claimed.
    pub(crate) fn hasten(&self, now_ms: i64) -> Result<(), DeviceStoreError> {
        let sql = "UPDATE envelopes AS older SET due = ?1, tries = 0 WHERE state = 1 AND due > ?1 AND claimed = 0 \
                   AND resent_to IS NULL AND EXISTS (SELECT 1 FROM envelopes AS later \
                   WHERE later.state = 1 AND later.due <= ?1 AND later.resent_to IS NULL \
                   AND later.recipient = older.recipient AND later.made >= older.made)";
        self.inner.prepare_cached(sql)?.execute([now_ms])?;
        Ok(())
    }

    /// Returns the envelopes that are due, and older than those of an activity to the same recipients,
    /// oldest first. What is sent again is left out: it has its place.
    pub(crate) fn envelopes_before(
        &self,
        message: &str,
        now_ms: i64,
    ) -> Result<Vec<OutboxEnvelope>, DeviceStoreError> {
        let sql = format!(
            "{COLUMNS} WHERE {DUE} AND message <> ?2 AND resent_to IS NULL AND EXISTS (SELECT 1 FROM envelopes AS of \
             WHERE of.message = ?2 AND of.resent_to IS NULL AND of.recipient = envelopes.recipient \
             AND (envelopes.made, envelopes.id) < (of.made, of.id)) {OLDEST_FIRST}"
        );
        let mut statement = self.inner.prepare_cached(&sql)?;
        statement.query_map(params![now_ms, message], |row| Ok(read(row)))?.map(|row| row?).collect()
    }

    /// Puts an envelope off until an older one to the same recipient is due, if one was put off after a
    /// failed attempt. Returns false if there is none. What wakes nobody is in nobody's way.
    pub(crate) fn queue_up(&self, id: &EnvelopeId, now_ms: i64) -> Result<bool, DeviceStoreError> {
        let sql = "UPDATE envelopes AS later SET due = older.due, put = ?1, reason = older.reason FROM \
                   (SELECT recipient, made, due, reason FROM envelopes WHERE state = 1 AND claimed = 0 \
                   AND silent = 0 AND tries > 0 AND due > ?1 AND put <= ?1 + 60000) AS older \
                   WHERE later.id = ?2 AND later.silent = 0 AND later.state = 1 AND later.due <= ?1 \
                   AND older.recipient = later.recipient AND older.made < later.made";
        Ok(self.inner.prepare_cached(sql)?.execute(params![now_ms, id.as_str()])? > 0)
    }

    /// Puts an envelope off for a moment, if another process sends an older one to the same recipient now.
    /// Returns false if none does. What wakes nobody is in nobody's way.
    pub(crate) fn wait_behind(&self, attempt: SendingAttempt<'_>) -> Result<bool, DeviceStoreError> {
        let SendingAttempt { id, sender, now_ms } = attempt;
        let sql = format!(
            "UPDATE envelopes AS later SET due = ?1 + {BEHIND_MS}, put = ?1, reason = NULL WHERE id = ?2 AND silent = 0 \
             AND resent_to IS NULL AND {DUE} AND EXISTS (SELECT 1 FROM envelopes AS older WHERE older.state = 1 \
             AND older.claimed NOT IN (0, ?3) AND older.silent = 0 AND older.due > ?1 AND older.put <= ?1 + 60000 \
             AND older.recipient = later.recipient AND older.made < later.made)"
        );
        Ok(self.inner.prepare_cached(&sql)?.execute(params![now_ms, id.as_str(), sender])? > 0)
    }

    /// True if an older envelope to the same recipient is due, was put off after a failed attempt, or is sent
    /// by another process now. What wakes nobody is in nobody's way.
    pub(crate) fn is_behind_unsent(&self, attempt: SendingAttempt<'_>) -> Result<bool, DeviceStoreError> {
        let SendingAttempt { id, sender, now_ms } = attempt;
        let sql = format!(
            "SELECT 1 FROM envelopes AS later JOIN (SELECT recipient, made FROM envelopes WHERE silent = 0 \
             AND resent_to IS NULL AND (({DUE}) OR (state = 1 AND iif(claimed = 0, tries > 0, claimed <> ?3)))) AS older \
             ON older.recipient = later.recipient AND older.made < later.made \
             WHERE later.id = ?2 AND later.silent = 0"
        );
        Ok(self.inner.prepare_cached(&sql)?.exists(params![now_ms, id.as_str(), sender])?)
    }

    /// Makes envelopes due that were put off behind this one, whose outcome is known.
    fn let_follow(&self, id: &str) -> Result<(), DeviceStoreError> {
        // Nothing else is put off by so little.
        let sql = "UPDATE envelopes SET due = put WHERE state = 1 AND claimed = 0 AND due = put + ?2 \
                   AND recipient = (SELECT recipient FROM envelopes WHERE id = ?1)";
        self.inner.prepare_cached(sql)?.execute(params![id, BEHIND_MS])?;
        Ok(())
    }

    /// Claims an envelope until `until_ms` for the process that tries it, so that no other one sends it
    /// meanwhile. Returns false if it is claimed already or not to be sent.
    pub(crate) fn claim_envelope(
        &self,
        attempt: SendingAttempt<'_>,
        until_ms: i64,
    ) -> Result<bool, DeviceStoreError> {
        let SendingAttempt { id, sender, now_ms } = attempt;
        let sql = format!("UPDATE envelopes SET due = ?3, put = ?1, claimed = ?4 WHERE id = ?2 AND {DUE}");
        Ok(self.inner.prepare_cached(&sql)?.execute(params![now_ms, id.as_str(), until_ms, sender])? == 1)
    }

    /// Returns the numbers of the processes that have claimed envelopes.
    pub(super) fn claimants(&self) -> Result<Vec<i64>, DeviceStoreError> {
        let sql = "SELECT DISTINCT claimed FROM envelopes WHERE state = 1 AND claimed <> 0";
        let mut statement = self.inner.prepare_cached(sql)?;
        Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
    }

    /// Frees what a process has claimed that has ended. It is due again.
    pub(super) fn release_claims_of(&self, sender: i64) -> Result<(), DeviceStoreError> {
        let sql = "UPDATE envelopes SET claimed = 0, due = min(due, put) WHERE state = 1 AND claimed = ?1";
        self.inner.prepare_cached(sql)?.execute([sender])?;
        Ok(())
    }

    /// Frees an envelope whose sending this process has given up. It is due again.
    pub(crate) fn release_claim(&self, id: &EnvelopeId, sender: i64) -> Result<(), DeviceStoreError> {
        let sql = "UPDATE envelopes SET claimed = 0, due = min(due, put) WHERE id = ?1 AND state = 1 AND claimed = ?2";
        self.inner.prepare_cached(sql)?.execute(params![id.as_str(), sender])?;
        Ok(())
    }

    /// Makes an envelope due that waits, unless a process sends it now.
    pub(crate) fn make_due(&self, id: &EnvelopeId, now_ms: i64) -> Result<(), DeviceStoreError> {
        let sql = "UPDATE envelopes SET due = ?2 WHERE id = ?1 AND state = 1 AND claimed = 0";
        self.inner.execute(sql, params![id.as_str(), now_ms])?;
        Ok(())
    }

    /// Puts an envelope off after a failed attempt. Returns false if the claim of the attempt is over, so that
    /// another process has the envelope, or it has an outcome.
    pub(crate) fn postpone(
        &self,
        attempt: SendingAttempt<'_>,
        due_ms: i64,
        reason: &str,
    ) -> Result<bool, DeviceStoreError> {
        let SendingAttempt { id, sender, now_ms } = attempt;
        let sql = "UPDATE envelopes SET put = ?2, due = ?3, reason = ?4, tries = tries + 1, claimed = 0 \
                   WHERE id = ?1 AND state = 1 AND claimed = ?5";
        Ok(self.inner.execute(sql, params![id.as_str(), now_ms, due_ms, reason, sender])? > 0)
    }

    /// Notes whether an envelope that was put off waits only because the own server was out of reach.
    pub(crate) fn note_unreached(&self, id: &EnvelopeId, is_own: bool) -> Result<(), DeviceStoreError> {
        let mut unreached = self.unreached()?;
        let is_changed = match is_own {
            true => unreached.insert(id.to_string()),
            false => unreached.remove(id.as_str()),
        };
        if is_changed { self.put_json(UNREACHED, &unreached) } else { Ok(()) }
    }

    fn unreached(&self) -> Result<BTreeSet<String>, DeviceStoreError> {
        Ok(self.json(UNREACHED)?.unwrap_or_default())
    }

    /// True if an envelope may wait only because the own server was out of reach.
    pub(crate) fn has_unreached(&self) -> Result<bool, DeviceStoreError> {
        Ok(!self.unreached()?.is_empty())
    }

    /// Makes envelopes due that wait only because the own server was out of reach, and those that were put off
    /// behind them. The pauses between their attempts begin anew.
    pub(crate) fn hasten_unreached(&self, now_ms: i64) -> Result<(), DeviceStoreError> {
        let sql = "UPDATE envelopes AS later SET due = ?1, tries = 0 FROM \
                   (SELECT recipient, due FROM envelopes WHERE id = ?2 AND state = 1 AND claimed = 0) AS unreached \
                   WHERE later.state = 1 AND later.claimed = 0 AND later.due > ?1 \
                   AND later.recipient = unreached.recipient AND later.due = unreached.due";
        let mut statement = self.inner.prepare_cached(sql)?;
        for id in self.unreached()? {
            statement.execute(params![now_ms, id])?;
        }
        self.put_json(UNREACHED, &BTreeSet::<String>::new())
    }

    /// Returns the messages of a user to other people that wait for another attempt, or `None` if none do.
    pub(crate) fn waiting_messages(
        &self,
        me: &str,
        now_ms: i64,
    ) -> Result<Option<WaitingMessages>, DeviceStoreError> {
        let sql = "SELECT count(DISTINCT envelopes.message), max(envelopes.due) FROM envelopes JOIN messages \
                   ON messages.actor = ?1 AND messages.id = envelopes.message WHERE envelopes.state = 1 \
                   AND envelopes.claimed = 0 AND envelopes.recipient <> ?1 AND envelopes.due > ?2";
        let (count, due_ms) = self.inner.prepare_cached(sql)?.query_row(params![me, now_ms], |row| {
            Ok((row.get::<_, usize>(0)?, row.get::<_, Option<i64>>(1)?))
        })?;
        Ok(due_ms.map(|due_ms| WaitingMessages { count, due_ms }))
    }

    /// Returns the messages of `me` that the own server has queued, each with a recipient.
    pub(crate) fn queued_messages(&self, me: &str) -> Result<Vec<(String, String)>, DeviceStoreError> {
        let sql = "SELECT envelopes.message, envelopes.recipient FROM envelopes JOIN messages \
                   ON messages.actor = ?1 AND messages.id = envelopes.message \
                   WHERE envelopes.state = 2 AND envelopes.recipient <> ?1 ORDER BY made, envelopes.id";
        let mut statement = self.inner.prepare_cached(sql)?;
        let rows = statement.query_map([me], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Has an envelope sent again that the own server had queued.
    pub(crate) fn reopen(&self, id: &EnvelopeId, now_ms: i64) -> Result<bool, DeviceStoreError> {
        let sql =
            "UPDATE envelopes SET state = 1, due = ?2, put = ?2, claimed = 0 WHERE id = ?1 AND state = 2";
        Ok(self.inner.execute(sql, params![id.as_str(), now_ms])? == 1)
    }

    /// Records the outcome of an attempt at an envelope, as [`Transaction::settle`] does. A failure counts only
    /// while the process has its claim: another one that has claimed the envelope since may have sent it. What
    /// the own server has queued takes nothing back either. Returns false if the outcome does not count.
    pub(crate) fn settle_attempt(
        &self,
        id: &EnvelopeId,
        sender: i64,
        state: EnvelopeState,
        reason: Option<&str>,
    ) -> Result<bool, DeviceStoreError> {
        let counts = match state {
            EnvelopeState::Accepted | EnvelopeState::Delivered => "?2 IS NOT NULL",
            EnvelopeState::Queued => "?2 IS NOT NULL AND state NOT IN (3, 4)",
            EnvelopeState::ToSend | EnvelopeState::Failed | EnvelopeState::Refused => {
                "state = 1 AND claimed = ?2"
            }
        };
        let sql = format!("SELECT 1 FROM envelopes WHERE id = ?1 AND {counts}");
        let counts = self.inner.prepare_cached(&sql)?.exists(params![id.as_str(), sender])?;
        if counts {
            self.settle(id, state, reason)?;
        }
        Ok(counts)
    }

    /// Records the outcome of an envelope. A final one deletes its ciphertexts. The plaintext stays if the
    /// envelope may be sent again, and the devices that have it are remembered. An envelope for which there
    /// is a receipt already is delivered once it is accepted, or has failed:
    /// what a server says afterwards takes nothing back.
    pub(crate) fn settle(
        &self,
        id: &EnvelopeId,
        state: EnvelopeState,
        reason: Option<&str>,
    ) -> Result<(), DeviceStoreError> {
        let id = id.as_str();
        let sql = "UPDATE envelopes SET \
                   reason = CASE WHEN ?2 IN (3, 5) AND received = 1 THEN NULL ELSE ?3 END, \
                   state = CASE WHEN ?2 IN (3, 5) AND received = 1 THEN 4 ELSE ?2 END WHERE id = ?1";
        self.inner.prepare_cached(sql)?.execute(params![id, number(state), reason])?;
        self.let_follow(id)?;
        match state {
            EnvelopeState::ToSend | EnvelopeState::Queued => return Ok(()),
            EnvelopeState::Accepted | EnvelopeState::Delivered => {
                let sql = "UPDATE ciphertexts SET content = x'' WHERE envelope = ?1";
                self.inner.prepare_cached(sql)?.execute([id])?;
            }
            EnvelopeState::Failed | EnvelopeState::Refused => {}
        }
        let is_lost = matches!(state, EnvelopeState::Failed | EnvelopeState::Refused);
        if is_lost {
            self.note_not_resent(id)?;
        }
        // What was refused is sent once the user has decided about the recipient's devices.
        let sql =
            "UPDATE envelopes SET plaintext = NULL WHERE id = ?1 AND (silent = 1 OR silent = 2 AND ?2 OR ?3)";
        let is_over = state == EnvelopeState::Failed;
        if self.inner.prepare_cached(sql)?.execute(params![id, is_lost, is_over])? > 0 {
            self.inner.prepare_cached("DELETE FROM ciphertexts WHERE envelope = ?1")?.execute([id])?;
        }
        Ok(())
    }

    /// Records that devices do not get an envelope, because their mailboxes are full, beside those
    /// that were recorded before. Deletes their ciphertexts. A device that has accepted the
    /// envelope, or for which it has no ciphertext, is left out. Returns how many were recorded.
    pub(crate) fn note_full(&self, id: &EnvelopeId, devices: &[String]) -> Result<usize, DeviceStoreError> {
        let open = self.ciphertexts(id)?.into_iter().filter(|sent| !sent.accepted);
        let new: Vec<String> =
            open.map(|sent| sent.device).filter(|device| devices.contains(device)).collect();
        for device in &new {
            self.drop_ciphertext(id, device)?;
        }
        let all: BTreeSet<String> = self.full_devices(id)?.into_iter().chain(new.iter().cloned()).collect();
        let sql = "UPDATE envelopes SET full_devices = ?2 WHERE id = ?1";
        self.inner.execute(sql, params![id.as_str(), serde_json::json!(all).to_string()])?;
        Ok(new.len())
    }

    /// Returns the devices that do not get an envelope, because their mailboxes are full.
    pub(crate) fn full_devices(&self, id: &EnvelopeId) -> Result<BTreeSet<String>, DeviceStoreError> {
        let envelope = self.envelope(id.as_str())?;
        Ok(envelope.map(|envelope| envelope.full_devices).unwrap_or_default())
    }

    /// Replaces the plaintext of an envelope that was not encrypted yet.
    pub(crate) fn put_plaintext(&self, id: &EnvelopeId, plaintext: &[u8]) -> Result<(), DeviceStoreError> {
        let sql = "UPDATE envelopes SET plaintext = ?2 WHERE id = ?1";
        self.inner.prepare_cached(sql)?.execute(params![id.as_str(), plaintext])?;
        Ok(())
    }

    /// Returns the plaintext of an envelope, until its outcome is known.
    pub(crate) fn plaintext(&self, id: &EnvelopeId) -> Result<Option<Vec<u8>>, DeviceStoreError> {
        let mut statement = self.inner.prepare_cached("SELECT plaintext FROM envelopes WHERE id = ?1")?;
        Ok(statement.query_row([id.as_str()], |row| row.get(0)).optional()?.flatten())
    }

    /// Returns the ciphertexts of an envelope, by device.
    pub(crate) fn ciphertexts(&self, id: &EnvelopeId) -> Result<Vec<EnvelopeCiphertext>, DeviceStoreError> {
        let sql = "SELECT device, content, accepted FROM ciphertexts WHERE envelope = ?1 ORDER BY device";
        let mut statement = self.inner.prepare_cached(sql)?;
        let rows = statement.query_map([id.as_str()], |row| {
            Ok(EnvelopeCiphertext { device: row.get(0)?, content: row.get(1)?, accepted: row.get(2)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Keeps a ciphertext. However often the envelope is sent, this ciphertext stays the same.
    pub(crate) fn keep_ciphertext(
        &self,
        id: &EnvelopeId,
        device: &str,
        content: &[u8],
    ) -> Result<(), DeviceStoreError> {
        let sql = "INSERT INTO ciphertexts (envelope, device, content) VALUES (?1, ?2, ?3)";
        self.inner.prepare_cached(sql)?.execute(params![id.as_str(), device, content])?;
        Ok(())
    }

    /// Deletes the ciphertext for a device that is not the recipient's any more.
    pub(crate) fn drop_ciphertext(&self, id: &EnvelopeId, device: &str) -> Result<(), DeviceStoreError> {
        let sql = "DELETE FROM ciphertexts WHERE envelope = ?1 AND device = ?2";
        self.inner.execute(sql, params![id.as_str(), device])?;
        Ok(())
    }

    /// Records that the recipient's server has all ciphertexts but those for these devices.
    pub(crate) fn accept_ciphertexts(&self, id: &EnvelopeId, but: &[String]) -> Result<(), DeviceStoreError> {
        let sql = "UPDATE ciphertexts SET accepted = 1 WHERE envelope = ?1 AND device = ?2";
        let mut statement = self.inner.prepare_cached(sql)?;
        for sent in self.ciphertexts(id)? {
            if !but.contains(&sent.device) {
                statement.execute(params![id.as_str(), sent.device])?;
            }
        }
        Ok(())
    }
}

pub(super) fn read(row: &Row<'_>) -> Result<OutboxEnvelope, DeviceStoreError> {
    let id: String = row.get(0)?;
    Ok(OutboxEnvelope {
        id: EnvelopeId::parse(&id).map_err(|_| DeviceStoreError::Corrupt("envelope"))?,
        message: row.get(1)?,
        recipient: row.get(2)?,
        state: state(row.get(3)?)?,
        reason: row.get(4)?,
        tries: row.get(5)?,
        due_ms: row.get(6)?,
        silent: row.get(8)?,
        seen: row.get(9)?,
        expires_ms: row.get(10)?,
        resent_to: row.get(11)?,
        devices: row.get(12)?,
        received_by: row.get(13)?,
        is_claimed: row.get(14)?,
        full_devices: serde_json::from_str(&row.get::<_, String>(7)?)
            .map_err(|_| DeviceStoreError::Corrupt("full devices"))?,
    })
}

fn number(state: EnvelopeState) -> i64 {
    match state {
        EnvelopeState::ToSend => 1,
        EnvelopeState::Queued => 2,
        EnvelopeState::Accepted => 3,
        EnvelopeState::Delivered => 4,
        EnvelopeState::Failed => 5,
        EnvelopeState::Refused => 6,
    }
}

fn state(number: i64) -> Result<EnvelopeState, DeviceStoreError> {
    match number {
        1 => Ok(EnvelopeState::ToSend),
        2 => Ok(EnvelopeState::Queued),
        3 => Ok(EnvelopeState::Accepted),
        4 => Ok(EnvelopeState::Delivered),
        5 => Ok(EnvelopeState::Failed),
        6 => Ok(EnvelopeState::Refused),
        _ => Err(DeviceStoreError::Corrupt("state")),
    }
}
