//! The clock of the engines. It is a parameter, so that tests can move it.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// A clock that returns milliseconds since the Unix epoch.
pub type EngineClock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Returns the clock of the machine.
pub fn system_clock() -> EngineClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place in this crate that reads the system's clock"
    )]
    let now = SystemTime::now;
    Arc::new(move || {
        let since = now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}
