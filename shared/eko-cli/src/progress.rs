//! The progress display: a line on the terminal that says what a command is doing, and disappears
//! at its end.

use std::time::Duration;

use eko_client::messenger::{Person, ProgressStep};
use indicatif::ProgressBar;

use crate::counted::counted;
use crate::output::Output;
use crate::printable::printable;

const TICK: Duration = Duration::from_millis(100);

/// The progress line. It is invisible if standard error is no terminal, and with `--quiet` or
/// `--json`.
#[derive(Clone)]
pub(crate) struct ProgressLine(ProgressBar);

impl ProgressLine {
    pub(crate) fn new(out: Output) -> Self {
        // indicatif draws on standard error, and does not draw if that is no terminal.
        let bar = if out.quiet || out.json { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
        Self(bar)
    }

    /// Shows a text until the next one.
    pub(crate) fn say(&self, text: impl Into<String>) {
        self.0.set_message(printable(&text.into()));
        self.0.enable_steady_tick(TICK);
    }

    /// Shows a step of the messenger.
    pub(crate) fn step(&self, step: ProgressStep) {
        let name =
            |actor: &str| Person::of(actor).map_or_else(|| actor.to_owned(), |p| p.handle().to_string());
        self.say(match step {
            ProgressStep::Chain { actor } => format!("asking for the devices of {}", name(&actor)),
            ProgressStep::Take { actor, devices } => {
                format!("taking keys of {} of {}", count(devices), name(&actor))
            }
            ProgressStep::Send { actor, devices } => {
                format!("sending to {} of {}", count(devices), name(&actor))
            }
            ProgressStep::Again { actor, missing, stale } => format!(
                "{} has other devices now ({missing} new, {stale} gone): encrypting again",
                name(&actor)
            ),
            ProgressStep::Publish => "publishing keys".to_owned(),
        });
    }

    /// Hides the line while something else is written.
    pub(crate) fn hidden(&self, write: impl FnOnce()) {
        self.0.suspend(write);
    }

    /// Removes the line.
    pub(crate) fn done(&self) {
        self.0.finish_and_clear();
    }
}

fn count(devices: usize) -> String {
    counted(devices, "device", "devices")
}
