//! Entries of senders whose chains or devices this device does not know. They are read after all
//! others, and in bounds, so that no server that answers late holds up what somebody else sent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{MutexGuard, PoisonError};

use eko_protocol::activity::ReportKind;
use futures_util::future::{join, join_all};

use super::contact::Contact;
use super::incoming::EntryDisposition;
use super::receive::TakenEntries;
use super::trust::ChainRoute;
use super::{Messenger, MessengerError, Notice, Person, ReceivedBatch, UnreadableReason};
use crate::device::{EntryContent, MailboxEntry};
use crate::shares::{Party, Shares};
use crate::store::{DeviceStoreError, EnvelopeState};
use crate::stored_time::is_over;
use crate::{Environment, SignalSessions, Transport};

/// The number of chains that are read in one look for messages of unknown senders.
pub const READ_FOR_SENDERS: usize = 8;
/// The minutes for which the chain of a sender is not read again that could not be read.
pub const SENDER_PAUSE_MINUTES: i64 = 10;
/// The number of entries of one sender that are put aside in one look, and that of all reports.
pub const ENTRIES_AT_ONCE: usize = 100;
/// The time for which a server is not asked again that could not be asked.
const SERVER_PAUSE_MS: i64 = 60_000;
/// The time for which a failure is remembered. An entry lives 30 days in the mailbox.
const FAILURE_KEPT_MS: i64 = 31 * 24 * 3_600_000;

/// The entries of one look that need the chain of somebody.
pub(super) struct LaterEntries {
    /// The messages of unknown senders or devices.
    senders: Shares<SenderRank, LaterSender>,
    /// The messages of known senders whose chains are read because of a proof, by sender.
    doubted: BTreeMap<Person, Vec<MailboxEntry>>,
    /// The members of this user's groups, once somebody is compared with them.
    members: Option<BTreeSet<String>>,
    /// The messages of known senders who say that they have moved here from an account of somebody whom this
    /// device knows. They are read once this device has followed, or could not.
    behind_moves: Vec<MailboxEntry>,
    /// True if a sender has sent more entries than are put aside at once.
    has_more: bool,
    /// True if no chain of a sender is read any more in this look.
    is_rest: bool,
    /// The reports after which a chain is read again, with the recipients of the envelopes.
    reports: Shares<(), (Person, MailboxEntry)>,
}

/// A sender whose device is not known, with the entries that need the sender's chain.
struct LaterSender {
    person: Person,
    entries: Vec<MailboxEntry>,
}

/// The rank of a sender where not all chains can be read in one look. The first one comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum SenderRank {
    /// A contact with a new device.
    Contact,
    /// A member of a group that this user is in.
    Member,
    /// Anybody else.
    Stranger,
}

/// The times at which chains could not be read, in epoch milliseconds.
#[derive(Debug, Default)]
pub(super) struct FailedReads {
    /// By the user whose chain it is.
    people: BTreeMap<Person, i64>,
    /// By the server's authority. These servers did not answer.
    servers: BTreeMap<String, i64>,
}

impl FailedReads {
    /// True if nobody reads the chain of this user now.
    fn is_paused(&self, person: &Person, now_ms: i64) -> bool {
        let failed = self.people.get(person);
        failed.is_some_and(|at| !is_over(now_ms, *at, SENDER_PAUSE_MINUTES * 60_000))
            || self.is_away(person, now_ms)
    }

    /// True if the server of this user did not answer a short time ago.
    fn is_away(&self, person: &Person, now_ms: i64) -> bool {
        let failed = self.servers.get(person.origin.authority());
        failed.is_some_and(|at| !is_over(now_ms, *at, SERVER_PAUSE_MS))
    }

    /// Records that a chain could not be read. Returns true if that is new.
    fn note(&mut self, person: &Person, now_ms: i64) -> bool {
        self.people.retain(|_, at| !is_over(now_ms, *at, FAILURE_KEPT_MS));
        self.people.insert(person.clone(), now_ms).is_none()
    }

    /// Records that the server of this user did not answer.
    fn note_away(&mut self, person: &Person, now_ms: i64) {
        self.servers.retain(|_, at| !is_over(now_ms, *at, SERVER_PAUSE_MS));
        self.servers.insert(person.origin.authority().to_owned(), now_ms);
    }
}

impl Default for LaterEntries {
    fn default() -> Self {
        Self {
            senders: Shares::new(READ_FOR_SENDERS),
            doubted: BTreeMap::new(),
            behind_moves: Vec::new(),
            members: None,
            has_more: false,
            is_rest: false,
            reports: Shares::new(ENTRIES_AT_ONCE),
        }
    }
}

impl LaterEntries {
    /// Adds a message of an unknown sender. If there are too many senders, one of the last rank makes
    /// room. What is left out stays in the mailbox.
    fn put(&mut self, person: Person, rank: SenderRank, entry: MailboxEntry, environment: &Environment) {
        if let Some(sender) = self.senders.iter_mut().find(|sender| sender.person == person) {
            match sender.entries.len() < ENTRIES_AT_ONCE {
                true => sender.entries.push(entry),
                false => self.has_more = true,
            }
            return;
        }
        let party = Party::of(&person.actor());
        self.senders.put(rank, party, LaterSender { person, entries: vec![entry] }, environment);
    }

    /// True if more has come of a sender than is put aside at once. It can be read once the sender's chain is.
    pub(super) fn has_more(&self) -> bool {
        self.has_more
    }

    /// Returns the entries of a second reading of the mailbox in one look, for which no chain of a sender is read.
    pub(super) fn of_rest() -> Self {
        Self { is_rest: true, ..Self::default() }
    }

    /// Returns the actor ids of those of whom something was put aside.
    pub(super) fn authors(&self) -> Vec<String> {
        let unknown = self.senders.iter().map(|sender| &sender.person);
        let behind_moves = self.behind_moves.iter().filter_map(author_of);
        unknown.chain(self.doubted.keys()).map(Person::actor).chain(behind_moves).collect()
    }
}

/// Returns the actor id of the author of a message.
fn author_of(entry: &MailboxEntry) -> Option<String> {
    match &entry.content {
        EntryContent::Message(message) => Some(message.letter.header.author.clone()),
        _ => None,
    }
}

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Puts an entry aside for which a chain is read. Returns an entry that needs none. An entry whose
    /// chain could not be read a short time ago stays in the mailbox.
    pub(super) fn put_aside(
        &self,
        entry: MailboxEntry,
        later: &mut LaterEntries,
    ) -> Result<Option<MailboxEntry>, DeviceStoreError> {
        let now_ms = self.now_ms();
        match &entry.content {
            EntryContent::Message(message) => {
                let author = Person::of(&message.letter.header.author);
                let Some(author) = author.filter(|author| *author != self.me()) else {
                    return Ok(Some(entry));
                };
                if self.store.read(|tx| self.lists(tx, &author.actor(), &message.letter.header.from))? {
                    // A device that was revoked must not be taken for one that was not.
                    if !self.note_doubt(&author.actor())? {
                        return Ok(None);
                    }
                    if !self.is_doubted(&author) {
                        if !self.is_behind_move(&author.actor())? {
                            return Ok(Some(entry));
                        }
                        match later.behind_moves.len() < ENTRIES_AT_ONCE {
                            true => later.behind_moves.push(entry),
                            false => later.has_more = true,
                        }
                        return Ok(None);
                    }
                    let theirs = later.doubted.entry(author).or_default();
                    match theirs.len() < ENTRIES_AT_ONCE {
                        true => theirs.push(entry),
                        false => later.has_more = true,
                    }
                    return Ok(None);
                }
                if !later.is_rest && !self.failed().is_paused(&author, now_ms) {
                    let rank = self.rank(&author.actor(), later)?;
                    later.put(author, rank, entry, &self.environment);
                }
            }
            EntryContent::Report(report) if report.kind != ReportKind::Confirm => {
                let envelope = self.store.read(|tx| tx.envelope(report.envelope.as_str()))?;
                let envelope = envelope.filter(|envelope| envelope.state == EnvelopeState::Queued);
                let Some(recipient) = envelope.and_then(|envelope| Person::of(&envelope.recipient)) else {
                    return Ok(Some(entry));
                };
                if !self.failed().is_away(&recipient, now_ms) {
                    let party = Party::of(&recipient.actor());
                    later.reports.put((), party, (recipient, entry), &self.environment);
                }
            }
            EntryContent::Report(_) | EntryContent::DeviceOffered(_) | EntryContent::Unreadable(_) => {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    /// True if somebody says to be the successor of an account, and this device has not followed yet. They would
    /// be taken for a stranger.
    fn is_behind_move(&self, actor: &str) -> Result<bool, DeviceStoreError> {
        self.store.read(|tx| tx.has_open_move_to(actor))
    }

    /// Takes the entries of those who have said to be successors, after the moves were looked at.
    pub(super) async fn take_behind_moves(
        &self,
        entries: Vec<MailboxEntry>,
        received: &mut ReceivedBatch,
    ) -> Result<(), MessengerError> {
        let mut taken = TakenEntries::default();
        // Whoever was blocked by the old account is by the new one.
        let blocks = self.store.read(|tx| tx.blocks())?;
        for entry in entries {
            if self.is_of_blocked(&blocks, &entry) {
                taken.dropped.push(entry.address);
                continue;
            }
            self.take_into(&entry, received, &mut taken).await?;
        }
        self.settle_entries(taken, received).await
    }

    /// Returns the rank of a sender. Reads all groups once for all entries of a look.
    fn rank(&self, actor: &str, later: &mut LaterEntries) -> Result<SenderRank, DeviceStoreError> {
        self.store.read(|tx| {
            if tx.is_contact(actor)? {
                return Ok(SenderRank::Contact);
            }
            let members = match later.members.take() {
                Some(members) => members,
                None => self.fellow_members(tx)?,
            };
            let is_member = later.members.insert(members).contains(actor);
            Ok(if is_member { SenderRank::Member } else { SenderRank::Stranger })
        })
    }

    /// Reads the chains of unknown senders and those that lack a proven head at the same time, and takes
    /// the entries of these senders. Then it takes the reports, of which each may read a chain. A server
    /// that does not answer is asked for nothing more. Returns the entries for
    /// [`take_behind_moves`](Self::take_behind_moves).
    pub(super) async fn take_later(
        &self,
        later: LaterEntries,
        received: &mut ReceivedBatch,
    ) -> Result<Vec<MailboxEntry>, MessengerError> {
        let LaterEntries { senders, doubted, reports, mut behind_moves, .. } = later;
        let reads = senders.into_things().map(async |LaterSender { person, entries }| {
            let read = self.read_chain(&person).await;
            (person, entries, read)
        });
        let mut taken = TakenEntries::default();
        let (settled, read) = join(self.settle_proofs(), join_all(reads)).await;
        let mut outcome = settled;
        for (person, entries) in doubted {
            // Another user's chain may have taken the place. These entries stay in the mailbox.
            if self.store.read(|tx| self.unread_doubt(tx, &person.actor()))?.is_none() {
                for entry in entries {
                    self.take_into(&entry, received, &mut taken).await?;
                }
            }
        }
        for (person, entries, read) in read {
            match read {
                Ok(contact) => {
                    self.failed().people.remove(&person);
                    for entry in entries {
                        if self.is_behind_move(&person.actor())? {
                            behind_moves.push(entry);
                            continue;
                        }
                        self.take_into(&entry, received, &mut taken).await?;
                        if let EntryContent::Message(message) = &entry.content
                            && contact.listed(&message.letter.header.from).is_none()
                        {
                            self.failed().note(&person, self.now_ms());
                        }
                    }
                }
                Err(error) if error.holds_up_all() => outcome = Err(error),
                Err(error) => self.note_unread(&person, &error, &entries, received, &mut taken),
            }
        }
        // What came just now may have proven more.
        self.settle_proofs().await?;
        self.retry_after_chains(&mut received.notices)?;
        for (recipient, entry) in reports.into_things() {
            if self.failed().is_away(&recipient, self.now_ms()) {
                continue;
            }
            if self.take_into(&entry, received, &mut taken).await? == EntryDisposition::Leave {
                self.failed().note_away(&recipient, self.now_ms());
            }
        }
        self.settle_entries(taken, received).await?;
        outcome.map(|()| behind_moves)
    }

    /// Reads a chain that others have led to. That of a stranger is read through the own server, so
    /// that the stranger's learns nothing.
    pub(super) async fn read_chain(&self, person: &Person) -> Result<Contact, MessengerError> {
        let route = match self.store.read(|tx| self.is_stranger(tx, &person.actor()))? {
            true => ChainRoute::ThroughHome,
            false => ChainRoute::Direct,
        };
        self.look_again_by(person, route).await
    }

    /// Notes that a sender's chain could not be read. The entries stay in the mailbox if it may be read
    /// later. The user is told once.
    fn note_unread(
        &self,
        person: &Person,
        error: &MessengerError,
        entries: &[MailboxEntry],
        received: &mut ReceivedBatch,
        taken: &mut TakenEntries,
    ) {
        let (actor, is_away) = (person.actor(), error.retry_after_s().is_some());
        let is_new = self.failed().note(person, self.now_ms());
        if is_away {
            self.failed().note_away(person, self.now_ms());
        }
        let notice = match error {
            MessengerError::Distrust { actor, why } => {
                Notice::Refused { actor: actor.clone(), why: why.clone() }
            }
            _ if is_away => Notice::Waits { actor, why: error.to_string() },
            error => {
                taken.dropped.extend(entries.iter().map(|entry| entry.address.clone()));
                Notice::Unreadable { actor, why: UnreadableReason::Failed(error.to_string()) }
            }
        };
        if is_new {
            received.notices.push(notice);
        }
    }

    fn failed(&self) -> MutexGuard<'_, FailedReads> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
