//! `eko keys`: shows the state of this device's keys at its server, and renews them.

use clap::{Args, Subcommand};
use eko_client::messenger::KeyStatus;
use serde_json::{Value, json};

use crate::clock;
use crate::context::Context;
use crate::failure::CommandFailure;
use crate::progress::ProgressLine;
use crate::show;

const MORE: &str = "\
Someone who writes to you for the first time takes one one-time key of each of your devices from the \
server. `eko listen` publishes new ones in time, and renews the signed keys every week. `eko keys \
renew` does the same without listening.

Examples:
  eko keys
  eko keys renew                 in a timer, on a device that seldom listens";

/// The options of `eko keys`.
#[derive(Debug, Args)]
#[command(after_help = MORE, args_conflicts_with_subcommands = true)]
pub(crate) struct KeysArgs {
    #[command(subcommand)]
    command: Option<KeysCommand>,
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Show the state of the keys; `eko keys` alone does the same
    Status,
    /// Publish more one-time keys if they run low, and renew the signed keys if they are due
    Renew,
}

impl KeysArgs {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), CommandFailure> {
        let (_, client) = context.active_client().await?;
        let progress = ProgressLine::new(context.out);
        let stepping = progress.clone();
        let client = client.watched(move |step| stepping.step(step));
        let before = client.key_status().await?;
        let status = match &self.command {
            None | Some(KeysCommand::Status) => before,
            Some(KeysCommand::Renew) => {
                let done = client.upkeep(before.left).await;
                progress.done();
                if let Some(text) = done?.and_then(|notice| show::notice(&client, &notice)) {
                    context.out.prompt(&text);
                }
                client.key_status().await?
            }
        };
        if let Some(warning) = clock::warning(&client) {
            context.out.prompt(&warning);
        }
        let text = match &self.command {
            Some(KeysCommand::Renew) if status == before && clock::misleads(&client) => {
                format!("Nothing is made by a clock that is wrong.\n{}", described(&status))
            }
            Some(KeysCommand::Renew) if status == before => {
                format!("Nothing was due.\n{}", described(&status))
            }
            _ => described(&status),
        };
        context.out.result(&text, &object(&status))?;
        if status.agrees {
            return Ok(());
        }
        let failure = CommandFailure::new("the server has other signed keys than this device's newest");
        Err(failure.next("eko keys renew"))
    }
}

fn described(status: &KeyStatus) -> String {
    let KeyStatus { left, agrees, renewed_ms, due_ms } = status;
    format!(
        "One-time keys left at the server\n  Curve25519  {}\n  Kyber       {}\nSigned keys\n  made        {}\n  \
         renewed     from {} on\n  the server  {}",
        left.pre_keys,
        left.kyber_pre_keys,
        show::clock(*renewed_ms),
        show::clock(*due_ms),
        if *agrees { "has them" } else { "has others" }
    )
}

fn object(status: &KeyStatus) -> Value {
    let KeyStatus { left, agrees, renewed_ms, due_ms } = status;
    json!({
        "type": "keys", "preKeys": left.pre_keys, "kyberPreKeys": left.kyber_pre_keys, "agrees": agrees,
        "made": show::instant(*renewed_ms), "due": show::instant(*due_ms),
    })
}
