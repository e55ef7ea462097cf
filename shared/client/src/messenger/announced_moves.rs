//! Announcements of moves by the accounts that are left, and the confirmations of those who have followed.
//!
//! A server that lets only known people write to its user knows the old account, and takes the new one for a
//! stranger's: it may drop all that one sends, also the news of the move. So the old account announces the move
//! before the server stores its last node. A reader reads the chain until it shows the `Move`, has the own server
//! know the new account, and confirms that to it. The new account sends again then what may have been dropped.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::incoming::ActivitySource;
use super::standing::Standing;
use super::successors::FOLLOWED_AT_ONCE;
use super::{Messenger, MessengerError, Person};
use crate::content::{Activity, ActivityContent, ActivityId, MoveEvidence, Receipt};
use crate::store::{DeviceStoreError, EnvelopeState, Transaction};
use crate::stored_time::{is_over, lasts};
use crate::{SignalSessions, Transport};

/// The name under which the store keeps who has told of moves: by both actor ids, with a space between them.
pub(super) const TELLERS: &str = "move_tellers";
/// The name under which the store keeps the announcement of the own move.
pub(super) const ANNOUNCED: &str = "announced_move";
/// The name under which the store keeps the contacts who were told of the own move, and were not seen to follow.
pub(super) const AWAITED: &str = "awaited_followers";
/// The time after which a move to the same account is announced again: readers may have given up.
const ANNOUNCED_AGAIN_MS: i64 = 3_600_000;
/// The number of times that the chain of an account is read whose move was announced.
pub const ANNOUNCED_READS: usize = 20;
/// The pause after the first of these times. It doubles with each one.
const FIRST_PAUSE_MS: i64 = 15_000;
/// The longest pause between two of them.
const LONGEST_PAUSE_MS: i64 = 3_600_000;

/// The activity that has told this device of a move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MoveTeller {
    /// The actor id of the account that is left.
    from: String,
    /// The actor id of the new account.
    to: String,
    /// The id of the activity.
    activity: ActivityId,
    /// The readings of the chain that are left, if the account itself has announced the move.
    reads_left: usize,
    /// The time from which on the chain may be read again, in epoch milliseconds.
    due_ms: i64,
}

impl MoveTeller {
    /// Returns the name of the move among others.
    fn name(&self) -> String {
        format!("{} {}", self.from, self.to)
    }

    /// True if this device has followed the move.
    fn is_followed(&self, tx: &Transaction<'_>) -> Result<bool, DeviceStoreError> {
        Ok(tx.successors_of(&self.from)?.contains(&self.to))
    }
}

/// The announcement of the own move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AnnouncedMove {
    /// The actor id of the new account.
    to: String,
    /// The time, in epoch milliseconds.
    at_ms: i64,
    /// The ids of the activities, one for each contact.
    activities: Vec<String>,
}

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Puts among what is to be sent the announcement that this user moves to `new`, for each contact but those
    /// who are blocked. [`Messenger::depart`] comes after it: an account that was left sends nothing. A
    /// repetition within the hour puts nothing.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn announce_move(&self, new: &Person) -> Result<(), MessengerError> {
        self.require_joined().await?;
        self.store.write(|tx| {
            let (to, now_ms) = (new.actor(), self.now_ms());
            let before = tx.json::<AnnouncedMove>(ANNOUNCED)?;
            let is_repeated = |before: &AnnouncedMove| {
                before.to == to && !is_over(now_ms, before.at_ms, ANNOUNCED_AGAIN_MS)
            };
            if before.as_ref().is_some_and(is_repeated) {
                return Ok(());
            }
            let mut activities = Vec::new();
            for actor in tx.contacts()? {
                let Some(person) = Person::of(&actor) else { continue };
                let is_own = person == self.me() || person == *new;
                // Whoever has moved is told at the new account, which is a contact as well.
                if is_own || tx.moved_to(&actor)?.is_some() || tx.is_blocked(&actor)? {
                    continue;
                }
                let activity = self.evidence(tx, &actor, None, ActivityContent::Leave(to.clone()))?;
                self.enclose(tx, &activity, &[person], false)?;
                activities.push(activity.id.to_string());
            }
            Ok(tx.put_json(ANNOUNCED, &AnnouncedMove { to, at_ms: now_ms, activities })?)
        })
    }

    /// True if announcements of the own move wait to be sent.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn is_announcing(&self) -> Result<bool, DeviceStoreError> {
        self.store.read(|tx| {
            let announced = tx.json::<AnnouncedMove>(ANNOUNCED)?;
            for id in announced.iter().flat_map(|announced| &announced.activities) {
                if tx.envelopes_of(id)?.iter().any(|envelope| envelope.state == EnvelopeState::ToSend) {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }

    /// Takes the announcement of somebody whom this user knows that they move. It proves nothing: their chain is
    /// read.
    pub(super) fn keep_leave(
        &self,
        tx: &Transaction<'_>,
        activity: &Activity,
        target: &str,
        whence: &ActivitySource<'_>,
    ) -> Result<(), DeviceStoreError> {
        if whence.standing == Standing::Own || !self.counts(tx, whence)? {
            return Ok(());
        }
        if tx.kept_move(whence.actor)?.is_some_and(|kept| kept.is_followed) {
            return Ok(());
        }
        let mut tellers = move_tellers(tx)?;
        // An account leads to one other.
        tellers.retain(|_, teller| teller.from != whence.actor || teller.reads_left == 0);
        let (from, to, activity) = (whence.actor.to_owned(), target.to_owned(), activity.id.clone());
        let teller = MoveTeller { from, to, activity, reads_left: ANNOUNCED_READS, due_ms: 0 };
        tellers.insert(teller.name(), teller);
        tx.put_json(TELLERS, &tellers)
    }

    /// Remembers the activity by which a new account has told of a move, so that this device can confirm that it
    /// has followed.
    pub(super) fn note_teller(
        &self,
        tx: &Transaction<'_>,
        activity: &Activity,
        evidence: &MoveEvidence,
        whence: &ActivitySource<'_>,
    ) -> Result<(), DeviceStoreError> {
        let (from, to) = (evidence.old_actor().to_owned(), evidence.new_actor().to_owned());
        if to != whence.actor || !tx.has_open_move_to(&to)? {
            return Ok(());
        }
        let mut tellers = move_tellers(tx)?;
        let teller = MoveTeller { from, to, activity: activity.id.clone(), reads_left: 0, due_ms: 0 };
        tellers.entry(teller.name()).or_insert(teller);
        tx.put_json(TELLERS, &tellers)
    }

    /// Reads the chains of those who have announced that they move, eight in a look, and follows those who have.
    /// A chain that shows no `Move` yet is read again later. What the new account has sent itself is looked at by
    /// [`settle_moves`](Self::settle_moves).
    pub(super) async fn follow_announced(&self) -> Result<(), MessengerError> {
        let now_ms = self.now_ms();
        let due = self.store.write(|tx| {
            let (mut tellers, mut due) = (move_tellers(tx)?, Vec::new());
            let open = tx.open_moves()?;
            for teller in tellers.values_mut() {
                let pauses = lasts(now_ms, teller.due_ms, LONGEST_PAUSE_MS);
                let is_due = teller.reads_left > 0 && !pauses && !open.contains(&teller.from);
                if !is_due || teller.is_followed(tx)? || due.len() >= FOLLOWED_AT_ONCE {
                    continue;
                }
                let pause_ms = FIRST_PAUSE_MS << ANNOUNCED_READS.saturating_sub(teller.reads_left).min(8);
                teller.reads_left -= 1;
                teller.due_ms = now_ms.saturating_add(pause_ms.min(LONGEST_PAUSE_MS));
                due.extend(Person::of(&teller.from));
            }
            match due.is_empty() {
                true => Ok(due),
                false => tx.put_json(TELLERS, &tellers).map(|()| due),
            }
        })?;
        for person in due {
            let followed = match Box::pin(self.look_again(&person)).await {
                Ok(left) if left.target().is_some() => Box::pin(self.follow(&left)).await.map(drop),
                read => read.map(drop),
            };
            if let Err(error) = followed
                && error.holds_up_all()
            {
                return Err(error);
            }
        }
        Ok(())
    }

    /// True if this device has to confirm to somebody that it has followed.
    pub(super) fn owes_confirmations(&self) -> Result<bool, DeviceStoreError> {
        self.store.read(|tx| {
            for teller in move_tellers(tx)?.values() {
                if teller.is_followed(tx)? {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }

    /// Puts the confirmations for those whom this device has followed: a receipt for the activity that has told of
    /// the move. It comes after the receipts for their messages, so that they send nothing again that is here.
    /// Forgets what has come to nothing.
    pub(super) fn confirm_moves(&self) -> Result<(), MessengerError> {
        self.store.write(|tx| {
            let tellers = move_tellers(tx)?;
            let mut kept = BTreeMap::new();
            for (name, teller) in &tellers {
                if !teller.is_followed(tx)? {
                    if teller.reads_left > 0 || tx.has_open_move_to(&teller.to)? {
                        kept.insert(name.clone(), teller.clone());
                    }
                    continue;
                }
                let now = tx.moved_to(&teller.from)?.and_then(|actor| Person::of(&actor));
                let Some(person) = now.filter(|person| *person != self.me()) else { continue };
                let actor = person.actor();
                if self.is_stranger(tx, &actor)? || tx.is_blocked(&actor)? {
                    continue;
                }
                if self.side_room(tx, &actor)? == 0 {
                    kept.insert(name.clone(), teller.clone());
                    continue;
                }
                let receipt = Receipt { received: vec![teller.activity.clone()], ..Receipt::default() };
                let activity = self.evidence(tx, &actor, None, ActivityContent::Receipt(receipt))?;
                self.enclose(tx, &activity, &[person], false)?;
            }
            if kept == tellers { Ok(()) } else { Ok(tx.put_json(TELLERS, &kept)?) }
        })
    }

    /// Notes that a contact writes to the new account of this user, which their server knows therefore, and sends
    /// again, once, what they have not confirmed: it may have been dropped as a stranger's.
    pub(super) fn note_follower(
        &self,
        tx: &Transaction<'_>,
        whence: &ActivitySource<'_>,
    ) -> Result<(), DeviceStoreError> {
        let mut awaited = awaited_followers(tx)?;
        if whence.standing != Standing::Accepted || !awaited.remove(whence.actor) {
            return Ok(());
        }
        for (id, plaintext) in tx.unconfirmed_to(whence.actor)? {
            let content = Activity::from_plaintext(&plaintext).map(|activity| activity.content);
            if matches!(
                content,
                Ok(ActivityContent::Note(_)
                    | ActivityContent::Control(_)
                    | ActivityContent::Announce(_)
                    | ActivityContent::Join(_))
            ) {
                self.send_anew(tx, &id, &plaintext)?;
            }
        }
        tx.put_json(AWAITED, &awaited)
    }
}

/// Returns who has told of moves, by the names of the moves.
fn move_tellers(tx: &Transaction<'_>) -> Result<BTreeMap<String, MoveTeller>, DeviceStoreError> {
    Ok(tx.json(TELLERS)?.unwrap_or_default())
}

/// Returns the contacts who were told of the own move, and were not seen to follow.
pub(super) fn awaited_followers(tx: &Transaction<'_>) -> Result<BTreeSet<String>, DeviceStoreError> {
    Ok(tx.json(AWAITED)?.unwrap_or_default())
}
