//! `eko account move`: the person goes on with a new account.

use std::io::{BufRead as _, IsTerminal as _};

use clap::Args;
use eko_client::group::Proposal;
use eko_client::messenger::{MessengerError, MoveProgress, Person};
use eko_client::store::FormerDevice;
use eko_protocol::address::Handle;
use eko_protocol::block::BlockedParty;
use serde_json::json;

use super::super::login::{LeftAccount, NewAccountArgs};
use crate::context::{Context, HttpMessenger};
use crate::failure::{CommandFailure, Exit};
use crate::home::AccountFolder;

pub(super) const MORE: &str = "\
Use it to go on under another name or on another server, also if your server is about to close or is not to be \
trusted any more. It makes a new account, which takes over the messages, contacts and blocks on this machine and \
what was not sent. Then a device of the old account signs where you are, and the new one tells your contacts, \
but for those whom you block. Its server is told whom you block, and who may write to you. \
Their programs compare the signatures of both accounts and go on with the new one by themselves: you stay \
verified, and they are told. No server can fake that or take it back.

It cannot be undone: the old account sends nothing any more, gets no new devices, and cannot be reset. Its \
devices read what arrived before, and can delete it (eko account delete). Nobody can without one of them: keep \
one until you have deleted the old account, if you want to. The new account must be one that \
nobody has yet. Your other devices sign in there as further devices: eko login.

A group does not move. Where you are an admin, the new account is added and made an admin, and gets an \
invitation: eko groups join. In other groups, ask an admin to add it.

If it ends before it is done, run it again: it goes on where it was. Run it again later, too: it brings over what \
has arrived at the old account since. If your old server is gone, --server-gone \
moves without it, as long as this device is one that your contacts know. If the server only does not answer for \
a while, wait: a move that it has not seen may contradict what another device of yours does there.

Examples:
  eko account move alice@new.example
  eko --as alice@old.example account move alice@new.example --yes alice@new.example
  eko account move alice@new.example --server-gone";

/// The options of `eko account move`.
#[derive(Debug, Args)]
pub(super) struct MoveArgs {
    #[command(flatten)]
    new: NewAccountArgs,
    /// The handle of the new account, in the place of an answer: alice@new.example
    #[arg(long, value_name = "HANDLE")]
    yes: Option<String>,
    /// Move without the old server, because it is gone for good
    #[arg(long)]
    server_gone: bool,
}

impl MoveArgs {
    pub(super) async fn run(&self, context: &Context) -> Result<(), CommandFailure> {
        let (account, old) = context.client()?;
        let left = LeftAccount { actor: old.me().actor(), database: account.database() };
        let sign_in = self.new.sign_in(left.clone());
        let handle = sign_in.handle(context).await?;
        if handle == account.handle {
            let what = format!("{handle} is the account that you have");
            return Err(CommandFailure::new(what).next("eko account move HANDLE").exit(Exit::Usage));
        }
        // Nobody gets an account that cannot be the one to which they have moved.
        if let Some(elsewhere) = old.moved_account()?.map(|to| to.handle()).filter(|to| *to != handle) {
            return Err(MessengerError::AccountMoved(elsewhere.to_string()).into());
        }
        let new = match context.client_of(&handle)? {
            Some(new) => new,
            None => {
                if !self.server_gone {
                    old.require_not_ended().await?;
                }
                if !self.new.print_nonce {
                    self.confirm(context, &account, &handle)?;
                    // What has arrived goes along. Without an answer it stays where it is.
                    let _ = Box::pin(old.receive()).await;
                }
                if !self.server_gone {
                    // Another device may have changed it, and the new server is told. One call.
                    let _ = Box::pin(old.who_may_write()).await;
                }
                match Box::pin(sign_in.take_over(context)).await? {
                    Some(signed_in) => drop(signed_in),
                    None => return Ok(()),
                }
                let missing = || CommandFailure::new(format!("the sign-in of {handle} was never finished"));
                context.client_of(&handle)?.ok_or_else(missing)?
            }
        };
        if new.former_account()?.as_ref() != Some(&old.me()) {
            let what = format!("{handle} was not made for a move from {}", account.handle);
            return Err(CommandFailure::new(what)
                .next("eko account move HANDLE, with a name that nobody has")
                .exit(Exit::Usage));
        }
        if !self.server_gone && old.moved_account()?.is_none() {
            Box::pin(add_to_groups(context, &old, &new.me())).await?;
        }
        let former = FormerDevice { store: &left.database, actor: &left.actor, is_reset: true };
        // What waits to be sent is known to the new account before the old one is told that it has ended.
        new.bring_over(former)?;
        let again = format!("eko --as {} account move {} again", account.name(), bare(&handle));
        let departed = Box::pin(old.depart(&new, self.server_gone)).await;
        let departure = departed.map_err(|error| CommandFailure::from(error).next_in_time(&again))?;
        if !self.server_gone {
            // The last that has arrived goes along. Without an answer, a repetition brings it over.
            let _ = Box::pin(old.flush()).await;
            let _ = Box::pin(old.receive()).await;
        }
        new.bring_over(former)?;
        Box::pin(new.take_over(departure.nodes)).await?;
        let lost = new.lost_blocks()?;
        for party in &lost {
            context.out.remark(&format!(
                "The new server does not block {} for you, as the old one did: eko blocks shows whom it blocks.",
                party.as_str()
            ));
        }
        if let Some(setting) = new.carried_setting()? {
            let (name, setting) = (bare(&handle), setting.as_str());
            context.out.remark(&format!(
                "The new server did not take over who may write to you. Set it again: eko --as {name} settings \
                 --who-may-write {setting}"
            ));
        }
        // Who cannot be told now is told by whatever the new account does next.
        let _ = Box::pin(new.flush()).await;
        let progress = new.move_progress()?.unwrap_or_default();
        tell(context, &account, &handle, progress, &lost)
    }

    /// Explains the move, and asks for the name of the new account, or compares the one that is given by
    /// `--yes`.
    fn confirm(
        &self,
        context: &Context,
        account: &AccountFolder,
        new: &Handle,
    ) -> Result<(), CommandFailure> {
        let (old, name) = (account.name(), bare(new));
        let given = match &self.yes {
            Some(given) => given.clone(),
            None => ask(context, &old, &name)?,
        };
        if given.trim().trim_start_matches('@') == name {
            return Ok(());
        }
        let what = format!("that is not {name}: nothing was changed");
        let next =
            format!("eko account move {name}, and type {name}; or eko account move {name} --yes {name}");
        Err(CommandFailure::new(what).next(next).exit(Exit::Usage))
    }
}

/// Returns a handle without the sign in front.
fn bare(handle: &Handle) -> String {
    handle.to_string().trim_start_matches('@').to_owned()
}

/// Explains the move, and reads what the person types.
fn ask(context: &Context, old: &str, name: &str) -> Result<String, CommandFailure> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        let what =
            "this asks for the name of the new account before it goes on, and standard input is no terminal";
        return Err(CommandFailure::new(what)
            .next(format!("eko account move {name} --yes {name}"))
            .exit(Exit::Usage));
    }
    context.out.prompt(&format!(
        "This moves you from {old} to {name}, for good. The new account takes over the messages, contacts and \
         blocks that are here. Your contacts are told and go on with it. {old} sends nothing any more, gets no new \
         devices and cannot be reset; this device can still read what arrived before, and delete it. In groups \
         where you are no admin, \
         somebody has to add the new account.\n\
         It cannot be undone. Type {name} to move:"
    ));
    let mut typed = String::new();
    stdin.lock().read_line(&mut typed)?;
    Ok(typed)
}

/// Adds the new account to the groups of which the old one is an admin, and makes it an admin there. What
/// does not succeed is left to another admin.
async fn add_to_groups(context: &Context, old: &HttpMessenger, new: &Person) -> Result<(), CommandFailure> {
    let (me, actor) = (old.me().actor(), new.actor());
    for group in old.groups()? {
        let (state, name) = (&group.state, group.state.name());
        if !group.member || !state.admins().contains(&me) || state.admins().contains(&actor) {
            continue;
        }
        let mut changed = Ok(());
        if !state.members().contains(&actor) {
            changed = old.change_group(state.id(), Proposal::Add([actor.clone()].into())).await.map(drop);
        }
        if changed.is_ok() {
            changed = old.change_group(state.id(), Proposal::Promote([actor.clone()].into())).await.map(drop);
        }
        match changed {
            Ok(()) => context.out.remark(&format!("The new account is invited to {name:?}.")),
            Err(error) => context.out.remark(&format!(
                "The new account could not be added to {name:?}: {error}. Ask another admin to add it."
            )),
        }
    }
    Ok(())
}

/// Tells what has become of the move.
fn tell(
    context: &Context,
    account: &AccountFolder,
    new: &Handle,
    progress: MoveProgress,
    lost: &[BlockedParty],
) -> Result<(), CommandFailure> {
    let MoveProgress { contacts, told, failed } = progress;
    let (old, name) = (account.handle.to_string(), bare(new));
    let waiting = contacts.saturating_sub(told).saturating_sub(failed);
    let rest = match (waiting, failed) {
        (0, 0) => String::new(),
        (0, failed) => format!(" {failed} of them cannot be told: write to them."),
        (waiting, _) => {
            format!(
                " {waiting} of them are told later: keep eko --as {name} listen running, or run it now and then."
            )
        }
    };
    let text = format!(
        "You have moved from {old} to {new}. Contacts who were told: {told} of {contacts}.{rest} Use the new account \
         from now on: eko --as {name}. Sign your other devices in there: eko login {name}. When nothing of the old \
         account is needed any more: eko --as {} account delete",
        account.name()
    );
    let object = json!({
        "type": "account", "handle": old, "movedTo": new.to_string(), "contacts": contacts, "told": told,
        "failed": failed, "lostBlocks": lost.iter().map(BlockedParty::as_str).collect::<Vec<_>>(),
    });
    context.out.result(&text, &object)
}
