//! Refusals that come from a clock that is wrong now.

use super::MessengerError;
use crate::{ClientError, Device, Transport};

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
