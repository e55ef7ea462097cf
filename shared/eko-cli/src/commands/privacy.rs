//! `eko privacy`: what this device tells others of its user.

use clap::{Args, ValueEnum};
use serde_json::json;

use crate::context::Context;
use crate::failure::CommandFailure;

const MORE: &str = "\
Your contacts are told that you have read their messages when eko chat shows them, or eko listen on a \
terminal. Nobody else is. That a message has arrived on this device is told in any case.

At a terminal, eko chat tells the contact or the group that you are writing. Nobody is told what. It is \
encrypted as messages are, but a server can guess it: it wakes no device, and lives for half a minute.

Examples:
  eko privacy                    what is told
  eko privacy --reading off";

/// The options of `eko privacy`.
#[derive(Debug, Args)]
#[command(after_help = MORE)]
pub(crate) struct PrivacyArgs {
    /// Tell your contacts that you have read their messages, or do not
    #[arg(long, value_name = "on|off")]
    reading: Option<Switch>,
    /// Tell your contacts that you are writing to them, or do not
    #[arg(long, value_name = "on|off")]
    typing: Option<Switch>,
}

/// A setting that is on or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    /// The setting is on.
    On,
    /// The setting is off.
    Off,
}

impl PrivacyArgs {
    pub(crate) fn run(&self, context: &Context) -> Result<(), CommandFailure> {
        let (_, client) = context.client()?;
        if let Some(reading) = self.reading {
            client.tell_reading(reading == Switch::On)?;
        }
        if let Some(typing) = self.typing {
            client.tell_typing(typing == Switch::On)?;
        }
        let (reading, typing) = (client.tells_reading()?, client.tells_typing()?);
        let who = |tells: bool| if tells { "Your contacts are told" } else { "Nobody is told" };
        let text = format!(
            "{} that you have read their messages.\n{} that you are writing.",
            who(reading),
            who(typing)
        );
        context.out.result(&text, &json!({ "type": "privacy", "reading": reading, "typing": typing }))
    }
}
