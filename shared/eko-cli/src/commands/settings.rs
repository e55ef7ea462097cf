//! `eko settings`: what the server does for the account.

use clap::{Args, ValueEnum};
use eko_protocol::settings::WhoMayWrite;
use serde_json::json;

use crate::context::Context;
use crate::failure::CommandFailure;

const MORE: &str = "\
Your server knows nobody whom you know, unless you let not everyone write. Then eko tells it of your \
contacts and of the members of your groups. Of others, known lets a few messages through as requests \
(eko requests), and nobody lets none through. They are not told, and what does not come is lost.

Examples:
  eko settings                           what is set
  eko settings --who-may-write known";

/// The options of `eko settings`.
#[derive(Debug, Args)]
#[command(after_help = MORE)]
pub(crate) struct SettingsArgs {
    /// Let everyone write to you, those whom you know and a few requests of others, or nobody new
    #[arg(long, value_name = "everyone|known|nobody")]
    who_may_write: Option<Writers>,
}

/// Who may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Writers {
    /// Everyone.
    Everyone,
    /// Known people, and a few requests of others.
    Known,
    /// Nobody new.
    Nobody,
}

impl From<Writers> for WhoMayWrite {
    fn from(writers: Writers) -> Self {
        match writers {
            Writers::Everyone => Self::Everyone,
            Writers::Known => Self::Known,
            Writers::Nobody => Self::Nobody,
        }
    }
}

impl SettingsArgs {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), CommandFailure> {
        let (_, client) = context.active_client().await?;
        if let Some(writers) = self.who_may_write {
            context.require_not_moved(&client)?;
            client.let_write(writers.into()).await?;
        }
        let who = client.who_may_write().await?;
        let text = match who {
            WhoMayWrite::Everyone => "Everyone may write to you.",
            WhoMayWrite::Known => "Those whom you know may write to you, and others may ask.",
            WhoMayWrite::Nobody => "Those whom you know may write to you, and nobody else.",
        };
        context.out.result(text, &json!({ "type": "settings", "who_may_write": who.as_str() }))
    }
}
