//! The end of a command that runs until somebody ends it.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The time that a command has for its last words to the server.
pub(crate) const END_TIME: Duration = Duration::from_secs(1);

/// The signals that end a command. They are heard from the making of this value on, also while nobody
/// waits for them.
pub(crate) struct Interruption {
    /// Ctrl-C.
    interrupt: Signal,
    /// The signal by which service managers end a process.
    terminate: Signal,
    /// The end of the terminal.
    hang_up: Signal,
}

impl Interruption {
    /// Hears the signals from now on.
    ///
    /// # Errors
    /// The system refuses a handler.
    pub(crate) fn heard() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for one of the signals. None is lost if the future is dropped.
    pub(crate) async fn happened(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}
