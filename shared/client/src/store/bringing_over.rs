//! The takeover of what a former account's store has got since it was copied.
//!
//! A move copies the old store before the new keys are made ([`super::carrying`]), and the old device goes on
//! reading and sending until the `Move` is signed. So the rest is brought over after it. Until the contacts
//! are told this is all that the copy has, as it is by then. Later it is what has arrived, since an old
//! account still gets what was on its way.
//!
//! A device that replaces another one of the same account does the same. Once it has lived on, it
//! brings over what has arrived only: its own decisions and settings are the newer ones.

use std::collections::BTreeSet;

use rusqlite::params;

use super::carrying::{EVIDENCE, UNSENT};
use super::messages::MessageStream;
use super::{DeviceStore, DeviceStoreError, FormerDevice, KeptBlock, Transaction};
use crate::content::NumberRange;

/// The columns of a message but for its row and the number by which it is new.
const MESSAGE: &str = "id, actor, device, conversation, outgoing, sequence, published, received, stored, text, \
                       attachments, warning, shown, request, position";
/// The messages that the former store has and this one lacks; `?1` is true with those of strangers. What the
/// former device has not sent was said anew under the same id by this user, `?2`.
const LATE: &str = "SELECT row FROM former.messages AS late WHERE NOT EXISTS \
                    (SELECT 1 FROM main.messages AS kept WHERE kept.actor = late.actor AND kept.id = late.id) \
                    AND NOT EXISTS (SELECT 1 FROM main.messages AS said \
                    WHERE late.outgoing = 1 AND said.actor = ?2 AND said.id = late.id) \
                    AND (request = 0 OR ?1) ORDER BY position IS NULL, position, row";
/// Messages that had no place when they were copied, or were not shown or accepted yet.
const CHANGED: &str = "UPDATE main.messages AS kept SET position = coalesce(kept.position, late.position), \
                       placed = coalesce(kept.placed, late.placed), \
                       shown = iif(late.shown = 1, 1, kept.shown), request = min(kept.request, late.request) \
                       FROM former.messages AS late WHERE late.actor = kept.actor AND late.id = kept.id \
                       AND ((kept.position IS NULL AND late.position IS NOT NULL) \
                       OR (kept.shown <> 1 AND late.shown = 1) OR kept.request > late.request)";
/// The messages that are awaited. `?1` is the last place of the former store.
const AWAITED: [&str; 2] = [
    "DELETE FROM main.awaited WHERE position <= ?1 AND NOT EXISTS (SELECT 1 FROM former.awaited AS still \
     WHERE still.actor = awaited.actor AND still.device = awaited.device AND still.envelope = awaited.envelope)",
    "INSERT OR IGNORE INTO main.awaited SELECT * FROM former.awaited WHERE position <= ?1",
];
/// The numbers that were followed.
const FOLLOWED: &str = "INSERT INTO main.followed SELECT * FROM former.followed WHERE true \
     ON CONFLICT (conversation, device) DO UPDATE SET last = max(last, excluded.last)";
/// The gap before a message that was brought over, unless something of it has come here.
const GAP: &str = "INSERT OR IGNORE INTO main.gaps (conversation, device, actor, first, last, position, told) \
                   SELECT conversation, device, actor, first, last, position, 1 FROM former.gaps AS lacking \
                   WHERE position = ?1 AND NOT EXISTS (SELECT 1 FROM main.messages AS here \
                   WHERE here.conversation = lacking.conversation AND here.device = lacking.device \
                   AND here.sequence BETWEEN lacking.first AND lacking.last)";
/// The chains, decisions and notices of people but this user; `?1` is the former account, `?2` that of this
/// store. A chain that goes on from the one here takes its place, with what was decided about it, unless something speaks against it.
const PEOPLE: [&str; 3] = [
    "INSERT INTO main.chains SELECT * FROM former.chains WHERE actor NOT IN (?1, ?2) ON CONFLICT (actor) DO UPDATE SET \
     nodes = excluded.nodes, length = excluded.length, head = excluded.head, accepted = excluded.accepted, \
     uncompared = excluded.uncompared, verified = coalesce(excluded.verified, verified), \
     compared_with = coalesce(excluded.compared_with, compared_with), \
     alarm = excluded.alarm, alarm_at = excluded.alarm_at, contact = max(contact, excluded.contact), \
     looked = excluded.looked, told = excluded.told, proven = excluded.proven, confirmed = excluded.confirmed \
     WHERE chains.alarm IS NULL AND chains.proven = '{}' AND (excluded.head = chains.head \
     OR (excluded.length > chains.length AND instr(CAST(excluded.nodes AS TEXT), chains.head) > 0))",
    "INSERT INTO main.decisions (actor, accepted, declined, untold) \
     SELECT actor, accepted, declined, 1 FROM former.decisions WHERE actor NOT IN (?1, ?2) ON CONFLICT (actor) DO UPDATE SET \
     accepted = max(accepted, excluded.accepted), \
     declined = max(coalesce(declined, excluded.declined), coalesce(excluded.declined, declined)), untold = 1",
    "INSERT OR IGNORE INTO main.notices (actor, kind, about, number, head, settled) \
     SELECT actor, kind, about, number, head, settled FROM former.notices WHERE actor NOT IN (?1, ?2) AND told = 0",
];
/// The choices of the user, and the marks up to which messages were read.
const SETTINGS: &str = "INSERT OR REPLACE INTO main.account SELECT * FROM former.account \
     WHERE name IN ('hides_reading', 'hides_typing') OR name LIKE 'read_up_to %' OR name LIKE 'seen_up_to %'; \
     INSERT OR IGNORE INTO main.account SELECT * FROM former.account WHERE name LIKE 'profile/%'";

/// The messages of a device in a conversation, of which some were brought over.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct LateStream {
    conversation: String,
    device: String,
    actor: String,
}

impl LateStream {
    fn of(&self) -> MessageStream<'_> {
        MessageStream { conversation: &self.conversation, device: &self.device, actor: &self.actor }
    }
}

/// A message that was brought over.
struct LateMessage {
    stream: LateStream,
    id: String,
    sequence: Option<u64>,
    position: Option<i64>,
}

impl DeviceStore {
    /// Brings over what the store of the account that this user has left, or of a former device, has got since it
    /// was copied into this one. Groups stay behind. Returns the number of messages. A repetition changes
    /// nothing, unless more has arrived there.
    ///
    /// # Errors
    /// Those of [`DeviceStore::carry_over`].
    pub fn bring_over(&self, former: FormerDevice<'_>) -> Result<u64, DeviceStoreError> {
        self.with_former(former, |tx, me| tx.bring_over(me, former.is_reset))
    }

    /// Brings over the messages that a former device of this account has got since it was taken
    /// over, and has sent those of them that it has not. All of it is taken over if nothing was
    /// before. Returns the number of messages.
    ///
    /// # Errors
    /// Those of [`DeviceStore::carry_over`].
    pub fn bring_messages_over(&self, former: FormerDevice<'_>) -> Result<u64, DeviceStoreError> {
        self.with_former(former, |tx, me| {
            if let Some(brought) = tx.carry_over_late(me, former.is_reset)? {
                return Ok(brought);
            }
            let brought = tx.bring_messages(me, true)?;
            let mut unsent = tx.unsent_of_former(me)?;
            unsent.retain(|unsent| brought.contains(&unsent.id));
            tx.add_unsent(unsent)?;
            tx.leave_places()?;
            Ok(number_of(&brought))
        })
    }
}

fn number_of(brought: &[String]) -> u64 {
    u64::try_from(brought.len()).unwrap_or(u64::MAX)
}

impl Transaction<'_> {
    /// Takes over a store of which nothing was taken over before, and returns the number of its
    /// messages that were not here.
    fn carry_over_late(&self, me: &str, is_reset: bool) -> Result<Option<u64>, DeviceStoreError> {
        if self.has_taken_over(me)? {
            return Ok(None);
        }
        let before = self.carried()?.messages;
        Ok(Some(self.carry_over(me, is_reset)?.messages.saturating_sub(before)))
    }

    fn bring_over(&self, me: &str, is_reset: bool) -> Result<u64, DeviceStoreError> {
        // A former device of this account is replaced by a reset, and nothing tells the contacts of it before.
        let awaits_move = self.awaited_move()?.is_some();
        let is_same = self.own_actor()?.as_deref() == Some(me);
        if is_same && let Some(brought) = self.carry_over_late(me, is_reset)? {
            return Ok(brought);
        }
        let is_open = awaits_move || is_same;
        let brought = self.bring_messages(me, is_open)?;
        self.leave_places()?;
        if is_open {
            // Of its own chain this device believes what it has verified alone.
            let own = self.own_actor()?.unwrap_or_default();
            for sql in PEOPLE {
                self.inner.execute(sql, [me, &own])?;
            }
            self.inner.execute_batch(SETTINGS)?;
            self.carry_beside(me, is_reset)?;
            self.merge_moves_of_former()?;
            self.merge_blocks_of_former()?;
            let unsent = self.unsent_of_former(me)?;
            self.put_json(UNSENT, &unsent)?;
        }
        if awaits_move {
            self.bring_untold_controls(me)?;
        }
        Ok(number_of(&brought))
    }

    /// Brings over messages in their places, and returns their ids. They are new here: a program
    /// that follows this store shows them.
    pub(super) fn bring_messages(
        &self,
        former: &str,
        with_requests: bool,
    ) -> Result<Vec<String>, DeviceStoreError> {
        self.inner.execute(CHANGED, [])?;
        let late: Vec<i64> = {
            let mut statement = self.inner.prepare(LATE)?;
            let me = self.own_actor()?;
            statement.query_map(params![with_requests, me], |row| row.get(0))?.collect::<Result<_, _>>()?
        };
        let sql = format!(
            "INSERT INTO main.messages ({MESSAGE}, placed) SELECT {MESSAGE}, iif(position IS NULL, NULL, ?2) \
             FROM former.messages WHERE row = ?1 RETURNING conversation, device, actor, sequence, position, id"
        );
        let (mut places, mut streams, mut ids) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        for row in &late {
            let placed = self.take_position()?;
            let late = self.inner.query_row(&sql, params![row, placed], |row| {
                let stream =
                    LateStream { conversation: row.get(0)?, device: row.get(1)?, actor: row.get(2)? };
                Ok(LateMessage { stream, sequence: row.get(3)?, position: row.get(4)?, id: row.get(5)? })
            })?;
            if let Some(number) = late.sequence {
                self.fill_gaps(late.stream.of(), NumberRange::of(number))?;
            }
            places.extend(late.position);
            ids.push(late.id);
            streams.insert(late.stream);
        }
        let last = self.last_place_of_former()?;
        for sql in AWAITED {
            self.inner.execute(sql, [last])?;
        }
        let [evidence, _] = EVIDENCE;
        self.inner.execute(evidence, [former])?;
        self.inner.execute_batch(FOLLOWED)?;
        for place in places {
            self.inner.execute(GAP, [place])?;
        }
        for stream in &streams {
            self.move_gaps(stream.of())?;
        }
        Ok(ids)
    }

    /// Takes over the blocks that the former store has changed since. The server of the new account is to be
    /// told.
    fn merge_blocks_of_former(&self) -> Result<(), DeviceStoreError> {
        let Some(theirs) = self.blocks_of_former()? else { return Ok(()) };
        let mut blocks = self.blocks()?;
        for (party, change) in theirs.all() {
            let is_same = |kept: KeptBlock| (kept.at_ms, kept.is_undone) == (change.at_ms, change.is_undone);
            if !blocks.of(&party).is_some_and(is_same) {
                blocks.note(&party, KeptBlock { is_untold: true, ..change });
            }
        }
        self.keep_blocks(&blocks)
    }
}
