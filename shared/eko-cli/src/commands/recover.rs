//! `eko recover`: sets a damaged store aside, and keeps what can be read of it.

use clap::Args;
use eko_client::DeviceStore;
use eko_client::store::{RecoveredStore, StoreFault};
use serde_json::json;

use crate::context::Context;
use crate::failure::{CommandFailure, Exit};
use crate::home::PreparedAccount;
use crate::listener;
use crate::show;

const MORE: &str = "\
A store is damaged by a failing disk, or by a copy that was made while eko was running. What can be read \
of it is kept: messages, people, groups, and this device with its keys if those are sound. Messages whose \
sessions are lost are sent again by their authors' programs.

Examples:
  eko recover
  eko --as alice recover";

/// The options of `eko recover`.
#[derive(Debug, Args)]
#[command(after_help = MORE)]
pub(crate) struct RecoverArgs {}

impl RecoverArgs {
    pub(crate) fn run(&self, context: &Context) -> Result<(), CommandFailure> {
        let account = context.choose_account()?;
        let Some(_lock) = listener::lock(&account)? else {
            let what = format!("another eko on this machine reads the mailbox of {}", account.handle);
            return Err(CommandFailure::new(what).next("end that one first").exit(Exit::TryLater));
        };
        match DeviceStore::open(&account.database()).and_then(|store| store.is_sound()) {
            Ok(true) => {
                let what = format!("the store of {} is sound: nothing was changed", account.handle);
                return Err(CommandFailure::new(what).exit(Exit::Usage));
            }
            Ok(false) => {}
            Err(error) if error.fault() == StoreFault::Damaged => {}
            Err(error) => return Err(error.into()),
        }
        let stamp = show::instant(context.environment.now_ms()).replace(['-', ':'], "");
        let aside = context.home.set_aside(&account, &stamp)?;
        let PreparedAccount { account: new, .. } = context.home.prepare(&account.handle)?;
        let damaged = aside.join(account.database().file_name().unwrap_or_default());
        let recovered = DeviceStore::open(&new.database()).and_then(|store| store.recover(&damaged));
        let recovered = match recovered {
            Ok(recovered) => recovered,
            Err(error) => {
                // Nothing is lost by it: the damaged store is where it was.
                new.remove()?;
                context.home.bring_back(&aside, &account)?;
                return Err(error.into());
            }
        };
        let RecoveredStore { messages, people, groups, device, is_partial } = recovered;
        let next = match device {
            true => "This device goes on as before".to_owned(),
            false => format!(
                "The keys of this device could not be read, so it becomes a new one: eko login {}",
                account.handle
            ),
        };
        let rest = if is_partial { " The rest could not be read." } else { "" };
        let text = format!(
            "Recovered: {messages} messages, {people} people, {groups} groups.{rest} {next}.\nThe damaged files are in {}",
            aside.display()
        );
        let object = json!({
            "type": "recovered", "messages": messages, "people": people, "groups": groups, "device": device,
            "partial": is_partial, "setAside": aside,
        });
        context.out.result(&text, &object)
    }
}
