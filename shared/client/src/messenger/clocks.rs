//! A clock that is wrong now: the refusals that come from it, and what it must not decide.

use super::{Messenger, MessengerError};
use crate::store::{AHEAD_MS, DeviceStoreError, Transaction};
use crate::{ClientError, ClockDifference, Device, SignalSessions, Transport};

const HOUR_MS: i64 = 3_600_000;

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// True if this machine's clock is known to differ from the server's by a day or more. Nothing is rotated
    /// then.
    pub(super) fn has_wrong_clock(&self) -> bool {
        self.device.clock_difference().is_some_and(|difference: ClockDifference| difference.misleads())
    }

    /// Returns the time before which something was stored that is kept for `kept_ms` and is to be deleted.
    /// Nothing was if this device does not know that its clock is not ahead.
    pub(super) fn kept_since_ms(&self, kept_ms: i64) -> i64 {
        self.device.retention_ms().map_or(i64::MIN, |now_ms| now_ms.saturating_sub(kept_ms))
    }

    /// Dates a message of this device, which a server has just accepted, by the time of this user's server, if
    /// this machine's clock cannot have been right when it was written. Its readers see both times, too.
    pub(super) fn date_by_server(&self, tx: &Transaction<'_>, message: &str) -> Result<(), DeviceStoreError> {
        let Some(difference) = self.device.clock_difference() else { return Ok(()) };
        let now_ms = self.now_ms();
        let server_ms = now_ms.saturating_sub(difference.ahead_ms);
        // What was written long before says nothing of a clock that is behind now.
        let is_behind = difference.ahead_ms < AHEAD_MS.saturating_neg();
        let behind_since_ms = if is_behind { now_ms.saturating_sub(HOUR_MS) } else { i64::MAX };
        tx.date_by_server(message, server_ms, behind_since_ms)
    }
}

/// Returns an error. It is one of the clock if the server refuses a time that this device has signed, and
/// their clocks differ by a day or more: what was refused is taken once they agree.
pub(super) fn of_clock<T: Transport>(device: &Device<T>, error: MessengerError) -> MessengerError {
    let MessengerError::Client(ClientError::Problem(problem)) = &error else { return error };
    let is_of_time = problem.pointer.as_deref().is_some_and(|pointer| pointer.ends_with("/published"));
    match device.clock_difference().filter(|difference| is_of_time && difference.misleads()) {
        Some(difference) => MessengerError::WrongClock(difference),
        None => error,
    }
}
