//! The records of this user's groups at the server: a new device takes its groups from them, and any
//! device completes what another one could not send.
//!
//! A record is stored after each change, by the device that has made it; after a change of somebody
//! else, by the first of the user's devices. Once a day each device reads all records, and stores what
//! is missing. So neither a device that was lost nor one that was away leaves anything undone.

use std::collections::{BTreeMap, BTreeSet};

use eko_protocol::Invalid;
use eko_protocol::group_state::SealedGroupState;
use eko_protocol::id::GroupStateId;
use eko_protocol::limits::MAX_SAFE_INTEGER;
use futures_util::stream::{self, StreamExt as _};

use super::controls::event;
use super::incoming::ActivitySource;
use super::standing::Standing;
use super::{GroupEvent, Messenger, MessengerError, Notice, Person};
use crate::content::{Activity, ActivityContent};
use crate::device::GroupStateAnswer;
use crate::group::{GroupControl, KnownGroup, OwnDeparture};
use crate::sealed::{self, GroupRecord, OpenError, SealedPlace, StateKey, StateKeys};
use crate::store::{
    DeviceStoreError, EnvelopeState, OutboxEnvelope, SavedRecord, StoredInvitation, Transaction,
};
use crate::stored_time::{TOLERANCE_MS, age_ms, is_over};
use crate::{SignalSessions, Transport};

/// The name under which the store keeps the time of the last reading of all records.
pub(super) const READ: &str = "states_read";
/// The time after which all records are read again.
const READ_AGAIN_MS: i64 = 24 * 3_600_000;
/// The time after which a record is tried again that could not be stored.
const PAUSE_MS: i64 = 600_000;
/// The time after which a record is tried again that the server refused: it has no room, or does not
/// keep any.
const REFUSED_PAUSE_MS: i64 = 24 * 3_600_000;
/// The time after which another device tells the members whom the one that made a change has not
/// reached.
pub const COMPLETED_AFTER_MS: i64 = 3_600_000;
/// The days for which members are told who cannot be reached, since a device has first read that they are to
/// be told. Whoever writes in the group later is told then.
pub const TOLD_FOR_DAYS: i64 = 30;
/// The number of records that are stored at the same time.
const AT_ONCE: usize = 8;
/// The most times that a record meets a newer one of another device.
const ROUNDS: usize = 4;

/// The groups whose records are stored.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope<'a> {
    /// Those that this device has changed, or all if it is the user's first.
    Own,
    /// Those, and this one.
    And(&'a str),
    /// All.
    All,
}

/// The result of comparing a record of the server with what this device knows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meeting {
    /// Nothing is to be stored.
    Settled,
    /// The state that this device knows takes the place of the record.
    OursIsNewer,
}

/// A record that is about to be sealed.
struct RecordDraft {
    record: GroupRecord,
    saved: SavedRecord,
}

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Passes on the keys of records, reads the records if that is due, and stores what the server
    /// lacks. What fails is tried again later: it holds up nothing else.
    ///
    /// # Errors
    /// The store cannot be used, or this device may not take part.
    pub(super) async fn keep_records(&self, notices: &mut Vec<Notice>) -> Result<(), MessengerError> {
        self.give_state_keys().await?;
        let scope = match self.read_records(notices).await {
            Ok(true) => Scope::All,
            Ok(false) => Scope::Own,
            Err(error) => return passing(error),
        };
        if scope == Scope::All {
            // A record says who is still not told.
            self.flush().await?;
        }
        Box::pin(self.delete_strays()).await.or_else(passing)?;
        self.store_records(scope, notices).await.or_else(passing)
    }

    /// Gives the keys of records to devices that lack them.
    ///
    /// # Errors
    /// The store cannot be used, or this device may not take part.
    pub(super) async fn give_state_keys(&self) -> Result<(), MessengerError> {
        match self.store.write(|tx| self.pass_on_state_keys(tx))? {
            Some(id) => self.send_envelopes(&id).await.map(drop).or_else(passing),
            None => Ok(()),
        }
    }

    /// Stores the records of the groups that this device has just changed.
    ///
    /// # Errors
    /// The store cannot be used, or this device may not take part.
    pub(super) async fn keep_own_records(&self, notices: &mut Vec<Notice>) -> Result<(), MessengerError> {
        self.store_records(Scope::Own, notices).await.or_else(passing)
    }

    /// Stores the record of a group that this user has just joined.
    ///
    /// # Errors
    /// The store cannot be used, or this device may not take part.
    pub(super) async fn keep_joined_record(
        &self,
        group: &str,
        notices: &mut Vec<Notice>,
    ) -> Result<(), MessengerError> {
        self.store_records(Scope::And(group), notices).await.or_else(passing)
    }

    /// Has all records read at the next look.
    pub(super) fn read_records_again(&self, tx: &Transaction<'_>) -> Result<(), DeviceStoreError> {
        tx.put_moment(READ, i64::MIN)
    }

    /// Reads all records, if that is due, and takes what this device does not know. Returns true if it
    /// has read them.
    async fn read_records(&self, notices: &mut Vec<Notice>) -> Result<bool, MessengerError> {
        let due = self.store.read(|tx| {
            let is_due = tx.moment(READ)?.is_none_or(|at| is_over(self.now_ms(), at, READ_AGAIN_MS));
            Ok::<_, DeviceStoreError>(is_due && (!tx.state_keys()?.is_empty() || !tx.groups()?.is_empty()))
        })?;
        if !due {
            return Ok(false);
        }
        let mut found: BTreeMap<GroupStateId, u64> = BTreeMap::new();
        let mut open: BTreeSet<GroupStateId> = BTreeSet::new();
        let mut unopened: BTreeMap<GroupStateId, u64> = BTreeMap::new();
        let mut page = self.signed_in(async || self.device.group_states().await).await?;
        loop {
            self.store.write(|tx| {
                let keys = self.current_state_keys(tx)?;
                for (id, sealed) in &page.states {
                    found.insert(id.clone(), sealed.epoch);
                    match self.open_record(&keys, id, sealed) {
                        Ok(record) => {
                            open.insert(id.clone());
                            let group = record.known.current.id().to_string();
                            if self.meet(tx, record, sealed.epoch, notices)? == Meeting::OursIsNewer {
                                tx.mark_unstored(&group, 0)?;
                            }
                        }
                        Err(OpenError::UnknownKey | OpenError::Forged) => {
                            unopened.insert(id.clone(), sealed.epoch);
                        }
                        // A device with a current key has written it.
                        Err(OpenError::Malformed(_)) => {}
                    }
                }
                Ok::<_, MessengerError>(())
            })?;
            let Some(next) = page.next else { break };
            page = self.signed_in(async || self.device.group_states_after(&next).await).await?;
        }
        let me = self.device.actor();
        self.store.write(|tx| {
            for known in &tx.groups()? {
                let (group, id) = (known.current.id().as_str(), sealed::key_of(&known.current, &me));
                // What counts for nobody is replaced, and deleted if the user is not in the group.
                if !open.contains(&id) && (is_in(known, &me) || found.contains_key(&id)) {
                    let epoch = found.get(&id).copied().unwrap_or_default();
                    tx.keep_saved_record(group, &SavedRecord { epoch, ..tx.saved_record(group)? })?;
                    tx.mark_unstored(group, 0)?;
                }
            }
            self.keep_strays(tx, unopened)?;
            Ok::<_, MessengerError>(tx.put_moment(READ, self.now_ms())?)
        })?;
        Ok(true)
    }

    /// Opens a state of the server.
    ///
    /// # Errors
    /// [`OpenError`] if this device cannot read it, or if it is of another group than its address says.
    fn open_record(
        &self,
        keys: &StateKeys,
        id: &GroupStateId,
        state: &SealedGroupState,
    ) -> Result<GroupRecord, OpenError> {
        let address = self.device.origin().group_state(self.device.user(), id);
        let place = SealedPlace { address: &address, epoch: state.epoch };
        let record = sealed::open(&state.content, place, keys)?;
        match sealed::key_of(&record.known.current, &self.device.actor()) == *id {
            true => Ok(record),
            false => Err(Invalid::at("/known", "is another group than the address says").into()),
        }
    }

    /// Compares a record with what this device knows, and takes it if it is newer.
    fn meet(
        &self,
        tx: &Transaction<'_>,
        record: GroupRecord,
        epoch: u64,
        notices: &mut Vec<Notice>,
    ) -> Result<Meeting, MessengerError> {
        let (me, theirs) = (self.device.actor(), record.known.current.hash());
        let id = record.known.current.id().clone();
        let group = id.as_str();
        let before = tx.saved_record(group)?;
        let untold = record.untold.clone();
        let saved = SavedRecord { epoch, hash: theirs.clone(), untold, ..SavedRecord::default() };
        let known = tx.group(group)?;
        let taken = match &known {
            None => record.known.clone(),
            Some(ours) if ours.current.hash() == theirs => {
                let SavedRecord { telling, mut told, untold, read_ms, .. } = before.of_state(&theirs);
                let now_ms = self.now_ms();
                let read_ms =
                    read_ms.filter(|ms| age_ms(now_ms, *ms, TOLERANCE_MS).is_some()).or(Some(now_ms));
                if record.by != self.device.address() {
                    // Whoever stores a record has read the one before.
                    told.extend(untold.difference(&record.untold).cloned());
                }
                tx.keep_saved_record(group, &SavedRecord { telling, told, read_ms, ..saved })?;
                // Another device of this user was faster, and does not know who was told.
                let draft = self.draft(tx, group)?;
                if draft.is_some_and(|draft| tells(&draft, self) && draft.record.untold != record.untold) {
                    return Ok(Meeting::OursIsNewer);
                }
                tx.mark_stored(group)?;
                self.tell_untold(tx, &record, notices)?;
                return Ok(Meeting::Settled);
            }
            // It follows what this device knows. What this device's user wants done again stays.
            Some(ours) if is_in(ours, &me) && follows(&record.known, ours) => KnownGroup {
                removals: ours.removals.clone(),
                additions: ours.additions.clone(),
                ..record.known.clone()
            },
            Some(ours) => {
                tx.keep_saved_record(group, &saved)?;
                let is_older = ours.has_followed(&theirs) || precedes(&record.known, ours);
                // Another device may have been added again with its user, which this one does not know yet.
                let is_again_in = follows(&record.known, ours) && is_in(&record.known, &me);
                if is_older || (!is_in(ours, &me) && !is_again_in) {
                    return Ok(Meeting::OursIsNewer);
                }
                tx.mark_stored(group)?;
                return Ok(Meeting::Settled);
            }
        };
        tx.keep_saved_record(group, &saved)?;
        if is_in(&taken, &me) {
            tx.keep_group(&taken, Some(&record.control))?;
            tx.mark_stored(group)?;
            // What has come for a group that this device did not know looked like an invitation.
            let invitations = tx.invitations(Some(group))?;
            tx.drop_invitations(group, None)?;
            for StoredInvitation { latest, received_ms, .. } in invitations {
                let Some(author) = self.kept_contact(tx, latest.author())? else { continue };
                let whence = ActivitySource {
                    actor: latest.author(),
                    device: latest.device(),
                    envelope: None,
                    received_ms,
                    standing: Standing::of(&author, latest.device(), &me),
                    warning: None,
                    was_held: true,
                    forwarder: None,
                };
                self.keep_control(tx, &Activity::of_control(&latest), &latest, &whence, notices)?;
            }
            self.retry_held(tx, &id, notices)?;
        }
        Ok(Meeting::Settled)
    }

    /// Forwards the control of a record to the members whom the device that stored it has not reached for an
    /// hour, and for as long as this device knew the record of the change when it was stored. So the pauses
    /// double. They end once this device has known it for 30 days and has tried itself, which the user is told.
    /// The time of the change says nothing, since the clock of the device that made it may have been wrong.
    fn tell_untold(
        &self,
        tx: &Transaction<'_>,
        record: &GroupRecord,
        notices: &mut Vec<Notice>,
    ) -> Result<(), MessengerError> {
        let (id, now_ms) = (record.known.current.id(), self.now_ms());
        let (group, is_own) = (id.as_str(), record.by == self.device.address());
        let mut saved = tx.saved_record(group)?;
        let read_ms = saved.read_ms.unwrap_or(now_ms);
        let mut untold: Vec<_> = record.untold.difference(&saved.told).cloned().collect();
        if now_ms.saturating_sub(read_ms) >= TOLD_FOR_DAYS * 24 * 3_600_000 {
            let tried = self.tried(tx, &record.control, &saved)?;
            let given_up: Vec<_> = untold.extract_if(.., |member| is_own || tried.contains(member)).collect();
            if !given_up.is_empty() {
                notices.extend(given_up.iter().map(|member| event(id, member, GroupEvent::NotTold)));
                self.keep_notices(tx, notices)?;
                saved.told.extend(given_up);
                tx.keep_saved_record(group, &saved)?;
                tx.mark_unstored(group, 0)?;
            }
        }
        let pause_ms = record.published_ms.saturating_sub(read_ms).max(COMPLETED_AFTER_MS);
        if untold.is_empty() || is_own || !is_over(now_ms, record.published_ms, pause_ms) {
            return Ok(());
        }
        for person in untold.iter().filter_map(|member| Person::of(member)) {
            let is_to = |sent: &OutboxEnvelope| sent.recipient == person.actor();
            let mut is_waiting = false;
            for former in std::mem::take(&mut saved.telling) {
                match tx.envelopes_of(&former)?.into_iter().find(is_to) {
                    Some(sent) if sent.state != EnvelopeState::ToSend => {}
                    found => {
                        is_waiting |= found.is_some();
                        saved.telling.push(former);
                    }
                }
            }
            if is_waiting {
                continue;
            }
            let content = ActivityContent::Announce(Box::new(record.control.clone()));
            let activity = self.evidence(tx, &person.actor(), None, content)?;
            self.enclose(tx, &activity, &[person], false)?;
            saved.telling.push(activity.id.to_string());
        }
        tx.keep_saved_record(group, &saved)?;
        Ok(tx.mark_unstored(group, 0)?)
    }

    /// Returns those to whom this device has tried to send a control, or an activity by which it tells of it.
    fn tried(
        &self,
        tx: &Transaction<'_>,
        control: &GroupControl,
        saved: &SavedRecord,
    ) -> Result<BTreeSet<String>, DeviceStoreError> {
        let mut tried = BTreeSet::new();
        for message in self.tellings(control, saved) {
            let sent = tx.envelopes_of(message)?.into_iter();
            let sent = sent.filter(|sent| sent.state != EnvelopeState::ToSend || sent.tries > 0);
            tried.extend(sent.map(|sent| sent.recipient));
        }
        Ok(tried)
    }

    /// Returns the ids of a control of this device, and of the activities by which it tells of a control.
    fn tellings<'a>(
        &self,
        control: &'a GroupControl,
        saved: &'a SavedRecord,
    ) -> impl Iterator<Item = &'a str> + use<'a, T, S> {
        let own = (control.device() == self.device.address()).then(|| control.id().as_str());
        own.into_iter().chain(saved.telling.iter().map(String::as_str))
    }

    /// Stores the records of groups that have changed.
    async fn store_records(&self, scope: Scope<'_>, notices: &mut Vec<Notice>) -> Result<(), MessengerError> {
        let groups = self.store.write(|tx| {
            for (group, saved) in tx.groups_with_untold()? {
                let draft = self.draft(tx, &group)?;
                if draft.is_some_and(|draft| draft.record.untold != saved.untold && tells(&draft, self)) {
                    tx.mark_unstored(&group, 0)?;
                }
            }
            self.due_records(tx, scope)
        })?;
        if groups.is_empty() {
            return Ok(());
        }
        let (key, told) = self.store.write(|tx| self.sealing_key(tx))?;
        if let Some(id) = told {
            self.send_envelopes(&id).await?;
            if self.store.write(|tx| self.sealing_key(tx))?.1.is_some() {
                // The other devices do not have the key yet.
                return Ok(());
            }
        }
        let stored = groups.iter().map(|group| self.store_record(group, &key));
        let stored: Vec<_> = stream::iter(stored).buffer_unordered(AT_ONCE).collect().await;
        for outcome in stored {
            notices.append(&mut outcome?);
        }
        Ok(())
    }

    /// Returns the groups whose records this device stores now.
    fn due_records(&self, tx: &Transaction<'_>, scope: Scope<'_>) -> Result<Vec<String>, MessengerError> {
        let unstored = tx.unstored()?;
        if unstored.is_empty() {
            return Ok(Vec::new());
        }
        let this = self.device.address();
        let Some(own) = self.kept_contact(tx, &self.device.actor())? else { return Ok(Vec::new()) };
        let is_first = own.active().first() == Some(&this);
        let mut due = Vec::new();
        for (group, from_ms) in unstored {
            if from_ms > self.now_ms() && from_ms <= self.now_ms().saturating_add(REFUSED_PAUSE_MS) {
                continue;
            }
            let latest = tx.latest_control(&group)?;
            let is_own = latest.is_some_and(|control| control.device() == this)
                || !tx.saved_record(&group)?.telling.is_empty();
            if scope == Scope::All || scope == Scope::And(&group) || is_first || is_own {
                due.push(group);
            }
        }
        Ok(due)
    }

    /// Stores the record of one group. Returns the news from a newer one that the server has. What fails
    /// is tried again after a pause.
    async fn store_record(&self, group: &str, key: &StateKey) -> Result<Vec<Notice>, MessengerError> {
        let mut notices = Vec::new();
        let pause_ms = match self.try_record(group, key, &mut notices).await {
            Ok(()) => return Ok(notices),
            Err(error @ MessengerError::Store(_)) => return Err(error),
            Err(MessengerError::Client(crate::ClientError::Problem(problem)))
                if problem.slug() == "invalid" =>
            {
                self.store.write(|tx| self.note_full(tx))?;
                REFUSED_PAUSE_MS
            }
            Err(MessengerError::Client(crate::ClientError::Problem(problem))) if problem.status < 429 => {
                REFUSED_PAUSE_MS
            }
            Err(MessengerError::Invalid(_)) => REFUSED_PAUSE_MS,
            Err(_) => PAUSE_MS,
        };
        let until_ms = self.now_ms().saturating_add(pause_ms);
        self.store.write(|tx| tx.mark_unstored(group, until_ms))?;
        Ok(notices)
    }

    async fn try_record(
        &self,
        group: &str,
        key: &StateKey,
        notices: &mut Vec<Notice>,
    ) -> Result<(), MessengerError> {
        for _ in 0..ROUNDS {
            let Some(RecordDraft { record, saved }) = self.store.read(|tx| self.draft(tx, group))? else {
                return self.drop_record(group).await;
            };
            let id = sealed::key_of(&record.known.current, &self.device.actor());
            if saved.epoch >= MAX_SAFE_INTEGER {
                // No epoch follows. A device that was revoked may have left that.
                if self.compare_stored(group, &id, notices).await? {
                    return Ok(());
                }
                self.begin_epochs_anew(group, &id).await?;
                continue;
            }
            let address = self.device.origin().group_state(self.device.user(), &id);
            let place = SealedPlace { address: &address, epoch: saved.epoch.saturating_add(1) };
            let content = sealed::seal(&record, place, key, &self.environment)?;
            let state = SealedGroupState { epoch: place.epoch, content };
            match self.signed_in(async || self.device.keep_group_state(&id, &state).await).await? {
                GroupStateAnswer::Done => {
                    return self.note_stored(group, &record, SavedRecord { epoch: place.epoch, ..saved });
                }
                GroupStateAnswer::Stale(_) => {}
            }
            if self.compare_stored(group, &id, notices).await? {
                return Ok(());
            }
        }
        Err(MessengerError::NotDone("it keeps the groups"))
    }

    /// Reads the record that the server has of a group, and compares it. Returns true if nothing is to be stored.
    async fn compare_stored(
        &self,
        group: &str,
        id: &GroupStateId,
        notices: &mut Vec<Notice>,
    ) -> Result<bool, MessengerError> {
        let found = self.signed_in(async || self.device.group_state(id).await).await?;
        self.store.write(|tx| {
            let epoch = found.as_ref().map_or(0, |found| found.epoch);
            let keys = self.current_state_keys(tx)?;
            let open = found.as_ref().and_then(|found| self.open_record(&keys, id, found).ok());
            let meeting = match open {
                Some(open) => self.meet(tx, open, epoch, notices)?,
                // It counts for nobody, or it is gone.
                None => {
                    tx.keep_saved_record(group, &SavedRecord { epoch, ..tx.saved_record(group)? })?;
                    Meeting::OursIsNewer
                }
            };
            let is_unstored = tx.unstored()?.iter().any(|(unstored, _)| unstored == group);
            Ok::<_, MessengerError>(meeting == Meeting::Settled && !is_unstored)
        })
    }

    /// Deletes the record of a group after whose epoch none follows, so that epochs begin at 1 again. The record
    /// was just read: one that another device has stored meanwhile, after it has done the same, is lost if it
    /// comes before the deletion, and that device stores it anew once it compares all records.
    async fn begin_epochs_anew(&self, group: &str, id: &GroupStateId) -> Result<(), MessengerError> {
        let last = self.store.read(|tx| tx.saved_record(group))?.epoch;
        if last < MAX_SAFE_INTEGER {
            return Ok(());
        }
        self.signed_in(async || self.device.drop_group_state(id, last).await).await?;
        Ok(self
            .store
            .write(|tx| tx.keep_saved_record(group, &SavedRecord { epoch: 0, ..tx.saved_record(group)? }))?)
    }

    /// Records that the server has a record. What has changed meanwhile is stored next.
    fn note_stored(
        &self,
        group: &str,
        record: &GroupRecord,
        saved: SavedRecord,
    ) -> Result<(), MessengerError> {
        let hash = record.known.current.hash();
        let saved = SavedRecord { untold: record.untold.clone(), ..saved };
        self.store.write(|tx| {
            let is_current = tx.group(group)?.is_some_and(|now| now.current.hash() == hash);
            tx.keep_saved_record(group, &saved)?;
            if is_current {
                tx.mark_stored(group)?;
            }
            Ok(())
        })
    }

    /// Deletes the record of a group that this user is no member of. One that this device has not read is
    /// read first.
    async fn drop_record(&self, group: &str) -> Result<(), MessengerError> {
        let (known, saved) =
            self.store.read(|tx| Ok::<_, DeviceStoreError>((tx.group(group)?, tx.saved_record(group)?)))?;
        if let Some(known) = known.filter(|_| saved.epoch > 0) {
            let id = sealed::key_of(&known.current, &self.device.actor());
            // The last epoch of all deletes whatever there is, so another device may not have begun anew.
            let is_other = saved.epoch >= MAX_SAFE_INTEGER && {
                let found = self.signed_in(async || self.device.group_state(&id).await).await?;
                found.is_some_and(|found| found.epoch != saved.epoch)
            };
            let dropped = match is_other {
                true => GroupStateAnswer::Stale(saved.epoch),
                false => {
                    self.signed_in(async || self.device.drop_group_state(&id, saved.epoch).await).await?
                }
            };
            if let GroupStateAnswer::Stale(_) = dropped {
                return self.store.write(|tx| {
                    self.read_records_again(tx)?;
                    Ok(tx.mark_stored(group)?)
                });
            }
        }
        self.store.write(|tx| {
            tx.keep_saved_record(group, &SavedRecord::default())?;
            Ok(tx.mark_stored(group)?)
        })
    }

    /// Returns the record of a group as this device would store it, or `None` if the user is no member.
    fn draft(&self, tx: &Transaction<'_>, group: &str) -> Result<Option<RecordDraft>, DeviceStoreError> {
        let me = self.device.actor();
        let known = tx.group(group)?.filter(|known| is_in(known, &me));
        let Some((known, control)) = known.zip(tx.latest_control(group)?) else { return Ok(None) };
        let saved = tx.saved_record(group)?.of_state(&known.current.hash());
        let untold = self.untold(tx, &control, &saved)?;
        let (by, published_ms) = (self.device.address(), self.now_ms());
        Ok(Some(RecordDraft { record: GroupRecord { by, published_ms, control, known, untold }, saved }))
    }

    /// Returns the members who are still to be told of a control: those of whom the record says so, and to whom
    /// this device has sent nothing, and those to whom it could not send what it has sent last, the control or
    /// an activity by which it tells of it.
    fn untold(
        &self,
        tx: &Transaction<'_>,
        control: &GroupControl,
        saved: &SavedRecord,
    ) -> Result<BTreeSet<String>, DeviceStoreError> {
        let mut untold = saved.untold.clone();
        for message in self.tellings(control, saved) {
            for sent in tx.envelopes_of(message)? {
                match sent.state {
                    EnvelopeState::ToSend | EnvelopeState::Failed | EnvelopeState::Refused => {
                        untold.insert(sent.recipient);
                    }
                    EnvelopeState::Queued | EnvelopeState::Accepted | EnvelopeState::Delivered => {
                        untold.remove(&sent.recipient);
                    }
                }
            }
        }
        let (members, me) = (control.state().members(), self.device.actor());
        untold.retain(|actor| members.contains(actor) && *actor != me && !saved.told.contains(actor));
        Ok(untold)
    }
}

/// True if a user is in a group, as a device knows it.
fn is_in(known: &KnownGroup, me: &str) -> bool {
    known.current.members().contains(me) && known.departure == OwnDeparture::NotMade
}

/// True if `later` goes on from the state of `ours`.
fn follows(later: &KnownGroup, ours: &KnownGroup) -> bool {
    later.current.epoch() > ours.current.epoch() && later.has_followed(&ours.current.hash())
}

/// True if `theirs` gives way to `ours`, where neither follows the other.
fn precedes(theirs: &KnownGroup, ours: &KnownGroup) -> bool {
    let rank = |known: &KnownGroup| (known.current.epoch(), std::cmp::Reverse(known.current.hash()));
    rank(theirs) < rank(ours)
}

/// True if this device is the one that says in the record who was told.
fn tells<T: Transport, S: SignalSessions>(draft: &RecordDraft, messenger: &Messenger<T, S>) -> bool {
    draft.record.control.device() == messenger.device.address() || !draft.saved.telling.is_empty()
}

/// Returns an error that holds up the rest of a look. What does not reach the server is tried again with
/// the next one.
fn passing(error: MessengerError) -> Result<(), MessengerError> {
    if error.holds_up_all() || error.is_end() { Err(error) } else { Ok(()) }
}
