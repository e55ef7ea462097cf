//! The times at which a device connects, and at which it fetches while it has no socket.

use eko_protocol::frame::TerminationReason;

use super::mode::FetchingReason;
use crate::Environment;

/// The pause before the first attempt to connect again. It doubles with each failure.
pub const FIRST_CONNECT_PAUSE_MS: i64 = 1_000;
/// The longest pause between two attempts to connect, unless the server asks for more.
pub const LONGEST_CONNECT_PAUSE_MS: i64 = 5 * 60_000;
/// The time for which a socket must have been open so that its end is no failure.
pub const STABLE_AFTER_MS: i64 = 60_000;
/// The pause after the server has ended a socket because of too many frames.
const FLOODED_PAUSE_MS: i64 = 60_000;
/// The pause after another socket of this device has taken the place of this one, or if the server
/// has no sockets.
const ABSENT_PAUSE_MS: i64 = 3_600_000;
/// The pause between two fetches after something came.
const SHORT_FETCH_PAUSE_MS: i64 = 1_000;

/// The plan of a device.
pub(super) struct DeliveryPlan {
    environment: Environment,
    failures: u32,
    connect_ms: i64,
    fetch_ms: i64,
    fetch_pause_ms: i64,
    longest_fetch_pause_ms: i64,
}

impl DeliveryPlan {
    /// Returns the plan to connect now, and to fetch now if that fails. The pause between two fetches
    /// grows up to `longest_fetch_pause_ms`.
    pub(super) fn new(environment: &Environment, longest_fetch_pause_ms: i64) -> Self {
        Self {
            environment: environment.clone(),
            failures: 0,
            connect_ms: i64::MIN,
            fetch_ms: i64::MIN,
            fetch_pause_ms: SHORT_FETCH_PAUSE_MS,
            longest_fetch_pause_ms,
        }
    }

    /// Connects and fetches now, whatever was planned.
    pub(super) fn begin_anew(&mut self) {
        (self.failures, self.connect_ms, self.fetch_ms) = (0, i64::MIN, i64::MIN);
    }

    /// Notes that a socket could not be opened. The server may have asked to wait.
    pub(super) fn note_unopened(&mut self, asked_s: u64) {
        let asked_ms = i64::try_from(asked_s).unwrap_or(i64::MAX).saturating_mul(1000);
        self.failures = self.failures.saturating_add(1);
        self.connect_after(self.drawn_pause_ms().max(asked_ms.min(ABSENT_PAUSE_MS)));
    }

    /// Notes that the server has no sockets.
    pub(super) fn note_absent(&mut self) {
        self.connect_after(ABSENT_PAUSE_MS);
    }

    /// Notes that another socket has taken the place of one that was open for this time.
    pub(super) fn note_replaced(&mut self, age_ms: i64) {
        self.count_end(age_ms);
        self.connect_after(if self.failures == 0 { 0 } else { self.drawn_pause_ms() });
    }

    /// Notes that a socket has ended after this time.
    pub(super) fn note_end(&mut self, reason: &FetchingReason, age_ms: i64) {
        self.count_end(age_ms);
        match reason {
            FetchingReason::Terminated(TerminationReason::Replaced) => self.connect_after(ABSENT_PAUSE_MS),
            FetchingReason::Terminated(TerminationReason::TooManyMessages) => {
                self.connect_after(self.drawn_pause_ms().saturating_add(FLOODED_PAUSE_MS));
            }
            _ => self.connect_after(self.drawn_pause_ms()),
        }
        // What was sent to the socket at its end is in the mailbox.
        self.fetch_ms = self.environment.now_ms();
    }

    /// Counts the end of a socket as a failure, unless the socket was open for long.
    fn count_end(&mut self, age_ms: i64) {
        let is_stable = age_ms >= STABLE_AFTER_MS;
        self.failures = if is_stable { 0 } else { self.failures.saturating_add(1) };
    }

    /// Notes that a fetch has succeeded, and that it found nothing if it `is_quiet`.
    pub(super) fn note_fetch(&mut self, is_quiet: bool) {
        match is_quiet {
            true => self.note_failed_fetch(),
            false => self.fetch_after(SHORT_FETCH_PAUSE_MS),
        }
    }

    /// Notes that a fetch has failed: the pause before the next one grows.
    pub(super) fn note_failed_fetch(&mut self) {
        let longer_ms = self.fetch_pause_ms.saturating_mul(3) / 2;
        self.fetch_after(longer_ms.min(self.longest_fetch_pause_ms));
    }

    fn fetch_after(&mut self, pause_ms: i64) {
        self.fetch_pause_ms = pause_ms;
        self.fetch_ms = self.environment.now_ms().saturating_add(pause_ms);
    }

    /// Fetches again soon, because an answer is expected.
    pub(super) fn hasten(&mut self) {
        self.fetch_pause_ms = SHORT_FETCH_PAUSE_MS;
        self.fetch_ms = self.fetch_ms.min(self.environment.now_ms().saturating_add(SHORT_FETCH_PAUSE_MS));
    }

    /// Returns the time at which to connect.
    pub(super) fn connect_ms(&self) -> i64 {
        self.connect_ms
    }

    /// Returns the time at which to fetch.
    pub(super) fn fetch_ms(&self) -> i64 {
        self.fetch_ms
    }

    fn connect_after(&mut self, pause_ms: i64) {
        self.connect_ms = self.environment.now_ms().saturating_add(pause_ms);
    }

    /// Draws the pause before the next attempt to connect: at least half of what the failures ask for.
    fn drawn_pause_ms(&self) -> i64 {
        let doublings = self.failures.saturating_sub(1).min(16);
        let whole = (FIRST_CONNECT_PAUSE_MS << doublings).min(LONGEST_CONNECT_PAUSE_MS);
        let half = whole / 2;
        half.saturating_add(
            half.saturating_mul(i64::from(u16::from_le_bytes(self.environment.bytes()))) >> 16,
        )
    }
}
