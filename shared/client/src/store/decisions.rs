//! The user's decisions about people: who is a contact, and whose requests are declined.
//!
//! All devices of the user come to the same decisions, in whatever order they hear of them, and whatever
//! their clocks say: an acceptance stays, and of two declines the one that declines more.

use rusqlite::{OptionalExtension as _, params};

use super::{DeviceStoreError, Transaction};
use crate::content::Decision;

/// The name under which the store keeps the time at which all decisions were last told again.
const REPEATED: &str = "decisions_repeated";
/// The least time between two repetitions of all decisions.
const REPEATED_MS: i64 = 3_600_000;

/// The decisions about one person, as they are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct KeptDecision {
    /// True if the person is a contact.
    pub(crate) is_accepted: bool,
    /// The time at which the server accepted the last request that was declined, in epoch milliseconds.
    pub(crate) declined_ms: Option<i64>,
}

impl Transaction<'_> {
    /// Returns what the user has decided about somebody.
    pub(crate) fn decision(&self, actor: &str) -> Result<KeptDecision, DeviceStoreError> {
        let sql = "SELECT accepted, declined FROM decisions WHERE actor = ?1";
        let kept = self.inner.prepare_cached(sql)?.query_row([actor], |row| {
            Ok(KeptDecision { is_accepted: row.get(0)?, declined_ms: row.get(1)? })
        });
        Ok(kept.optional()?.unwrap_or_default())
    }

    /// True if this user has accepted a user as a contact.
    pub(crate) fn is_contact(&self, actor: &str) -> Result<bool, DeviceStoreError> {
        Ok(self.decision(actor)?.is_accepted)
    }

    /// Returns the actor ids of all contacts.
    pub(crate) fn contacts(&self) -> Result<Vec<String>, DeviceStoreError> {
        let mut statement = self.inner.prepare_cached("SELECT actor FROM decisions WHERE accepted = 1")?;
        let contacts = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>();
        Ok(contacts?)
    }

    /// Records that the user of this device accepts somebody as a contact. Returns false if that is known.
    pub(crate) fn accept(&self, actor: &str) -> Result<bool, DeviceStoreError> {
        let sql = "INSERT INTO decisions (actor, accepted, untold) VALUES (?1, 1, 1) \
                   ON CONFLICT (actor) DO UPDATE SET accepted = 1, untold = 1 WHERE accepted = 0";
        let is_new = self.inner.prepare_cached(sql)?.execute([actor])? > 0;
        if is_new {
            self.note_contact(actor)?;
            self.forget_declined(actor)?;
        }
        Ok(is_new)
    }

    /// Records that the user has accepted somebody on another device, by writing to them.
    pub(crate) fn note_accepted(&self, actor: &str) -> Result<(), DeviceStoreError> {
        let sql = "INSERT INTO decisions (actor, accepted) VALUES (?1, 1) \
                   ON CONFLICT (actor) DO UPDATE SET accepted = 1";
        self.inner.prepare_cached(sql)?.execute([actor])?;
        self.note_contact(actor)
    }

    fn note_contact(&self, actor: &str) -> Result<(), DeviceStoreError> {
        self.inner.execute("UPDATE chains SET contact = 1 WHERE actor = ?1", [actor])?;
        Ok(())
    }

    /// Declines what a stranger wrote, as far as it is kept here. Nothing is declined that is accepted after
    /// `now_ms`, whatever time the server has given to a note.
    pub(crate) fn decline(&self, actor: &str, now_ms: i64) -> Result<(), DeviceStoreError> {
        if self.is_contact(actor)? {
            return Ok(());
        }
        let Some(last_ms) = self.last_requested_ms(actor)? else { return Ok(()) };
        self.put_declined(actor, last_ms.min(now_ms), true)?;
        self.decline_up_to(actor, last_ms)
    }

    fn put_declined(&self, actor: &str, until_ms: i64, is_untold: bool) -> Result<(), DeviceStoreError> {
        let sql = "INSERT INTO decisions (actor, declined, untold) VALUES (?1, ?2, ?3) ON CONFLICT (actor) \
                   DO UPDATE SET declined = max(coalesce(declined, ?2), ?2), untold = max(untold, ?3)";
        self.inner.prepare_cached(sql)?.execute(params![actor, until_ms, is_untold])?;
        Ok(())
    }

    /// Takes over what the user has decided on another device. If the user had accepted somebody there before
    /// that device knew of a decline, the acceptance counts: what was deleted here is asked for. If it knew of
    /// the decline, what was deleted stays deleted, whoever else accepts.
    pub(crate) fn merge_decision(&self, theirs: &Decision, now_ms: i64) -> Result<(), DeviceStoreError> {
        let ours = self.decision(&theirs.actor)?;
        let declined_ms = theirs.declined_ms.map(|until_ms| until_ms.min(now_ms));
        if theirs.is_accepted {
            self.note_accepted(&theirs.actor)?;
            match ours.declined_ms > declined_ms {
                true => self.recall_declined(&theirs.actor)?,
                false => self.forget_declined(&theirs.actor)?,
            }
        }
        let Some(until_ms) = declined_ms.filter(|_| declined_ms > ours.declined_ms) else {
            return Ok(());
        };
        self.put_declined(&theirs.actor, until_ms, false)?;
        match theirs.is_accepted || ours.is_accepted {
            true => Ok(()),
            false => self.decline_up_to(&theirs.actor, until_ms),
        }
    }

    /// Takes decisions of which the other devices are to be told, `most` at most.
    pub(crate) fn take_untold_decisions(&self, most: usize) -> Result<Vec<Decision>, DeviceStoreError> {
        let sql = "UPDATE decisions SET untold = 0 WHERE actor IN \
                   (SELECT actor FROM decisions WHERE untold = 1 ORDER BY actor LIMIT ?1) \
                   RETURNING actor, accepted, declined";
        let mut statement = self.inner.prepare_cached(sql)?;
        let untold = statement.query_map([i64::try_from(most).unwrap_or(i64::MAX)], |row| {
            Ok(Decision { actor: row.get(0)?, is_accepted: row.get(1)?, declined_ms: row.get(2)? })
        })?;
        Ok(untold.collect::<Result<_, _>>()?)
    }

    /// Has the other devices told of all decisions and names again, at most once in [`REPEATED_MS`].
    pub(crate) fn tell_decisions_again(&self, now_ms: i64) -> Result<(), DeviceStoreError> {
        let last_ms = self.moment(REPEATED)?;
        // A time ahead of the clock is none.
        if last_ms.is_some_and(|last_ms| (0..REPEATED_MS).contains(&now_ms.saturating_sub(last_ms))) {
            return Ok(());
        }
        self.put_moment(REPEATED, now_ms)?;
        self.inner.execute("UPDATE decisions SET untold = 1", [])?;
        self.tell_names_again()
    }

    /// Has the other devices told of all contacts.
    pub(crate) fn tell_contacts_again(&self) -> Result<(), DeviceStoreError> {
        self.inner.execute("UPDATE decisions SET untold = 1 WHERE accepted = 1", [])?;
        Ok(())
    }

    /// Forgets declines up to a time, of strangers: nothing that they are about comes any more.
    pub(crate) fn forget_declines(&self, before_ms: i64) -> Result<(), DeviceStoreError> {
        let sql = "DELETE FROM decisions WHERE accepted = 0 AND declined < ?1 RETURNING actor";
        let mut statement = self.inner.prepare_cached(sql)?;
        let gone: Vec<String> =
            statement.query_map([before_ms], |row| row.get(0))?.collect::<Result<_, _>>()?;
        gone.iter().try_for_each(|actor| self.forget_declined(actor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::DeviceStore;

    const EVE: &str = "https://b.example/user/eve";
    const NOW_MS: i64 = 100;

    fn decision(is_accepted: bool, declined_ms: Option<i64>) -> Decision {
        Decision { actor: EVE.to_owned(), is_accepted, declined_ms }
    }

    /// Two devices decide at the same time, and a third one hears of both.
    #[test]
    fn devices_agree_in_whatever_order_they_hear() {
        let all = [decision(true, None), decision(false, Some(7)), decision(false, Some(9))];
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let store = DeviceStore::in_memory().unwrap();
            let kept = store.write(|tx| {
                // Each may come twice.
                for at in order.iter().chain(&order) {
                    tx.merge_decision(&all[*at], NOW_MS)?;
                }
                assert_eq!(tx.take_untold_decisions(9)?, [], "no device repeats what another one has told");
                tx.decision(EVE)
            });
            let kept: Result<_, DeviceStoreError> = kept;
            assert_eq!(kept.unwrap(), KeptDecision { is_accepted: true, declined_ms: Some(9) }, "{order:?}");
        }
    }

    /// A server gives a note a time that is far ahead.
    #[test]
    fn a_decline_reaches_no_further_than_the_time_at_which_it_is_told() {
        let store = DeviceStore::in_memory().unwrap();
        let kept = store.write(|tx| {
            tx.merge_decision(&decision(false, Some(i64::MAX)), NOW_MS)?;
            tx.decision(EVE)
        });
        let kept: Result<_, DeviceStoreError> = kept;
        assert_eq!(kept.unwrap().declined_ms, Some(NOW_MS));
    }

    /// A device that says that it could not read what it was told hears all again, but not over and over.
    #[test]
    fn declines_are_told_again_too_and_at_most_once_an_hour() {
        let store = DeviceStore::in_memory().unwrap();
        let told = store.write(|tx| {
            tx.put_declined(EVE, 7, true)?;
            let mut told = vec![tx.take_untold_decisions(9)?.len()];
            for now_ms in [NOW_MS, NOW_MS + REPEATED_MS - 1, NOW_MS + REPEATED_MS, NOW_MS] {
                tx.tell_decisions_again(now_ms)?;
                told.push(tx.take_untold_decisions(9)?.len());
            }
            Ok::<_, DeviceStoreError>(told)
        });
        assert_eq!(told.unwrap(), [1, 1, 0, 1, 1]);
    }
}
