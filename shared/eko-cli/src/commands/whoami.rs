//! `eko whoami`: shows the account and the device on this machine, and the joining code while the device
//! waits for approval. It asks the server whether the device was revoked, forgotten or approved, and does
//! without an answer.

use std::time::Duration;

use eko_client::messenger::MessengerError;
use eko_client::store::{DeviceEnd, StoreFault};
use serde_json::json;
use tokio::time::timeout;

use crate::context::{Context, HttpMessenger};
use crate::failure::CommandFailure;
use crate::people::own_handle;
use crate::show::{clock, instant};

/// The time that the server has for its answer.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) async fn run(context: &Context) -> Result<(), CommandFailure> {
    let (account, client) = context.reading_client()?;
    let problem = problem(&client).await?;
    let is_forgotten = problem.as_ref() == Some(&forgotten()) || client.is_forgotten()?;
    let device = client.device();
    let (handle, signed_in) = (own_handle(&client), device.tokens().is_some());
    let folder = account.path().display().to_string();
    let at = match handle == account.handle {
        true => String::new(),
        false => format!("\n  at           {}", device.origin()),
    };
    let mut text = format!("{handle}{at}\n  device       {}\n  kept in      {folder}", device.id());
    let end = client.device_end()?;
    // Nobody is asked for an approval of a device that its server calls ended, or does not know.
    let code = client.joining_code()?.filter(|_| end.is_none() && !is_forgotten).map(|code| code.digits());
    if let Some(code) = &code {
        text.push_str(&format!("\n  waits, with the joining code\n    {code}"));
    }
    let is_deleted = end == Some(DeviceEnd::Deleted);
    if let Some(end) = end {
        // What to do next follows on standard error, as it does with every command.
        text.push_str(&format!("\n  ended        {}", CommandFailure::from(MessengerError::from(end))));
    } else if is_forgotten {
        text.push_str(&format!("\n  not known    {}", forgotten()));
    } else if !signed_in {
        text.push_str(&format!("\n  signed out   eko login {}", account.handle));
    }
    let (waits, moved) = (client.require_move_done().is_err(), client.moved_account()?);
    let moved = moved.map(|to| to.handle().to_string());
    if let Some(to) = &moved {
        text.push_str(&format!("\n  moved to     {to}"));
    }
    if waits {
        text.push_str("\n  waits        for your move, which is not done");
    }
    let read_ms = client.own_list_read_ms()?;
    if let Some(why) = problem.as_ref().filter(|why| **why != forgotten()) {
        text.push_str(&match read_ms {
            Some(ms) => format!("\n  as of        {}; asking the server has failed: {why}", clock(ms)),
            None => format!("\n  not known    asking the server has failed: {why}"),
        });
    }
    let object = json!({
        "handle": handle.to_string(),
        "actor": device.actor(),
        "device": device.id().to_string(),
        "joiningCode": code,
        "revoked": end.is_some() && !is_deleted,
        "deleted": is_deleted,
        "signedIn": signed_in,
        "movedTo": moved,
        "awaitsMove": waits,
        "folder": folder,
        "asOf": read_ms.map(instant),
        "problem": problem.map(|why| why.to_string()),
    });
    context.out.result(&text, &object)?;
    if is_forgotten {
        context.out.failure(&context.explained(forgotten()));
    }
    Ok(())
}

/// Returns the failure of every command on a device that its server does not know any more.
fn forgotten() -> CommandFailure {
    MessengerError::Forgotten.into()
}

/// Asks the server about this device. Returns the reason for which nothing new is known, in words.
async fn problem(client: &HttpMessenger) -> Result<Option<CommandFailure>, CommandFailure> {
    match timeout(PATIENCE, client.check_this_device()).await {
        // Without a sign-in there is nothing to ask with, which is shown.
        Ok(Ok(()) | Err(MessengerError::SignedOut)) => Ok(None),
        Ok(Err(error)) if error.is_end() => Ok(None),
        // What is known is shown, although nothing new can be kept.
        Ok(Err(MessengerError::Store(error)))
            if !matches!(error.fault(), StoreFault::Full | StoreFault::ReadOnly) =>
        {
            Err(error.into())
        }
        Ok(Err(error)) => Ok(Some(error.into())),
        Err(_) => Ok(Some(CommandFailure::new(format!("{} does not answer", client.me().origin)))),
    }
}
