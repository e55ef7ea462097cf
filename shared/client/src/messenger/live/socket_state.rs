//! The state of one open socket: what it has brought, what is to be sent on it, and when. It makes no
//! call and waits for nothing.

use std::collections::{BTreeMap, BTreeSet};

use eko_protocol::activity::activity_type;
use eko_protocol::frame::TerminationReason;
use eko_protocol::limits::{MAX_DELIVERED, MAX_FRAME_BYTES};
use serde_json::{Value, json};

use super::mode::FetchingReason;
use crate::Environment;
use crate::device::{DeviceTokens, MailboxEntry, PoolCount, ServerFrame};

/// The time without a frame from the server after which a `Ping` is sent.
pub const PING_MS: i64 = 9 * 60_000;
/// The time within which the server must answer a frame.
pub const ANSWER_MS: i64 = 30_000;
/// The age at which a socket is replaced at the latest. API Gateway ends it after two hours.
pub const RENEWED_AFTER_MS: i64 = 110 * 60_000;
/// The time after which a device that waits for approval asks again though it has a socket.
pub const APPROVAL_PAUSE_MS: i64 = 30_000;
/// The time by which a renewal may be earlier, so that not all devices connect at once.
const RENEWAL_SPREAD_MS: i64 = 10 * 60_000;
/// The remaining time of the access token at which another one is sent.
const AUTHENTICATE_BEFORE_MS: i64 = 45_000;
/// The least time between two attempts to send another access token.
const AUTHENTICATE_PAUSE_MS: i64 = 10_000;
/// The least time between two acknowledgements, and that between two fetches on the socket. A server
/// takes one frame a second in the long run. A message waits longer for one before it than a fetch.
const ACKNOWLEDGE_PAUSE_MS: i64 = 1_500;
const FETCH_PAUSE_MS: i64 = 3_000;
/// The least time between two looks into the mailbox that the server has asked for.
const LOOK_PAUSE_MS: i64 = 1_000;
/// The number of entries that are gathered at most. If there are more, the mailbox is fetched.
const MOST_GATHERED: usize = 256;
/// The number of entries that are remembered because they were taken.
const MOST_TAKEN: usize = 4096;

/// The state of an open socket.
pub(super) struct SocketState {
    opened_ms: i64,
    /// The time at which another socket is to take its place.
    replace_ms: i64,
    /// True if the server has said that it goes away.
    is_going: bool,
    /// The time at which to ask whether the device was approved, if it waits for that.
    approval_ms: Option<i64>,
    asked_ms: i64,
    /// The time of the last frame from the server.
    heard_ms: i64,
    /// The time at which another access token is due.
    authenticate_ms: i64,
    last_id: u64,
    /// The frames without an answer, by id.
    unanswered: BTreeMap<String, SentFrame>,
    /// The time at which `Fetch` is due.
    fetch_ms: Option<i64>,
    fetched_ms: i64,
    /// The time at which the mailbox is to be fetched over HTTP.
    look_ms: Option<i64>,
    looked_ms: i64,
    acknowledged_ms: i64,
    /// The entries to acknowledge.
    taken_entries: Vec<String>,
    /// The entries whose acknowledgement was refused on the socket.
    refused: Vec<String>,
    /// The entries that have come and were not taken, by address: the oldest is first.
    gathered: BTreeMap<String, MailboxEntry>,
    /// The addresses of entries that were taken.
    known: BTreeSet<String>,
    keys_left: Option<PoolCount>,
    end: Option<FetchingReason>,
}

/// A frame that was sent.
struct SentFrame {
    at_ms: i64,
    request: SentRequest,
}

/// The request of a frame that was sent.
#[derive(Debug, PartialEq, Eq)]
enum SentRequest {
    Fetch,
    Delivered(Vec<String>),
    Authenticate,
    Ping,
}

/// The entries that a socket has brought.
#[derive(Debug, Default)]
pub(super) struct EntryGroup {
    /// The entries, oldest first.
    pub(super) entries: Vec<MailboxEntry>,
    /// The one-time keys that the server has left, if it has said so.
    pub(super) keys_left: Option<PoolCount>,
}

impl SocketState {
    /// Returns the state of a socket that was opened now with a token that ends at this time. `Fetch`
    /// is due, or the question for its approval if the device waits.
    pub(super) fn new(environment: &Environment, token_ends_ms: i64, is_waiting: bool) -> Self {
        let now_ms = environment.now_ms();
        let early =
            i64::from(u16::from_le_bytes(environment.bytes())).saturating_mul(RENEWAL_SPREAD_MS) >> 16;
        Self {
            opened_ms: now_ms,
            replace_ms: now_ms.saturating_add(RENEWED_AFTER_MS).saturating_sub(early),
            is_going: false,
            approval_ms: is_waiting.then_some(now_ms),
            asked_ms: i64::MIN,
            heard_ms: now_ms,
            authenticate_ms: token_ends_ms.saturating_sub(AUTHENTICATE_BEFORE_MS),
            last_id: 0,
            unanswered: BTreeMap::new(),
            fetch_ms: (!is_waiting).then_some(now_ms),
            fetched_ms: i64::MIN,
            look_ms: None,
            looked_ms: i64::MIN,
            acknowledged_ms: i64::MIN,
            taken_entries: Vec::new(),
            refused: Vec::new(),
            gathered: BTreeMap::new(),
            known: BTreeSet::new(),
            keys_left: None,
            end: None,
        }
    }

    /// Takes a frame from the server.
    pub(super) fn take(&mut self, frame: ServerFrame, now_ms: i64) {
        self.heard_ms = now_ms;
        match frame {
            ServerFrame::Entry(entry) => {
                if !self.known.contains(&entry.address) {
                    self.gathered.insert(entry.address.clone(), *entry);
                }
                if self.gathered.len() > MOST_GATHERED {
                    self.announce(now_ms);
                }
            }
            ServerFrame::Announce => self.announce(now_ms),
            ServerFrame::QueueEmpty { id, keys_left } => {
                if self.answered(id).is_some_and(|request| request == SentRequest::Fetch) {
                    self.keys_left = Some(keys_left);
                }
            }
            ServerFrame::Done(id) => drop(self.answered(id)),
            ServerFrame::Problem(id) => match self.answered(id) {
                Some(SentRequest::Fetch) => self.announce(now_ms),
                Some(SentRequest::Delivered(entries)) => self.refused.extend(entries),
                Some(SentRequest::Authenticate) => self.finish(FetchingReason::TokenRefused),
                Some(SentRequest::Ping) | None => {}
            },
            ServerFrame::Approval => {
                let soonest_ms = now_ms.max(self.asked_ms.saturating_add(LOOK_PAUSE_MS));
                self.approval_ms = self.approval_ms.map(|due_ms| due_ms.min(soonest_ms));
            }
            ServerFrame::Terminated(Some(TerminationReason::GoingAway)) => {
                (self.is_going, self.replace_ms) = (true, now_ms);
            }
            ServerFrame::Terminated(Some(reason)) => self.finish(FetchingReason::Terminated(reason)),
            ServerFrame::Terminated(None) => self.finish(FetchingReason::TerminatedOtherwise),
            ServerFrame::Unknown => {}
        }
    }

    /// Has the mailbox fetched over HTTP instead of from what was gathered.
    fn announce(&mut self, now_ms: i64) {
        self.gathered.clear();
        self.unanswered.retain(|_, sent| sent.request != SentRequest::Fetch);
        self.look_at(now_ms.max(self.looked_ms.saturating_add(LOOK_PAUSE_MS)));
    }

    fn answered(&mut self, id: Option<String>) -> Option<SentRequest> {
        self.unanswered.remove(&id?).map(|sent| sent.request)
    }

    /// Ends the socket. The first reason stays.
    pub(super) fn finish(&mut self, reason: FetchingReason) {
        let reason = match self.is_going {
            true => FetchingReason::Terminated(TerminationReason::GoingAway),
            false => reason,
        };
        self.end.get_or_insert(reason);
    }

    /// Ends the socket if the server is silent.
    pub(super) fn check(&mut self, now_ms: i64) {
        if self.silent_ms().is_some_and(|ms| ms <= now_ms) {
            self.finish(FetchingReason::Silent);
        }
    }

    /// Returns the time at which another socket is to take its place.
    pub(super) fn replace_ms(&self) -> i64 {
        self.replace_ms
    }

    /// True if the socket has brought its backlog, or has said that it is to be fetched over HTTP.
    pub(super) fn has_backlog(&self) -> bool {
        self.fetch_ms.is_none() && !self.is_fetching()
    }

    /// True if the socket has brought its backlog, and nothing is to be fetched over HTTP.
    pub(super) fn is_read(&self) -> bool {
        self.has_backlog() && self.look_ms.is_none()
    }

    /// Takes what another socket has brought, and what is not known to be acknowledged there.
    pub(super) fn take_over(&mut self, mut other: Self) {
        self.note_known(&other.known.iter().cloned().collect::<Vec<_>>());
        self.gathered.append(&mut other.gathered);
        self.approval_ms = self.approval_ms.or(other.approval_ms);
        if let Some(ms) = other.look_ms {
            self.look_ms = Some(self.look_ms.map_or(ms, |due_ms| due_ms.min(ms)));
        }
        self.taken_entries.extend(other.into_unacknowledged());
    }

    /// True if the device is to ask whether it was approved.
    pub(super) fn is_approval_due(&self, now_ms: i64) -> bool {
        self.approval_ms.is_some_and(|ms| ms <= now_ms)
    }

    /// Notes that the device has asked whether it was approved.
    pub(super) fn note_asked(&mut self, now_ms: i64) {
        self.asked_ms = now_ms;
        self.approval_ms = Some(now_ms.saturating_add(APPROVAL_PAUSE_MS));
    }

    /// Notes that the device was approved. `Fetch` is due.
    pub(super) fn note_joined(&mut self, now_ms: i64) {
        self.approval_ms = None;
        self.fetch_ms = Some(now_ms);
    }

    /// Returns the reason for which the socket has ended, if it has.
    pub(super) fn end(&self) -> Option<&FetchingReason> {
        self.end.as_ref()
    }

    /// Returns the time for which the socket was open.
    pub(super) fn age_ms(&self, now_ms: i64) -> i64 {
        now_ms.saturating_sub(self.opened_ms)
    }

    /// True if there is something to take from the socket, or if it has ended.
    pub(super) fn is_ready(&self) -> bool {
        self.end.is_some() || (!self.is_fetching() && (!self.gathered.is_empty() || self.keys_left.is_some()))
    }

    /// True if the mailbox is to be fetched over HTTP now.
    pub(super) fn is_look_due(&self, now_ms: i64) -> bool {
        self.look_ms.is_some_and(|ms| ms <= now_ms)
    }

    /// Returns what was gathered, unless the answer to a `Fetch` is not complete: older entries may come.
    pub(super) fn take_group(&mut self) -> EntryGroup {
        if self.is_fetching() {
            return EntryGroup::default();
        }
        let entries = std::mem::take(&mut self.gathered).into_values();
        let entries = entries.filter(|entry| !self.known.contains(&entry.address)).collect();
        EntryGroup { entries, keys_left: self.keys_left.take() }
    }

    /// Notes that entries were taken and acknowledged.
    pub(super) fn note_known(&mut self, entries: &[String]) {
        if self.known.len().saturating_add(entries.len()) > MOST_TAKEN {
            self.known.clear();
        }
        self.known.extend(entries.iter().cloned());
    }

    /// Has entries acknowledged on the socket.
    pub(super) fn acknowledge(&mut self, entries: Vec<String>) {
        self.note_known(&entries);
        self.taken_entries.extend(entries);
    }

    /// Returns the entries whose acknowledgement was refused on the socket.
    pub(super) fn take_refused(&mut self) -> Vec<String> {
        std::mem::take(&mut self.refused)
    }

    /// Returns the entries that are not known to be acknowledged.
    pub(super) fn into_unacknowledged(self) -> Vec<String> {
        let sent = self.unanswered.into_values().filter_map(|sent| match sent.request {
            SentRequest::Delivered(entries) => Some(entries),
            SentRequest::Fetch | SentRequest::Authenticate | SentRequest::Ping => None,
        });
        sent.flatten().chain(self.taken_entries).chain(self.refused).collect()
    }

    /// Has the mailbox fetched on the socket at this time, or earlier if that was due before.
    pub(super) fn fetch_at(&mut self, ms: i64) {
        let ms = ms.max(self.fetched_ms.saturating_add(FETCH_PAUSE_MS));
        self.fetch_ms = Some(self.fetch_ms.map_or(ms, |due| due.min(ms)));
    }

    /// Has the mailbox fetched over HTTP at this time.
    pub(super) fn look_at(&mut self, ms: i64) {
        self.look_ms = Some(ms);
    }

    /// Notes that the mailbox is fetched over HTTP now.
    pub(super) fn note_look(&mut self, now_ms: i64) {
        self.look_ms = None;
        self.looked_ms = now_ms;
    }

    /// True if another access token is to be sent.
    pub(super) fn wants_token(&self, now_ms: i64) -> bool {
        self.authenticate_ms <= now_ms
    }

    /// Puts off another attempt to send an access token.
    pub(super) fn postpone_token(&mut self, now_ms: i64) {
        self.authenticate_ms = now_ms.saturating_add(AUTHENTICATE_PAUSE_MS);
    }

    /// Returns the frame that continues the socket with these tokens.
    pub(super) fn authenticate(&mut self, tokens: &DeviceTokens, now_ms: i64) -> String {
        self.postpone_token(now_ms);
        let due_ms = tokens.expires_ms.saturating_sub(AUTHENTICATE_BEFORE_MS);
        self.authenticate_ms = self.authenticate_ms.max(due_ms);
        let frame = json!({ "type": "Authenticate", "token": tokens.access });
        self.send(frame, SentRequest::Authenticate, now_ms)
    }

    /// Returns the frames that are due, and counts them as sent.
    pub(super) fn due_frames(&mut self, now_ms: i64) -> Vec<String> {
        let mut frames = Vec::new();
        if !self.is_fetching() && self.fetch_ms.is_some_and(|ms| ms <= now_ms) {
            (self.fetch_ms, self.fetched_ms) = (None, now_ms);
            frames.push(self.send(json!({ "type": "Fetch" }), SentRequest::Fetch, now_ms));
        }
        if self.acknowledgement_ms().is_some_and(|ms| ms <= now_ms) {
            self.acknowledged_ms = now_ms;
            let entries = self.next_acknowledgement();
            frames.push(self.acknowledgement(entries, now_ms));
        }
        let is_pinging = self.unanswered.values().any(|sent| sent.request == SentRequest::Ping);
        if !is_pinging && self.heard_ms.saturating_add(PING_MS) <= now_ms {
            frames.push(self.send(json!({ "type": "Ping" }), SentRequest::Ping, now_ms));
        }
        frames
    }

    /// Returns the frames that acknowledge everything that was taken, whatever the pause.
    pub(super) fn last_frames(&mut self, now_ms: i64) -> Vec<String> {
        let mut frames = Vec::new();
        while !self.taken_entries.is_empty() {
            let entries = self.next_acknowledgement();
            frames.push(self.acknowledgement(entries, now_ms));
        }
        frames
    }

    fn acknowledgement(&mut self, entries: Vec<String>, now_ms: i64) -> String {
        let frame = json!({ "type": activity_type("Delivered"), "object": entries });
        self.send(frame, SentRequest::Delivered(entries), now_ms)
    }

    /// Takes as many entries to acknowledge as one frame may name.
    fn next_acknowledgement(&mut self) -> Vec<String> {
        let mut room = MAX_FRAME_BYTES / 2;
        let fitting = self.taken_entries.iter().take(MAX_DELIVERED).take_while(|entry| {
            let left = room.checked_sub(entry.len());
            room = left.unwrap_or(0);
            left.is_some()
        });
        let count = fitting.count().max(1).min(self.taken_entries.len());
        self.taken_entries.drain(..count).collect()
    }

    fn send(&mut self, mut frame: Value, request: SentRequest, now_ms: i64) -> String {
        self.last_id = self.last_id.saturating_add(1);
        let id = self.last_id.to_string();
        if let Some(members) = frame.as_object_mut() {
            members.insert("id".to_owned(), json!(id));
        }
        self.unanswered.insert(id, SentFrame { at_ms: now_ms, request });
        frame.to_string()
    }

    fn is_fetching(&self) -> bool {
        self.unanswered.values().any(|sent| sent.request == SentRequest::Fetch)
    }

    fn acknowledgement_ms(&self) -> Option<i64> {
        let pause_over_ms = self.acknowledged_ms.saturating_add(ACKNOWLEDGE_PAUSE_MS);
        (!self.taken_entries.is_empty()).then_some(pause_over_ms)
    }

    /// Returns the time at which the server counts as silent.
    fn silent_ms(&self) -> Option<i64> {
        self.unanswered.values().map(|sent| sent.at_ms.saturating_add(ANSWER_MS)).min()
    }

    /// Returns the time at which something is due.
    pub(super) fn due_ms(&self) -> i64 {
        if self.is_ready() || !self.refused.is_empty() {
            return i64::MIN;
        }
        let fetch_ms = self.fetch_ms.filter(|_| !self.is_fetching());
        let ping_ms = self.unanswered.is_empty().then(|| self.heard_ms.saturating_add(PING_MS));
        [fetch_ms, self.look_ms, self.approval_ms, self.acknowledgement_ms(), self.silent_ms(), ping_ms]
            .into_iter()
            .flatten()
            .fold(self.authenticate_ms, i64::min)
    }
}
