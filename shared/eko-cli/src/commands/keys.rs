//! `eko keys`: this device's keys at its server.

use clap::{Args, Subcommand};
use eko_client::messenger::KeyStatus;
use serde_json::{Value, json};

use crate::context::Context;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::show;

const MORE: &str = "\
Whoever writes to you first takes a one-time key of each of your devices from the server. `eko listen` tops them up, and
renews the signed keys every week; `eko keys renew` does it without listening.

Examples:
  eko keys
  eko keys renew                 from a timer, on a device that seldom listens";

/// What clap reads.
#[derive(Debug, Args)]
#[command(after_help = MORE, args_conflicts_with_subcommands = true)]
pub(crate) struct Keys {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show how they stand; what `eko keys` does
    Status,
    /// Top up what has run low, and renew what is due
    Renew,
}

impl Keys {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), Failure> {
        let (_, client) = context.client()?;
        let progress = Progress::new(context.out);
        let stepping = progress.clone();
        let client = client.watched(move |step| stepping.step(step));
        let before = client.key_status().await?;
        let status = match &self.command {
            None | Some(Command::Status) => before,
            Some(Command::Renew) => {
                let done = client.upkeep(before.left).await;
                progress.done();
                done?;
                client.key_status().await?
            }
        };
        let text = match &self.command {
            Some(Command::Renew) if status == before => format!("Nothing was due.\n{}", described(&status)),
            _ => described(&status),
        };
        context.out.result(&text, &object(&status))?;
        if status.agrees {
            return Ok(());
        }
        let failure = Failure::new("the server has other signed keys than this device's newest");
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
