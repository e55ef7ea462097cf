//! What it is doing, while it does: a line on the terminal that goes when it is done.

use std::time::Duration;

use eko_client::messenger::{Person, ProgressStep};
use indicatif::ProgressBar;

use crate::output::Output;

/// The line; nothing where nobody looks.
#[derive(Clone)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    pub(crate) fn new(out: Output) -> Self {
        // Indicatif draws on standard error, and not at all where that is no terminal.
        let bar = if out.quiet || out.json { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
        Self(bar)
    }

    /// Shows this until something else is said.
    pub(crate) fn say(&self, text: impl Into<String>) {
        self.0.set_message(crate::printable(&text.into()));
        self.0.enable_steady_tick(Duration::from_millis(100));
    }

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

    pub(crate) fn done(&self) {
        self.0.finish_and_clear();
    }
}

fn count(devices: usize) -> String {
    if devices == 1 { "one device".to_owned() } else { format!("{devices} devices") }
}
