//! Live delivery (section 8): entries come on a socket while there is one, and are fetched otherwise.
//!
//! A [`LiveFeed`] has no timers and no tasks. Its caller asks it to go on ([`LiveFeed::advance`]) when a
//! frame has come ([`LiveFeed::arrival`]) and when something is due ([`LiveFeed::due_ms`]).
//!
//! The mailbox decides what there is, and a socket only says it earlier. So every doubt ends in a
//! fetch: when a socket opens and when it ends, after `Announce` and after a frame that the server
//! refused, and when a message waits for one before it.
//!
//! A socket that is old, or whose server goes away, is replaced: another one is opened beside it, and
//! takes its place when it has brought its backlog. Until then both bring entries.

mod connecting;
mod mode;
mod plan;
mod replacing;
mod socket_state;
mod waiting;

use std::pin::pin;

use futures_util::FutureExt as _;
use futures_util::future::{Either, select};

pub use mode::{DeliveryMode, FetchingReason};
use plan::DeliveryPlan;
pub use plan::{FIRST_CONNECT_PAUSE_MS, LONGEST_CONNECT_PAUSE_MS, STABLE_AFTER_MS};
pub use socket_state::{ANSWER_MS, APPROVAL_PAUSE_MS, PING_MS, RENEWED_AFTER_MS};
use socket_state::{EntryGroup, SocketState};

use super::receive::ReceiptTime;
use super::{JoinState, Messenger, MessengerError, ReceivedBatch};
use crate::stored_time::{age_ms, lasts};
use crate::transport::{Socket, SocketTransport};
use crate::{SignalSessions, Transport, TransportError};

/// The number of frames that are read before what they say is done.
const FRAMES_AT_ONCE: usize = 256;
/// The time between two looks at what is due while nothing comes.
const IDLE_MS: i64 = 60_000;
/// The time without a look after which the machine must have slept. Its sockets may be dead then.
const SLEPT_AFTER_MS: i64 = 2 * IDLE_MS;
/// The time after which entries are fetched again that stayed in the mailbox. It is longer than the
/// time for which the messenger leaves them alone.
const LEFT_AGAIN_MS: i64 = 61_000;
/// The time for which receipts are gathered.
pub const RECEIPTS_PAUSE_MS: i64 = 1_000;
/// The number of acknowledgements that are kept while the server is out of reach. Further entries come
/// again, and are recognised.
const MOST_UNACKNOWLEDGED: usize = 1000;

/// The entries of a device, as they come: on a socket, or by fetching.
pub struct LiveFeed<'m, T: SocketTransport, S> {
    messenger: &'m Messenger<T, S>,
    open: Option<OpenSocket<T::Socket>>,
    /// The socket that is to take the place of the open one.
    next: Option<OpenSocket<T::Socket>>,
    plan: DeliveryPlan,
    mode: DeliveryMode,
    /// The address of the sockets, once the server has named it.
    address: Option<String>,
    /// The entries that were taken and not acknowledged when their socket ended.
    unacknowledged: Vec<String>,
    /// The time of the last look.
    looked_ms: i64,
    is_in_touch: bool,
    has_read: bool,
    /// The time at which receipts are sent, once the feed has begun. Those of what comes before are
    /// gathered.
    receipts_ms: Option<i64>,
}

/// An open socket with its state.
struct OpenSocket<K> {
    socket: K,
    state: SocketState,
}

/// The next look of a feed.
enum FeedLook {
    /// The mailbox is fetched over HTTP.
    Mailbox,
    /// These entries are taken, which may be none. What is due is done in any case.
    Entries(EntryGroup),
}

impl<T: Transport + SocketTransport, S: SignalSessions> Messenger<T, S> {
    /// Returns the feed of this device's entries. While it has no socket, the pause between two fetches
    /// grows up to `longest_pause_ms`. Makes no call. A device has one feed at a time.
    pub fn live_feed(&self, longest_pause_ms: i64) -> LiveFeed<'_, T, S> {
        LiveFeed {
            messenger: self,
            open: None,
            next: None,
            plan: DeliveryPlan::new(&self.environment, longest_pause_ms),
            mode: DeliveryMode::Fetching(FetchingReason::Beginning),
            address: None,
            unacknowledged: Vec::new(),
            looked_ms: i64::MIN,
            is_in_touch: true,
            has_read: false,
            receipts_ms: None,
        }
    }
}

impl<T: Transport + SocketTransport, S: SignalSessions> LiveFeed<'_, T, S> {
    /// Returns the way in which entries come now.
    pub fn mode(&self) -> &DeliveryMode {
        &self.mode
    }

    /// True if the server has answered the last fetch, or a socket is open.
    pub fn is_in_touch(&self) -> bool {
        self.open.is_some() || self.is_in_touch
    }

    /// True once the mailbox was read as it was at some time since the feed began: it was fetched, or a socket has
    /// brought what had come before it. A fetch that has failed does not count, nor one that is still to come.
    pub fn has_read(&self) -> bool {
        self.has_read
    }

    /// Fetches again soon if there is no socket, because the user has sent something.
    pub fn expect_answer(&mut self) {
        self.plan.hasten();
    }

    /// Returns the time at which to call [`LiveFeed::advance`], in epoch milliseconds.
    pub fn due_ms(&self) -> i64 {
        let due_ms = match &self.open {
            Some(_) => self.sockets_due_ms(),
            None => self.plan.fetch_ms().min(self.plan.connect_ms()),
        };
        due_ms.min(self.looked_ms.saturating_add(IDLE_MS)).min(self.receipts_ms.unwrap_or(i64::MAX))
    }

    /// Returns the time at which something is due because of the sockets.
    fn sockets_due_ms(&self) -> i64 {
        let sockets = [&self.open, &self.next].into_iter().flatten();
        let due_ms = sockets.map(|open| open.state.due_ms()).min().unwrap_or(i64::MAX);
        due_ms.min(self.replacement_due_ms())
    }

    /// Waits until a frame has come because of which [`LiveFeed::advance`] is to be called earlier than
    /// [`LiveFeed::due_ms`] has said, or until the socket has ended. Waits for ever if there is no
    /// socket. Nothing is lost if the future is dropped.
    pub async fn arrival(&mut self) {
        let due_ms = self.sockets_due_ms();
        while !self.is_ready() && self.sockets_due_ms() >= due_ms {
            let arrived = {
                let of_next = pin!(next_frame(&mut self.next));
                match select(pin!(next_frame(&mut self.open)), of_next).await {
                    Either::Left((frame, _)) => Either::Left(frame),
                    Either::Right((frame, _)) => Either::Right(frame),
                }
            };
            let (open, frame) = match arrived {
                Either::Left(frame) => (&mut self.open, frame),
                Either::Right(frame) => (&mut self.next, frame),
            };
            if let Some(open) = open {
                self.messenger.take_frame(open, frame);
            }
        }
    }

    /// True if there is something to take, or if a socket has ended.
    fn is_ready(&self) -> bool {
        [&self.open, &self.next].into_iter().flatten().any(|open| open.state.is_ready())
    }

    /// Does what is due: opens a socket, sends frames, takes what has come, or fetches. Then does what
    /// follows, as [`Messenger::receive`] does.
    ///
    /// # Errors
    /// Those of [`Messenger::receive`]. The feed goes on with the next call. With
    /// [`MessengerError::SignedOut`] it has closed its sockets.
    pub async fn advance(&mut self) -> Result<ReceivedBatch, MessengerError> {
        if let Err(error) = self.messenger.require_signed_in() {
            for mut open in [self.open.take(), self.next.take()].into_iter().flatten() {
                open.socket.close().await;
            }
            return Err(error);
        }
        let are_due = self.take_receipts_due();
        if self.join().await? == JoinState::Waiting {
            return Err(MessengerError::Pending);
        }
        self.read_frames();
        self.notice_sleep();
        self.replace().await;
        self.leave_ended().await;
        if self.open.is_none() {
            self.acknowledge_over_http().await;
            if self.plan.connect_ms() <= self.messenger.now_ms() {
                self.connect(JoinState::Joined).await;
            }
        }
        self.continue_sockets().await;
        self.send_due().await;
        let looked = self.look().await;
        let told = if are_due { self.messenger.send_receipts().await } else { Ok(()) };
        if looked.as_ref().is_ok_and(|received| !received.is_quiet()) {
            // The user reads what has come, and more may come.
            let soon_ms = self.messenger.now_ms().saturating_add(RECEIPTS_PAUSE_MS);
            self.receipts_ms = Some(self.receipts_ms.map_or(soon_ms, |due_ms| due_ms.min(soon_ms)));
        }
        self.send_due().await;
        match (looked, told) {
            (Ok(received), Err(error)) if received.is_quiet() => Err(error),
            (looked, _) => looked,
        }
    }

    /// True if receipts are due. They are due again later, in case that some cannot be sent now.
    fn take_receipts_due(&mut self) -> bool {
        let now_ms = self.messenger.now_ms();
        let are_due = self.receipts_ms.is_none_or(|due_ms| !lasts(now_ms, due_ms, IDLE_MS));
        if are_due {
            self.receipts_ms = Some(now_ms.saturating_add(IDLE_MS));
        }
        are_due
    }

    /// Acknowledges what was taken, closes the socket and sends the receipts that were gathered, as far
    /// as that can be done at once. What is not acknowledged comes again, and is recognised.
    pub async fn end(mut self) {
        let now_ms = self.messenger.now_ms();
        if let Some(open) = self.open.as_mut().filter(|open| open.state.end().is_none()) {
            for frame in open.state.last_frames(now_ms) {
                open.send(frame).await;
            }
        }
        for mut open in [self.open, self.next].into_iter().flatten() {
            open.socket.close().await;
        }
        if self.messenger.owes_receipts().unwrap_or(false) {
            // What cannot be sent now is owed.
            let _ = self.messenger.send_receipts().await;
        }
    }

    /// Reads the frames that have come already.
    fn read_frames(&mut self) {
        for open in [&mut self.open, &mut self.next].into_iter().flatten() {
            self.messenger.read_frames(open);
        }
    }

    /// Has the mailbox fetched at once if the machine has slept, and the server answer on the socket. If
    /// the clock was set back, the feed begins anew: what it has noted as due lies too far ahead.
    fn notice_sleep(&mut self) {
        let now_ms = self.messenger.now_ms();
        if age_ms(now_ms, self.looked_ms, IDLE_MS).is_none() {
            for open in [&mut self.open, &mut self.next].into_iter().flatten() {
                open.state.finish(FetchingReason::ClockSetBack);
            }
            self.plan.begin_anew();
            return;
        }
        if now_ms.saturating_sub(self.looked_ms) < SLEPT_AFTER_MS {
            return;
        }
        if let Some(open) = &mut self.open {
            open.state.look_at(now_ms);
            open.state.fetch_at(now_ms);
        }
    }

    /// Leaves a socket that has ended.
    async fn leave_ended(&mut self) {
        let Some(reason) = self.open.as_ref().and_then(|open| open.state.end().cloned()) else { return };
        let Some(mut open) = self.open.take() else { return };
        open.socket.close().await;
        self.plan.note_end(&reason, open.state.age_ms(self.messenger.now_ms()));
        self.mode = DeliveryMode::Fetching(reason);
        self.unacknowledged.extend(open.state.into_unacknowledged());
        self.unacknowledged.truncate(MOST_UNACKNOWLEDGED);
    }

    /// Acknowledges over HTTP what no socket has acknowledged. If that fails, it is tried again with the
    /// next look.
    async fn acknowledge_over_http(&mut self) {
        if self.unacknowledged.is_empty() || self.plan.fetch_ms() > self.messenger.now_ms() {
            return;
        }
        if self.messenger.acknowledge_all(&self.unacknowledged).await.is_ok() {
            self.unacknowledged.clear();
        }
    }

    /// Sends another access token before the present one ends.
    async fn continue_sockets(&mut self) {
        let (messenger, now_ms) = (self.messenger, self.messenger.now_ms());
        for open in [&mut self.open, &mut self.next].into_iter().flatten() {
            if !open.state.wants_token(now_ms) {
                continue;
            }
            // The server ends the socket if there is no other token in time.
            open.state.postpone_token(now_ms);
            if let Ok(Some(tokens)) = messenger.fresh_tokens().await {
                let frame = open.state.authenticate(&tokens, messenger.now_ms());
                open.send(frame).await;
            }
        }
    }

    async fn send_due(&mut self) {
        let (messenger, now_ms) = (self.messenger, self.messenger.now_ms());
        for open in [&mut self.open, &mut self.next].into_iter().flatten() {
            if open.state.end().is_some() {
                continue;
            }
            for frame in open.state.due_frames(now_ms) {
                open.send(frame).await;
            }
            let refused = open.state.take_refused();
            if !refused.is_empty() && messenger.acknowledge_all(&refused).await.is_err() {
                // They come again, and are recognised.
                open.state.look_at(now_ms.saturating_add(LEFT_AGAIN_MS));
            }
        }
    }

    fn next_look(&mut self) -> FeedLook {
        let now_ms = self.messenger.now_ms();
        match &mut self.open {
            Some(open) if open.state.is_look_due(now_ms) => FeedLook::Mailbox,
            Some(open) => FeedLook::Entries(open.state.take_group()),
            None if self.plan.fetch_ms() <= now_ms => FeedLook::Mailbox,
            None => FeedLook::Entries(EntryGroup::default()),
        }
    }

    async fn look(&mut self) -> Result<ReceivedBatch, MessengerError> {
        let (looked, is_all) = match self.next_look() {
            FeedLook::Mailbox => (self.look_into_mailbox().await, true),
            FeedLook::Entries(group) => {
                let is_all = self.open.as_ref().is_some_and(|open| open.state.is_read());
                (self.take_group(group).await, is_all)
            }
        };
        self.has_read |= is_all && looked.is_ok();
        self.looked_ms = self.messenger.now_ms();
        looked
    }

    async fn look_into_mailbox(&mut self) -> Result<ReceivedBatch, MessengerError> {
        let looked = self.messenger.look(ReceiptTime::Later).await;
        let now_ms = self.messenger.now_ms();
        self.is_in_touch = looked.is_ok();
        match &looked {
            Ok(received) => self.plan.note_fetch(received.is_quiet()),
            Err(_) => self.plan.note_failed_fetch(),
        }
        if let Some(open) = &mut self.open {
            open.state.note_look(now_ms);
            match &looked {
                Ok(received) => open.state.note_known(&received.settled),
                Err(_) => open.state.look_at(self.plan.fetch_ms()),
            }
        }
        looked
    }

    /// Takes entries, acknowledges them on the socket, and does what follows. What is left in the
    /// mailbox is fetched again later, and at once if a message waits for one before it.
    async fn take_group(&mut self, group: EntryGroup) -> Result<ReceivedBatch, MessengerError> {
        let (messenger, count) = (self.messenger, group.entries.len());
        let open = &mut self.open;
        let acknowledge = async |entries: Vec<String>| {
            let Some(open) = open.as_mut() else { return };
            open.state.acknowledge(entries);
            for frame in open.state.due_frames(messenger.now_ms()) {
                open.send(frame).await;
            }
        };
        let looked = messenger.take_entries(group.entries, group.keys_left, acknowledge).await;
        let now_ms = messenger.now_ms();
        if let Some(open) = &mut self.open {
            match &looked {
                Ok(received) => {
                    open.state.note_known(&received.settled);
                    if count > 0 && received.look_again_ms.is_some() {
                        open.state.fetch_at(now_ms);
                    } else if received.settled.len() < count {
                        open.state.fetch_at(now_ms.saturating_add(LEFT_AGAIN_MS));
                    }
                }
                Err(_) => open.state.fetch_at(now_ms.saturating_add(LEFT_AGAIN_MS)),
            }
        }
        looked
    }
}

impl<K: Socket> OpenSocket<K> {
    async fn send(&mut self, frame: String) {
        if let Err(error) = self.socket.send(frame).await {
            self.state.finish(FetchingReason::Broken(error.to_string()));
        }
    }
}

/// Waits for the next frame of a socket; for ever if there is none.
async fn next_frame<K: Socket>(open: &mut Option<OpenSocket<K>>) -> Result<Option<String>, TransportError> {
    match open {
        Some(open) => open.socket.next().await,
        None => std::future::pending().await,
    }
}

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Reads the frames that have come already on a socket.
    fn read_frames<K: Socket>(&self, open: &mut OpenSocket<K>) {
        for _ in 0..FRAMES_AT_ONCE {
            if open.state.end().is_some() {
                return;
            }
            let Some(next) = open.socket.next().now_or_never() else {
                // Nothing of what the server has said is unread.
                return open.state.check(self.now_ms());
            };
            self.take_frame(open, next);
        }
    }

    /// Takes what a socket has brought.
    fn take_frame<K>(&self, open: &mut OpenSocket<K>, next: Result<Option<String>, TransportError>) {
        match next {
            Ok(Some(text)) => match self.device.read_frame(&text) {
                Ok(frame) => open.state.take(frame, self.now_ms()),
                Err(fault) => open.state.finish(FetchingReason::BadFrame(fault.to_string())),
            },
            Ok(None) => open.state.finish(FetchingReason::Closed),
            Err(error) => open.state.finish(FetchingReason::Broken(error.to_string())),
        }
    }
}
