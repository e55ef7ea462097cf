//! `eko account move`: the person goes on with a new account.

use std::io::{BufRead as _, IsTerminal as _};
use std::time::Duration;

use clap::Args;
use eko_client::group::Proposal;
use eko_client::messenger::{Invitation, MessengerError, MoveProgress, Person, UntoldChange};
use eko_client::store::{DeviceEnd, FormerDevice};
use eko_protocol::address::Handle;
use eko_protocol::block::BlockedParty;
use eko_protocol::profile::PartChange;
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

use super::super::login::{LeftAccount, NewAccountArgs};
use super::losses::{AccountEnd, losses};
use crate::context::{Context, HttpMessenger};
use crate::failure::{CommandFailure, Exit};
use crate::home::AccountFolder;
use crate::people::{group_argument, named};

/// The time for which the old account goes on sending what waits before it is left.
const SEND_FIRST: Duration = Duration::from_secs(20);
/// The shortest pause between two attempts to send it.
const SHORTEST_PAUSE_MS: u64 = 500;

pub(super) const MORE: &str = "\
Use it to go on under another name or on another server, also if your server is about to close or is not to be \
trusted any more. It makes a new account, which takes over the messages, contacts and blocks on this machine, \
your display name and avatar, and what was not sent. It sends nothing before you have moved: if the move is refused, \
it waits, and says how to go on with it or to give it up. Then a device of the old account signs where you are, and the new one tells your contacts, \
but for those whom you block. Its server is told whom you block, and who may write to you. \
Their programs compare the signatures of both accounts and go on with the new one by themselves: you stay \
verified, and they are told. No server can fake that or take it back.

It cannot be undone, and nobody gets the old name again, not even you: the old account sends nothing any more, gets no new devices, and cannot be reset. Its \
devices read what arrived before, and can delete it (eko account delete). Nobody can without one of them: keep \
one until you have deleted the old account, if you want to. The new account must be one that \
nobody has yet. Your other devices sign in there as further devices: eko login.

A group does not move. Where you are an admin, the new account is added and made an admin, and gets an \
invitation: eko groups join. A member who cannot be told at once is named, and the new account does so. In other \
groups, ask an admin to add it. With --server-gone the old account changes no group any more: an admin of each has \
to add the new one, and you are told which groups that are.

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
        let again = self.command(&account, &handle);
        let found = context.client_of(&handle)?;
        if let Some(new) = &found {
            require_made_for(&old, new, &again)?;
            if self.new.print_nonce {
                let what = format!("{handle} has signed in already, so that no token is asked for");
                return Err(CommandFailure::new(what).next(again).exit(Exit::Usage));
            }
        }
        self.require_may_move(&old, &handle, found.is_some())
            .await
            .map_err(|failure| failure.next_again(&again))?;
        let is_new_decision = found.is_none() || (self.server_gone && old.moved_account()?.is_none());
        if is_new_decision && !self.new.print_nonce {
            let end = if self.server_gone { AccountEnd::LeftWithoutServer } else { AccountEnd::Left };
            for loss in losses(&old, end)? {
                context.out.remark(&loss);
            }
            self.confirm(context, &account, &handle)?;
        }
        let new = match found {
            Some(new) => new,
            None => {
                if !self.new.print_nonce {
                    // What has arrived goes along. Without an answer it stays where it is.
                    let _ = Box::pin(old.receive()).await;
                }
                let signed_in = Box::pin(sign_in.take_over(context)).await;
                match signed_in.map_err(|failure| failure.next_again(&again))? {
                    Some(signed_in) => drop(signed_in),
                    None => return Ok(()),
                }
                let missing = || CommandFailure::new(format!("the sign-in of {handle} was never finished"));
                context.client_of(&handle)?.ok_or_else(missing)?
            }
        };
        if old.moved_account()?.is_none() {
            require_there(&new).await.map_err(|failure| failure.next_again(&again))?;
        }
        if !self.server_gone && old.moved_account()?.is_none() {
            Box::pin(join_own_groups(context, &old)).await.map_err(|failure| failure.next_again(&again))?;
            Box::pin(add_to_groups(context, &old, &new.me())).await?;
            Box::pin(old.announce_move(&new.me())).await?;
            Box::pin(tell_members(context, &old, &new.me())).await?;
        }
        let former = FormerDevice { store: &left.database, actor: &left.actor, is_reset: true };
        // What waits to be sent is known to the new account before the old one is told that it has ended.
        new.bring_over(former)?;
        let departed = Box::pin(old.depart(&new, self.server_gone)).await;
        let departure = departed.map_err(|error| CommandFailure::from(error).next_again(&again))?;
        if !self.server_gone {
            // The last that has arrived goes along. Without an answer, a repetition brings it over.
            let _ = Box::pin(old.flush()).await;
            let _ = Box::pin(old.receive()).await;
        }
        new.bring_over(former)?;
        if new.move_progress()?.is_none() {
            Box::pin(carry_profile(context, &old, &new)).await?;
        }
        let taken_over = Box::pin(new.take_over(departure.nodes)).await;
        taken_over.map_err(|error| CommandFailure::from(error).next_again(&again))?;
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
        // What the old one has not sent follows.
        if Box::pin(new.put_taken_over()).await.is_ok() {
            let _ = Box::pin(new.flush()).await;
        }
        let progress = new.move_progress()?.unwrap_or_default();
        tell(context, &account, &handle, progress, &lost, self.server_gone)
    }

    /// Returns the command that goes on with the move.
    fn command(&self, account: &AccountFolder, new: &Handle) -> String {
        let gone = if self.server_gone { " --server-gone" } else { "" };
        format!("eko --as {} account move {}{gone}", account.name(), bare(new))
    }

    /// Succeeds if the old account can be left for the new one, as far as that is known before the sign-in: a
    /// move that is refused later leaves a new account that waits. Its server is asked, unless it is gone or
    /// has stored the move already. Two calls.
    async fn require_may_move(
        &self,
        old: &HttpMessenger,
        new: &Handle,
        is_signed_in: bool,
    ) -> Result<(), CommandFailure> {
        if old.moved_account()?.is_none() && !self.server_gone {
            old.check_this_device().await?;
        }
        match old.moved_account()? {
            // The answer to the node was lost, or what follows it was not done.
            Some(to) if is_signed_in && to.handle() == *new => return Ok(()),
            Some(_) => old.require_not_moved()?,
            None => {}
        }
        if let Some(end) = old.device_end()? {
            return Err(MessengerError::from(end).into());
        }
        if self.server_gone {
            return match old.bound_elsewhere(new)? {
                Some(to) => Err(MessengerError::AccountMoved(to.handle().to_string()).into()),
                None => Ok(()),
            };
        }
        // Another device may have changed the setting, and the new server is told.
        match Box::pin(old.who_may_write()).await {
            Err(
                error @ (MessengerError::SignedOut
                | MessengerError::Forgotten
                | MessengerError::Pending
                | MessengerError::Revoked
                | MessengerError::AccountDeleted
                | MessengerError::AccountMoved(_)),
            ) => Err(error.into()),
            _ => Ok(()),
        }
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
            None => ask(context, &old, &name, &self.command(account, new), self.server_gone)?,
        };
        if given.trim().trim_start_matches('@') == name {
            return Ok(());
        }
        let what = format!("that is not {name}: nothing was changed");
        let command = self.command(account, new);
        let next = format!("{command}, and type {name}; or {command} --yes {name}");
        Err(CommandFailure::new(what).next(next).exit(Exit::Usage))
    }
}

/// Returns a handle without the sign in front.
fn bare(handle: &Handle) -> String {
    handle.to_string().trim_start_matches('@').to_owned()
}

/// Explains the move, and reads what the person types.
fn ask(
    context: &Context,
    old: &str,
    name: &str,
    command: &str,
    is_server_gone: bool,
) -> Result<String, CommandFailure> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        let what =
            "this asks for the name of the new account before it goes on, and standard input is no terminal";
        return Err(CommandFailure::new(what).next(format!("{command} --yes {name}")).exit(Exit::Usage));
    }
    let gone = match is_server_gone {
        true => format!(
            "\nThe server of {old} is not asked: do this only if it is gone for good. Your contacts have the move \
             then, whatever that server says later, also if another device of yours has done something else there."
        ),
        false => String::new(),
    };
    context.out.prompt(&format!(
        "This moves you from {old} to {name}, for good. The new account takes over the messages, contacts and \
         blocks that are here. Your contacts are told and go on with it. {old} sends nothing any more, gets no new \
         devices and cannot be reset; this device can still read what arrived before, and delete it. In groups \
         where you are no admin, \
         somebody has to add the new account. The name {old} is lost: nobody can have it again, or move back to it, \
         not even you.{gone}\n\
         It cannot be undone. Type {name} to move:"
    ));
    let mut typed = String::new();
    stdin.lock().read_line(&mut typed)?;
    Ok(typed)
}

/// Succeeds if an account that is here was made for the move from the old one.
fn require_made_for(old: &HttpMessenger, new: &HttpMessenger, again: &str) -> Result<(), CommandFailure> {
    let end = new.device_end()?;
    if new.former_account()?.as_ref() == Some(&old.me()) && end != Some(DeviceEnd::Deleted) {
        return Ok(());
    }
    let handle = new.me().handle();
    let never = "and nobody moves to a name that somebody has, or has had";
    let what = match (new.moved_account()?, end) {
        (Some(to), _) => format!("{handle} was left by a move to {}, {never}", to.handle()),
        (None, Some(DeviceEnd::Deleted)) => format!("{handle} was deleted, {never}"),
        (None, _) => format!("{handle} is an account already, {never}"),
    };
    let next = again.replace(&bare(&handle), "HANDLE");
    Err(CommandFailure::new(what).next(format!("{next}, with a new name")).exit(Exit::Usage))
}

/// Succeeds if the server of the new account still has it. The old one cannot be left twice. One call.
async fn require_there(new: &HttpMessenger) -> Result<(), CommandFailure> {
    let named = |error: MessengerError| {
        CommandFailure::from(error).led_by(&format!("the new account {}: ", new.me().handle()))
    };
    new.check_this_device().await.map_err(named)?;
    new.device_end()?.map_or(Ok(()), |end| Err(named(end.into())))
}

/// Sends what waits, for a while, and names the members who have not been told of a change of their group.
async fn tell_members(context: &Context, old: &HttpMessenger, new: &Person) -> Result<(), CommandFailure> {
    let until = Instant::now() + SEND_FIRST;
    loop {
        // Without an answer it stays where it is.
        let _ = timeout(until.saturating_duration_since(Instant::now()), Box::pin(old.flush())).await;
        let due_ms = old.next_due_ms()?.unwrap_or_default();
        let wait_ms = u64::try_from(due_ms.saturating_sub(context.environment.now_ms())).unwrap_or_default();
        let pause = Duration::from_millis(wait_ms.max(SHORTEST_PAUSE_MS));
        let is_done = old.untold_changes()?.is_empty() && !old.is_announcing()?;
        if is_done || Instant::now() + pause > until {
            break;
        }
        sleep(pause).await;
    }
    for UntoldChange { group, member } in old.untold_changes()? {
        context.out.remark(&match member == *new {
            true => format!("The invitation to {group:?} cannot be sent now. Ask another admin for one."),
            false => format!(
                "{} was not told of the change of {group:?} yet: your new account does so.",
                named(old, &member.actor())
            ),
        });
    }
    Ok(())
}

/// Takes over the display name and the avatar. What does not succeed is left to the person.
async fn carry_profile(
    context: &Context,
    old: &HttpMessenger,
    new: &HttpMessenger,
) -> Result<(), CommandFailure> {
    let shown = match old.look_at_profile(&old.me()).await {
        Ok(shown) => shown,
        // What the person has last looked at.
        Err(_) => old.profile(&old.me().actor())?,
    };
    if shown.name.is_none() && shown.icon.is_none() {
        return Ok(());
    }
    let name = shown.name.map_or(PartChange::Keep, PartChange::Set);
    let icon = shown.icon.map_or(PartChange::Keep, PartChange::Set);
    if let Err(error) = new.change_profile(name, icon).await {
        context.out.remark(&format!(
            "The new server did not take over your display name and avatar: {}. Set them again: eko --as {} profile",
            CommandFailure::from(error),
            bare(&new.me().handle())
        ));
    }
    Ok(())
}

/// Joins the groups to which accounts have invited that the person has left for the old one: if they were admins,
/// nobody but the old account may be one that lives. An invitation that waits is read first.
///
/// # Errors
/// An invitation cannot be accepted now.
async fn join_own_groups(context: &Context, old: &HttpMessenger) -> Result<(), CommandFailure> {
    let former = old.former_accounts()?;
    if former.is_empty() {
        return Ok(());
    }
    // Without an answer there is what has come before.
    let _ = Box::pin(old.receive()).await;
    let is_own = |invitation: &Invitation| {
        !invitation.other_history && former.iter().any(|account| account.actor() == invitation.by)
    };
    for invitation in old.invitations()?.into_iter().filter(is_own) {
        let (id, name) = (invitation.state.id(), invitation.state.name());
        let joined = Box::pin(old.join_group(id, Person::of(&invitation.by).as_ref())).await;
        let still_open = |open: &Invitation| open.state.id() == id && open.by == invitation.by;
        match joined {
            Ok(_) => context
                .out
                .remark(&format!("You have joined {name:?}, to which you had invited this account.")),
            Err(error) if old.invitations()?.iter().any(still_open) => {
                let typed = group_argument(old, id.as_str());
                let failure = CommandFailure::from(error).led_by(&format!(
                    "the group {name:?}, to which you have invited this account, cannot be joined now, and would have \
                     no admin any more: "
                ));
                let eko = format!("eko --as {} groups", bare(&old.me().handle()));
                return Err(failure.next(format!("{eko} join {typed}, or {eko} decline {typed}")));
            }
            Err(error) => context.out.remark(&format!("The group {name:?} could not be joined: {error}.")),
        }
    }
    Ok(())
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
    is_server_gone: bool,
) -> Result<(), CommandFailure> {
    let MoveProgress { contacts, told, failed, awaited } = progress;
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
    let follow = match (awaited, is_server_gone) {
        (0, _) => "",
        (_, false) => {
            " Their programs follow when they next look. What you write until then is sent again if it does not \
             arrive."
        }
        (_, true) => {
            " Without the old server nobody is told who lets only known people write: ask them in another way to \
             write to you."
        }
    };
    let text = format!(
        "You have moved from {old} to {new}. Contacts who were told: {told} of {contacts}.{rest}{follow} Use the new account \
         from now on: eko --as {name}. Sign your other devices in there: eko login {name}. When nothing of the old \
         account is needed any more: eko --as {} account delete",
        account.name()
    );
    let object = json!({
        "type": "account", "handle": old, "movedTo": new.to_string(), "contacts": contacts, "told": told,
        "failed": failed, "awaited": awaited, "lostBlocks": lost.iter().map(BlockedParty::as_str).collect::<Vec<_>>(),
    });
    context.out.result(&text, &object)
}
