//! `eko recover`: sets a damaged store aside, and keeps what can be read of it.

use clap::Args;
use eko_client::messenger::{PreparedSignIn, SignInRequest};
use eko_client::store::{CarriedOver, FormerDevice, RecoveredStore};
use eko_client::{DeviceStore, KeyCounts};
use serde_json::json;

use super::login::DEVICE_NAME;
use crate::context::{Context, keys_lost};
use crate::counted::counted_all;
use crate::failure::{CommandFailure, Exit};
use crate::home::AccountFolder;
use crate::{listener, recovery, show};

const MORE: &str = "\
A store is damaged by a failing disk, or by a copy that was made while eko was running. What can be read \
of it is kept: messages, people, groups, and this device with its keys if those are sound. Messages whose \
sessions are lost are sent again by their authors' programs. This command looks at every page of the file, \
so it reads a file that was cut, and one whose indexes are damaged. What eko could not read afterwards is left \
out, and counts as lost.

If the keys are lost, the device is a new one. eko history and eko export show what was recovered, and \
eko login signs the new device in. It sends what was not sent. Run again before that, this command says so.

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
        let Some(_lock) = listener::lock(context, &account)? else {
            let what = format!("another eko on this machine reads the mailbox of {}", account.handle);
            return Err(CommandFailure::new(what).next("end that one first").exit(Exit::TryLater));
        };
        match DeviceStore::open(&account.database())
            .and_then(|store| Ok((recovery::is_sound(&store)?, store)))
        {
            Ok((true, store)) => return tell_sound(context, &account, &store),
            Ok((false, _)) => {}
            Err(error) if recovery::is_damaged(&error) => {}
            Err(error) => return Err(error.into()),
        }
        let stamp = show::instant(context.environment.now_ms()).replace(['-', ':'], "");
        // The damaged store stays where it is until all that can be read of it is in the other one.
        let staged = context.home.stage(&account)?;
        let done = recovered(context, &account, &staged)
            .and_then(|recovered| Ok((recovered, context.home.replace(&account, &staged, &stamp)?)));
        let (recovered, aside) = match done {
            Ok(done) => done,
            Err(failure) => {
                // It may have been renamed by then. The next eko recover removes it.
                let _ = staged.remove();
                return Err(failure);
            }
        };
        // What can be read of it is in the store already that another device takes over.
        if let Err(failure) = context.home.note_carried(&aside) {
            context.out.remark(&failure.to_string());
        }
        let RecoveredStore { messages, people, groups, device, own_chain, is_partial } = recovered;
        let next = match device {
            true if own_chain => "This device goes on as before".to_owned(),
            true => format!(
                "The list of your own devices could not be read. If this device was your first one, it goes on as \
                 before; if another one has approved it, it cannot go on: eko login {} --anew makes a new one",
                account.handle
            ),
            false if messages == 0 => format!(
                "Neither the keys of this device nor a message could be read: eko login {} makes a new device",
                account.handle
            ),
            false => format!(
                "The keys of this device could not be read, so it becomes a new one: eko login {}. Until then eko \
                 history and eko export show what was recovered",
                account.handle
            ),
        };
        let rest = if is_partial { " The rest could not be read." } else { "" };
        let text = format!(
            "Recovered: {}.{rest} {next}.\nThe damaged files are in {}",
            counted_all(messages, people, groups),
            aside.display()
        );
        let object = json!({
            "type": "recovered", "messages": messages, "people": people, "groups": groups, "device": device,
            "ownDevices": own_chain, "partial": is_partial, "setAside": aside,
        });
        context.out.result(&text, &object)
    }
}

/// Tells that a store has no fault, and if an earlier recovery has found no keys, what it has kept.
fn tell_sound(context: &Context, account: &AccountFolder, store: &DeviceStore) -> Result<(), CommandFailure> {
    let handle = &account.handle;
    let mut object = json!({ "type": "sound", "handle": handle.to_string(), "device": true });
    if store.is_registered()? || !store.has_lost_keys()? {
        let text =
            format!("There is nothing to recover: the store of {handle} is sound, and nothing was changed.");
        return context.out.result(&text, &object);
    }
    let CarriedOver { messages, people, groups, .. } = store.taken_over()?;
    let text = format!(
        "There is nothing more to recover: {}. Recovered before: {}. Next: eko login {handle}",
        keys_lost(handle),
        counted_all(messages, people, groups)
    );
    object["device"] = false.into();
    object["recovered"] = json!({ "messages": messages, "people": people, "groups": groups });
    context.out.result(&text, &object)
}

/// Recovers the store of an account into a folder that takes its place. If the keys cannot be read, the
/// folder has those of a new device, which has taken over the rest and is still to sign in.
fn recovered(
    context: &Context,
    account: &AccountFolder,
    staged: &AccountFolder,
) -> Result<RecoveredStore, CommandFailure> {
    let recovered = recovery::recover(account, staged)?;
    if recovered.device {
        staged.keep_recovered()?;
        return Ok(recovered);
    }
    let (origin, user) = recovery::owner(&account.handle)?;
    let store = DeviceStore::open(&staged.database())?;
    store.note_keys_lost(context.environment.now_ms())?;
    let actor = origin.actor(&user);
    store.carry_over(FormerDevice { store: &staged.recovered(), actor: &actor, is_reset: false })?;
    // Neither the issuer nor the audience is kept: eko login asks the server.
    let request = SignInRequest {
        origin,
        issuer: String::new(),
        audience: String::new(),
        user,
        device_name: Some(DEVICE_NAME.to_owned()),
        counts: KeyCounts::default(),
        reset: false,
    };
    PreparedSignIn::new(context.http()?, store, context.environment.clone(), request)?;
    staged.end_recovery()?;
    Ok(recovered)
}
