//! `eko devices`: lists, approves and revokes the user's own devices.

use clap::{Args, Subcommand};
use eko_client::JoiningCode;
use eko_client::device::PendingDevice;
use eko_client::messenger::{MessengerError, OwnDevice};
use eko_protocol::id::DeviceId;
use serde_json::json;

use crate::ask;
use crate::context::{Context, HttpMessenger};
use crate::failure::{CommandFailure, Exit};
use crate::home::AccountFolder;
use crate::listener;
use crate::show;

const MORE: &str = "\
A new device of yours is pending until one of your active devices approves it. A pending device \
reads nothing. To approve it, enter the joining code that it shows. The code proves to both devices \
that no server is between them. A name is what a device has called itself: nothing proves it.

Examples:
  eko devices
  eko devices approve                          asks for the code
  eko devices approve < code.txt               what a scanner has read
  eko devices revoke 0195c3                    a device that you have lost";

/// The options of `eko devices`.
#[derive(Debug, Args)]
#[command(after_help = MORE, args_conflicts_with_subcommands = true)]
pub(crate) struct DevicesArgs {
    #[command(subcommand)]
    command: Option<DevicesCommand>,
}

#[derive(Debug, Subcommand)]
enum DevicesCommand {
    /// List your devices; `eko devices` alone does the same
    List,
    /// Approve the device whose joining code you enter
    ///
    /// The code is read from the terminal or from standard input, never from the command line,
    /// which a shell keeps. It is the 40 digits that the new device shows, or the content of the QR
    /// code.
    Approve,
    /// Revoke a device for good: it can neither read nor send any more
    Revoke {
        /// The device's id, or the beginning of the id
        #[arg(value_name = "ID")]
        id: String,
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
    },
    /// Turn away a pending device
    TurnAway {
        /// The device's id, or the beginning of the id
        #[arg(value_name = "ID")]
        id: String,
    },
}

impl DevicesArgs {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), CommandFailure> {
        let (account, client) = context.active_client().await?;
        match &self.command {
            None | Some(DevicesCommand::List) => list(context, &account, &client).await,
            Some(DevicesCommand::Approve) => approve(context, &client).await,
            Some(DevicesCommand::Revoke { id, yes }) => revoke(context, &client, id, *yes).await,
            Some(DevicesCommand::TurnAway { id }) => turn_away(context, &client, id).await,
        }
    }
}

async fn list(
    context: &Context,
    account: &AccountFolder,
    client: &HttpMessenger,
) -> Result<(), CommandFailure> {
    let mut devices = client.devices().await?;
    let is_active = devices.active.iter().any(|device| device.this);
    if is_active && devices.active.iter().any(|device| device.name.is_none()) {
        // What the others call themselves comes as messages, which may be in the mailbox.
        Box::pin(listener::look(context, account, client)).await?;
        devices = client.devices().await?;
    }
    for device in &devices.active {
        let OwnDevice { id, since, name, this } = device;
        let called = name.as_ref().map(|name| format!(", calls itself {name:?}")).unwrap_or_default();
        let mine = if *this { ", this one" } else { "" };
        let text = format!("{}  active since {}{called}{mine}", short(id), moment(since));
        let object = json!({
            "type": "device", "id": id.to_string(), "state": "active", "since": since, "name": name,
            "this": this,
        });
        context.out.result(&text, &object)?;
    }
    for waiting in &devices.pending {
        let id = &waiting.device.id;
        let this = id == client.device().id();
        let since = waiting.published.as_deref();
        let since = since.map(|since| format!(" since {}", moment(since))).unwrap_or_default();
        let text = match this {
            true => format!("{}  waits for approval{since}, this one", short(id)),
            false => format!(
                "{id}  waits for approval{since}{}\n    if it is yours: eko devices approve, and enter the code that it \
                 shows\n    if it is not: eko devices turn-away {id}",
                called(waiting),
                id = short(id)
            ),
        };
        let object = json!({
            "type": "device", "id": id.to_string(), "state": "waiting", "name": waiting.name,
            "since": waiting.published, "this": this,
        });
        context.out.result(&text, &object)?;
    }
    Ok(())
}

async fn approve(context: &Context, client: &HttpMessenger) -> Result<(), CommandFailure> {
    let devices = client.devices().await?;
    if !devices.active.iter().any(|device| device.this) {
        return Err(MessengerError::Pending.into());
    }
    if devices.pending.is_empty() {
        return Err(MessengerError::UnknownJoiningCode { waiting: 0 }.into());
    }
    let question = "Enter the joining code that the new device shows: 8 groups of 5 digits.";
    let text = ask::number(context, question, JoiningCode::DIGITS)?;
    if text.trim().is_empty() {
        return Err(CommandFailure::new("no joining code was entered, so nothing was approved")
            .next("enter the code that the new device shows; eko whoami on that device shows it again")
            .exit(Exit::Usage));
    }
    let code = JoiningCode::parse(&text).map_err(|error| CommandFailure::new(error).exit(Exit::Usage))?;
    let approved = client.approve(&code).await?;
    let id = &approved.device.id;
    let text = format!(
        "{}{} is one of your devices now. What is sent to you from now on, it reads too.",
        short(id),
        called(&approved)
    );
    let object = json!({ "type": "device", "id": id.to_string(), "state": "active", "name": approved.name });
    context.out.result(&text, &object)
}

async fn revoke(
    context: &Context,
    client: &HttpMessenger,
    id: &str,
    yes: bool,
) -> Result<(), CommandFailure> {
    let devices = client.devices().await?;
    if let Ok(waiting) = device_by_id(&devices.pending, id, "waits", |it| it.device.id.as_str())
        && device_by_id(&devices.active, id, "is active", |it| it.id.as_str()).is_err()
    {
        let what = format!("{} only waits for approval", waiting.device.id);
        return Err(CommandFailure::new(what).next(format!("eko devices turn-away {id}")).exit(Exit::Usage));
    }
    let device = device_by_id(&devices.active, id, "is active", |it| it.id.as_str())?;
    let id = &device.id;
    if !yes {
        let which = match (device.this, devices.active.len()) {
            (true, 1) => "This is the device that you are using, and your only one: \
                          nobody is left then who could approve another, but eko login NAME --reset begins anew."
                .to_owned(),
            (true, _) => "This is the device that you are using.".to_owned(),
            (false, _) => format!("The device {} is active since {}.", short(id), moment(&device.since)),
        };
        let question = format!(
            "{which}\nRevoked, it neither reads nor sends any more, for good; what it has read stays on it. Revoke it?"
        );
        ask::yes(context, &question, &format!("eko devices revoke {id} --yes"))?;
    }
    client.revoke(id).await?;
    let text = match device.this {
        true => {
            "This device is revoked: it neither reads nor sends any more. What it has kept stays: eko history"
                .to_owned()
        }
        false => format!("{} is revoked: it neither reads nor sends any more.", short(id)),
    };
    let object = json!({ "type": "device", "id": id.to_string(), "state": "revoked", "this": device.this });
    context.out.result(&text, &object)
}

async fn turn_away(context: &Context, client: &HttpMessenger, id: &str) -> Result<(), CommandFailure> {
    let devices = client.devices().await?;
    let waiting = device_by_id(&devices.pending, id, "waits", |it| it.device.id.as_str())?;
    let id = &waiting.device.id;
    client.turn_away(id).await?;
    let object = json!({ "type": "device", "id": id.to_string(), "state": "turned-away" });
    context.out.result(&format!("{} is turned away.", short(id)), &object)
}

/// Returns the one device whose id begins with `text`. `state` is the verb of the error message.
fn device_by_id<'a, D>(
    devices: &'a [D],
    text: &str,
    state: &str,
    id: impl Fn(&D) -> &str,
) -> Result<&'a D, CommandFailure> {
    let mut found = devices.iter().filter(|device| !text.is_empty() && id(device).starts_with(text));
    match (found.next(), found.next()) {
        (Some(device), None) => Ok(device),
        (first, _) => {
            let what = match first {
                None => format!("no device of yours whose id begins with {text:?} {state}"),
                Some(_) => format!("several of your devices have ids that begin with {text:?}"),
            };
            Err(CommandFailure::new(what).next("eko devices").exit(Exit::Usage))
        }
    }
}

/// Returns the first letters of a device's id, which stand for it wherever a person reads it.
fn short(id: &DeviceId) -> &str {
    id.as_str().split('-').next().unwrap_or_default()
}

fn called(waiting: &PendingDevice) -> String {
    waiting.name.as_ref().map(|name| format!(", which calls itself {name:?},")).unwrap_or_default()
}

/// Returns a timestamp of the device chain in the time zone of this machine, or unchanged if it
/// cannot be parsed.
fn moment(since: &str) -> String {
    eko_protocol::timestamp::parse(since).map_or_else(|_| since.to_owned(), show::clock)
}
