//! `eko account`: the account as a whole.

mod losses;
mod moving;

use std::io::{BufRead as _, IsTerminal as _};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use eko_client::capabilities::Capabilities;
use eko_client::messenger::MessengerError;
use eko_client::{ClientError, HttpTransport};
use eko_protocol::address::Handle;
use serde_json::json;

use self::losses::{AccountEnd, losses};
use super::login::{FRESH_SIGN_IN, WAIT, id_token};
use crate::context::{Context, HttpMessenger};
use crate::failure::{CommandFailure, Exit};
use crate::home::AccountFolder;
use crate::oidc::BrowserSignIn;

const MORE: &str = "\
What is deleted on your server: your devices and their keys, what waits in your mailboxes, your groups' \
records, your blocks and contacts, and your profile. Only your name stays, and the time: nobody else gets the \
name. Servers of people with whom you had contact in the last 30 days are told, and forget you too.

What stays: the messages that others have received, in their programs; the messages in the files on this \
machine and on your other devices, which read and send nothing any more; and your account at the issuer that \
you sign in with. Whoever writes to you is told that the account was deleted. In a group you stay a member \
until an admin removes you: leave your groups before, if you want them to know.

It cannot be undone. It needs a fresh sign-in. Within an hour after the account was created the server refuses \
it, so that nobody uses up many names; the failure says until when. If the answer is lost, run it again.

Examples:
  eko account delete
  eko account delete --yes alice@chat.example
  nonce=$(eko account delete --print-nonce)
  my-issuer-cli token --nonce \"$nonce\" | eko account delete --yes alice@chat.example --id-token -";

/// The command that shows the nonce for an ID token.
const PRINT_NONCE: &str = "eko account delete --print-nonce";

/// The options of `eko account`.
#[derive(Debug, Args)]
pub(crate) struct AccountArgs {
    #[command(subcommand)]
    action: AccountAction,
}

/// The subcommands of `eko account`.
#[derive(Debug, Subcommand)]
enum AccountAction {
    /// Delete your account, for good; asks for your name
    #[command(after_help = MORE)]
    Delete(DeleteArgs),
    /// Move to a new account, on this server or another one, for good; your contacts follow
    #[command(after_help = moving::MORE)]
    Move(moving::MoveArgs),
}

/// The options of `eko account delete`.
#[derive(Debug, Args)]
struct DeleteArgs {
    /// The handle of the account that is deleted, in the place of an answer: alice@chat.example
    #[arg(long, value_name = "HANDLE")]
    yes: Option<String>,
    /// Read the issuer's ID token from a file, or from standard input (-)
    #[arg(long, value_name = "FILE", requires = "yes", conflicts_with_all = ["print_url", "redirect_port"])]
    id_token: Option<PathBuf>,
    /// Show the nonce that the issuer must put into an ID token for --id-token, and end
    #[arg(long, conflicts_with_all = ["id_token", "print_url", "redirect_port", "yes"])]
    print_nonce: bool,
    /// Show the address of the sign-in page, and open no browser
    #[arg(long)]
    print_url: bool,
    /// The port on 127.0.0.1 to which the browser returns, if the issuer requires a fixed one
    /// [default: a free port]
    #[arg(long, value_name = "PORT")]
    redirect_port: Option<u16>,
}

impl AccountArgs {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), CommandFailure> {
        match &self.action {
            AccountAction::Delete(delete) => delete.run(context).await,
            AccountAction::Move(moving) => moving.run(context).await,
        }
    }
}

impl DeleteArgs {
    async fn run(&self, context: &Context) -> Result<(), CommandFailure> {
        let (account, client) = context.any_client()?;
        require_no_move_under_way(context, &client)?;
        // The answer to an earlier deletion may have been lost.
        if client.is_account_deleted().await? {
            return tell(context, &account);
        }
        client.require_not_ended().await?;
        let http = context.http()?;
        let origin = client.device().origin();
        let capabilities = Capabilities::fetch(&http, origin.as_str()).await?;
        let Capabilities { issuer, audience, .. } = &capabilities;
        if self.print_nonce {
            let challenge = client.deletion_challenge()?;
            let nonce = challenge.nonce();
            return context
                .out
                .result(nonce, &json!({ "nonce": nonce, "issuer": issuer, "audience": audience }));
        }
        for loss in losses(&client, AccountEnd::Deleted)? {
            context.out.remark(&loss);
        }
        self.confirm(context, &account.handle)?;
        let challenge = client.deletion_challenge()?;
        let id_token = self.id_token(context, &http, &capabilities, challenge.nonce()).await?;
        let deleted = client.delete_account(issuer, audience, &id_token).await;
        deleted.map_err(|error| self.refused(error, &capabilities))?;
        tell(context, &account)
    }

    /// Converts an error of the deletion.
    fn refused(&self, error: MessengerError, capabilities: &Capabilities) -> CommandFailure {
        let given = self.id_token.as_ref();
        if let Some(refused) = given.and_then(|_| id_token::refused(&error, capabilities, PRINT_NONCE)) {
            return refused;
        }
        let is_unanswered = matches!(error, MessengerError::Client(ClientError::Transport(_)));
        let failure = CommandFailure::from(error);
        match is_unanswered {
            true => failure.next("eko account delete again: it says whether the account was deleted"),
            false => failure.next_in_time("eko account delete again"),
        }
    }

    /// Returns the ID token of a fresh sign-in.
    async fn id_token(
        &self,
        context: &Context,
        http: &HttpTransport,
        capabilities: &Capabilities,
        nonce: &str,
    ) -> Result<String, CommandFailure> {
        if let Some(file) = &self.id_token {
            return id_token::read(file, PRINT_NONCE);
        }
        let (_, client) = context.any_client()?;
        let way = BrowserSignIn {
            nonce,
            login_hint: Some(client.device().user().as_str()),
            port: self.redirect_port,
            wait: WAIT,
            max_age: Some(FRESH_SIGN_IN),
        };
        id_token::ask_issuer(context, http, capabilities, way, self.print_url).await
    }

    /// Asks for the name of the account, or compares the one that is given by `--yes`.
    fn confirm(&self, context: &Context, handle: &Handle) -> Result<(), CommandFailure> {
        let name = handle.to_string().trim_start_matches('@').to_owned();
        let given = match &self.yes {
            Some(given) => given.clone(),
            None => ask(context, &name)?,
        };
        if given.trim().trim_start_matches('@') == name {
            return Ok(());
        }
        let what = format!("that is not {name}: nothing was deleted");
        let next = format!("eko account delete, and type {name}; or eko account delete --yes {name}");
        Err(CommandFailure::new(what).next(next).exit(Exit::Usage))
    }
}

/// Fails if the person may have moved to this account from another one here, and the move is not done: whoever
/// follows would come to a deleted account.
fn require_no_move_under_way(context: &Context, client: &HttpMessenger) -> Result<(), CommandFailure> {
    let Err(waits) = client.require_move_done() else { return Ok(()) };
    let left = client.former_account()?.map(|from| context.client_of(&from.handle())).transpose()?.flatten();
    let begun = left.map(|old| old.begun_move()).transpose()?.flatten();
    match begun {
        Some(to) if to == client.me() => {
            let what = format!("you may have moved to {} already: go on with the move first", to.handle());
            Err(CommandFailure::from(waits).worded(&what))
        }
        _ => Ok(()),
    }
}

/// Explains the deletion, and reads what the person types.
fn ask(context: &Context, name: &str) -> Result<String, CommandFailure> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        let what = "this asks for the name before it goes on, and standard input is no terminal";
        return Err(CommandFailure::new(what)
            .next(format!("eko account delete --yes {name}"))
            .exit(Exit::Usage));
    }
    context.out.prompt(&format!(
        "This deletes {name} on its server, for good: your devices, their keys, what waits for them, your \
         groups' records, contacts and blocks. Nobody else gets the name. The servers of people with whom you had \
         contact are told. What others have received stays with them, and the messages on this machine stay here. \
         You stay a member of your groups until an admin removes you: leave them before (eko groups leave).\n\
         Type {name} to delete it:"
    ));
    let mut typed = String::new();
    stdin.lock().read_line(&mut typed)?;
    Ok(typed)
}

/// Tells that the account is deleted, and what is left on this machine.
fn tell(context: &Context, account: &AccountFolder) -> Result<(), CommandFailure> {
    let folder = account.path().display().to_string();
    let handle = account.handle.to_string();
    let text = format!(
        "The account {handle} is deleted. Its messages on this machine are kept: eko history shows them, and eko \
         export writes them. To remove them, delete the folder {folder}"
    );
    context
        .out
        .result(&text, &json!({ "type": "account", "handle": handle, "deleted": true, "folder": folder }))
}
