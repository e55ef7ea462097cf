//! `eko login`: signs in with a new device on this machine, or again with the device that is here.

mod failure;
mod former;
pub(in crate::commands) mod id_token;
mod server;
mod told;

use std::future::pending;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use clap::Args;
use eko_client::capabilities::Capabilities;
use eko_client::device::{RegistrationStatus, SignInOutcome};
use eko_client::messenger::{MessengerError, Person, PreparedSignIn, SignInRequest};
use eko_client::store::FormerDevice;
use eko_client::{ClientError, DeviceStore, HttpTransport, KeyCounts, Messenger};
use eko_protocol::address::Handle;
use eko_protocol::limits::MAX_DEVICE_NAME_CHARS;
use serde_json::json;
use tokio::time::timeout;

use crate::ask;
use crate::context::{Context, HttpMessenger};
use crate::failure::{CommandFailure, Exit};
use crate::home::{AccountFolder, PreparedAccount};
use crate::interruption::Interruption;
use crate::libsignal::LibSignal;
use crate::oidc::BrowserSignIn;
use crate::partial_handle::PartialHandle;
use crate::show;
use failure::SignInFailure;
use former::EndedSignIn;
use told::Takeover;

/// The account from which a person moves to the one that signs in.
#[derive(Debug, Clone)]
pub(in crate::commands) struct LeftAccount {
    /// The actor id of that account.
    pub(in crate::commands) actor: String,
    /// The database of its device.
    pub(in crate::commands) database: PathBuf,
}

/// The name of a device whose user gives it none.
pub(super) const DEVICE_NAME: &str = "eko";
/// The time that a person has in the browser.
pub(super) const WAIT: Duration = Duration::from_secs(5 * 60);
/// The longest time since the person signed in at the issuer, for a reset or a deletion. It leaves five of the
/// ten minutes that a server allows.
pub(super) const FRESH_SIGN_IN: Duration = Duration::from_secs(5 * 60);
/// The time that the domain of the handles has to name the user.
const HANDLE_PATIENCE: Duration = Duration::from_secs(5);
/// The command that shows the nonce for an ID token.
const PRINT_NONCE: &str = "eko login NAME --print-nonce";

const MORE: &str = "\
The server's issuer confirms who you are: your browser opens the issuer's page, and returns here. The \
development issuer of a server on this machine asks for no password, so no browser is needed.

Each sign-in is bound to the server and to the keys of this device: the ID token that the issuer gives \
carries a nonce that is made from both. Whoever gets the token cannot use it at another server or for \
another device. If the server uses the same sign-in as another server that you know, eko asks before anything \
is shown or sent; a script that trusts the server says --shared-issuer.

The first device of a name claims the name. A further device shows a joining code, and waits until you \
have entered the code on another of your devices: eko devices approve. If you end the wait, eko login \
goes on with it, with the same code. If you have lost all your other devices, --reset revokes them \
and begins anew; it asks first. Keys are made on this machine, and their private halves never leave it.

A device that was revoked, or that the server has forgotten, cannot be used again. --anew makes \
another device in its place, and in the place of one that still waits for approval. A reset always \
needs a new device: where there is one already, --anew --reset replaces it too. What waits in the old one's \
mailbox is read before that; if that cannot be done, eko says so. The new device takes over \
messages, people, groups and what was not sent; the old one's files are kept in another folder.

Examples:
  eko login alice
  eko login alice@chat.example --device-name 'my desk'
  eko login alice --server http://localhost:9000
  nonce=$(eko login alice@chat.example --print-nonce)
  my-issuer-cli token --nonce \"$nonce\" | eko login alice@chat.example --id-token -";

/// The options of `eko login`.
#[derive(Debug, Args)]
#[command(after_help = MORE)]
pub(crate) struct LoginArgs {
    /// Your name, new or not, with or without the server: alice, alice@chat.example
    #[arg(value_name = "HANDLE")]
    who: PartialHandle,
    /// The server's URL [default: the URL of the handle's host; without a host the server of the account
    /// of that name on this machine, or else http://localhost:8080; env: EKO_SERVER]
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    #[command(flatten)]
    way: SignInWay,
    /// Show the nonce that the issuer must put into an ID token for --id-token, and end
    #[arg(long, conflicts_with_all = ["id_token", "print_url", "redirect_port", "anew"])]
    print_nonce: bool,
    /// Make another device if this one was revoked, waits for approval, or was forgotten by its
    /// server; the old device's files are moved to another folder
    #[arg(long)]
    anew: bool,
    /// Revoke all your devices, because you have lost them, and begin anew with this one; your
    /// contacts are warned
    #[arg(long)]
    reset: bool,
    /// Sign in though the server uses the same sign-in as another one, and do not ask: the answer of a
    /// script to that question
    #[arg(long)]
    shared_issuer: bool,
    /// Do not ask for confirmation of a reset
    #[arg(long, requires = "reset")]
    yes: bool,
    /// Do not wait for the approval of a further device: only show its joining code
    #[arg(long)]
    no_wait: bool,
    /// The account from which the person moves to this one, which is new.
    #[arg(skip)]
    left: Option<LeftAccount>,
}

impl LoginArgs {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), CommandFailure> {
        let http = context.http()?;
        let capabilities = self.capabilities(context, &http).await?;
        let handle = Handle::new(self.who.user.clone(), &capabilities.origin);
        context.note_account(&handle);
        if self.reset && !self.yes && !self.print_nonce {
            self.confirm_reset(context, &handle).await?;
        }
        self.ask_of_shared_issuer(context, &capabilities)?;
        let PreparedAccount { account, is_new } = context.home.prepare(&handle)?;
        require_not_begun_by_move(context, &account)?;
        if self.print_nonce {
            return self.show_nonce(context, &capabilities, &account).await;
        }
        let replaces = self.anew && !is_new;
        let why = match self.sign_in(context, &http, &capabilities, &account).await {
            Ok(device)
                if replaces && device.again && device.registered.status == RegistrationStatus::Pending =>
            {
                "the device that was here only waited for approval".to_owned()
            }
            Ok(device) if replaces && device.again => {
                let what =
                    format!("{handle} still has this device, which is signed in: nothing was set aside");
                return Err(CommandFailure::new(what).next("eko devices revoke ID, if it is to go"));
            }
            Ok(device) => return self.tell(context, &device, None).await,
            Err(SignInFailure::Messenger(MessengerError::ResetHere)) if replaces => {
                "the device that was here is replaced, because a reset begins with a new one".to_owned()
            }
            Err(SignInFailure::Messenger(error)) if replaces && failure::is_lost(&error) => {
                context.explained(CommandFailure::new(error)).to_string()
            }
            Err(error) => {
                if is_new && error.was_refused() && never_registered(context, &account)? {
                    context.home.remove(&account)?;
                }
                return Err(self.failure(error, &capabilities));
            }
        };
        let aside = context.home.set_aside(&account, &stamp(context))?;
        let tell_replaced = || context.out.remark(&format!("{why}."));
        if self.way.id_token.is_some() {
            tell_replaced();
            let what = format!(
                "the files of the former device are in {}; the new device needs an ID token of its own",
                aside.display()
            );
            // Without the reset, the new device would wait beside one that nobody has any more.
            let reset = if self.reset { " --reset" } else { "" };
            let next = format!(
                "eko login {handle}{reset} --print-nonce, and with a token for it eko login {handle}{reset} \
                 --id-token FILE"
            );
            return Err(CommandFailure::new(what).next(next));
        }
        let PreparedAccount { account, .. } = context.home.prepare(&handle)?;
        match self.sign_in(context, &http, &capabilities, &account).await {
            Ok(device) => {
                tell_replaced();
                self.tell(context, &device, Some(&aside)).await
            }
            Err(error) => {
                let is_brought_back = error.was_refused() && never_registered(context, &account)?;
                if is_brought_back {
                    context.home.remove(&account)?;
                    context.home.bring_back(&aside, &account)?;
                } else {
                    tell_replaced();
                    context.out.remark(&format!("The files of the former device are in {}", aside.display()));
                }
                let failure = self.failure(error, &capabilities);
                Err(if is_brought_back { failure.led_by("nothing was changed: ") } else { failure })
            }
        }
    }

    /// Returns the command that shows the nonce for an ID token.
    fn nonce_command(&self) -> &'static str {
        match self.left {
            Some(_) => "eko account move HANDLE --print-nonce",
            None => PRINT_NONCE,
        }
    }

    /// Returns the handle of the account that signs in, as its server names it.
    ///
    /// # Errors
    /// No server answers, or another one.
    pub(in crate::commands) async fn handle(&self, context: &Context) -> Result<Handle, CommandFailure> {
        let capabilities = self.capabilities(context, &context.http()?).await?;
        Ok(Handle::new(self.who.user.clone(), &capabilities.origin))
    }

    /// Registers the first device of a new account that takes over from another one of the same person, and
    /// returns it. Without a device, only the nonce for it was shown.
    ///
    /// # Errors
    /// Those of `eko login`; the account is there already.
    pub(in crate::commands) async fn take_over(
        &self,
        context: &Context,
    ) -> Result<Option<HttpMessenger>, CommandFailure> {
        let http = context.http()?;
        let capabilities = self.capabilities(context, &http).await?;
        self.ask_of_shared_issuer(context, &capabilities)?;
        let handle = Handle::new(self.who.user.clone(), &capabilities.origin);
        let PreparedAccount { account, is_new } = context.home.prepare(&handle)?;
        if self.print_nonce {
            let shown = self.show_nonce(context, &capabilities, &account).await;
            if is_new && shown.is_err() && never_registered(context, &account)? {
                context.home.remove(&account)?;
            }
            return shown.map(|()| None);
        }
        match self.sign_in(context, &http, &capabilities, &account).await {
            Ok(device) => Ok(Some(device.client)),
            Err(error) => {
                if is_new && error.was_refused() && never_registered(context, &account)? {
                    context.home.remove(&account)?;
                }
                Err(self.failure(error, &capabilities))
            }
        }
    }

    /// Prepares the sign-in of the device in this folder. The keys of a new one are made and kept. Returns what
    /// it has taken over, too.
    fn prepare(
        &self,
        context: &Context,
        capabilities: &Capabilities,
        account: &AccountFolder,
    ) -> Result<(PreparedSignIn<HttpTransport>, Option<Takeover>), MessengerError> {
        let Capabilities { origin, issuer, audience, .. } = capabilities.clone();
        let actor = origin.actor(&self.who.user);
        let request = SignInRequest {
            origin,
            issuer,
            audience,
            user: self.who.user.clone(),
            device_name: Some(self.way.device_name.as_deref().unwrap_or(DEVICE_NAME).to_owned()),
            counts: KeyCounts::default(),
            reset: self.reset,
        };
        let store = DeviceStore::open(&account.database())?;
        let carried = match &self.left {
            _ if store.has_device()? => None,
            Some(LeftAccount { actor, database }) => {
                let former = FormerDevice { store: database, actor, is_reset: true };
                Some(Takeover::Copied(store.carry_over_to_move(former)?))
            }
            None => former::carry_over(context, account, &store, &actor),
        };
        let prepared =
            PreparedSignIn::new(HttpTransport::new()?, store, context.environment.clone(), request)?;
        let prepared = match &self.left {
            Some(left) => prepared.after(left.actor.clone()),
            None => prepared,
        };
        Ok((prepared, carried))
    }

    /// Signs in with the device in this folder, with an ID token that is made for it. Says what the device has
    /// taken over, unless the sign-in was refused.
    async fn sign_in(
        &self,
        context: &Context,
        http: &HttpTransport,
        capabilities: &Capabilities,
        account: &AccountFolder,
    ) -> Result<SignedInDevice, SignInFailure> {
        let (prepared, mut carried) = self.prepare(context, capabilities, account)?;
        if self.left.is_some() {
            prepared.require_new_name().await?;
        }
        let done = self.complete(context, http, capabilities, account, prepared).await;
        if let (Ok(device), None) = (&done, &self.left) {
            let actor = capabilities.origin.actor(&self.who.user);
            let sign_in = EndedSignIn { actor: &actor, is_reset: self.reset, again: device.again };
            let has_ended = |former: &AccountFolder| former::has_ended(context, former, &device.client);
            let settled = former::settle(&context.home, account, sign_in, has_ended);
            match (settled, &carried) {
                (Ok(_), Some(Takeover::Failed(_))) => {
                    // It has succeeded now.
                    let taken_over = DeviceStore::open(&account.database()).and_then(|it| it.taken_over());
                    carried = Some(Takeover::Done(taken_over.map_err(MessengerError::from)?));
                }
                (Ok(brought), None) if brought > 0 => context.out.remark(&told::late(brought)),
                (Ok(_), _) => {}
                // That nothing was taken over is told below.
                (Err(_), Some(Takeover::Failed(_))) => {}
                (Err(failure), _) => context.out.prompt(&format!("{failure}.")),
            }
        }
        if done.as_ref().err().is_none_or(|error| !error.was_refused())
            && let Some(carried) = carried
        {
            let is_active = done.as_ref().is_ok_and(|it| it.registered.status == RegistrationStatus::Active);
            context.out.remark(&carried.to_text(is_active.then_some(account)));
        }
        done
    }

    async fn complete(
        &self,
        context: &Context,
        http: &HttpTransport,
        capabilities: &Capabilities,
        account: &AccountFolder,
        prepared: PreparedSignIn<HttpTransport>,
    ) -> Result<SignedInDevice, SignInFailure> {
        // A move goes on after the sign-in, and nothing else of it hears an interruption.
        let heard = self.left.is_none().then(Interruption::heard).transpose();
        let mut interruption = heard.map_err(CommandFailure::from)?;
        let mut interrupted = pin!(async {
            match &mut interruption {
                Some(interruption) => interruption.happened().await,
                None => pending().await,
            }
        });
        let id_token = match &self.way.id_token {
            Some(file) => id_token::read(file, self.nonce_command())?,
            None => {
                let way = BrowserSignIn {
                    nonce: prepared.challenge().nonce(),
                    login_hint: Some(self.who.user.as_str()),
                    port: self.way.redirect_port,
                    wait: WAIT,
                    // A server takes a reset only after a fresh sign-in, and an issuer may have
                    // signed the person in long ago.
                    max_age: self.reset.then_some(FRESH_SIGN_IN),
                };
                let asked = id_token::ask_issuer(context, http, capabilities, way, self.way.print_url);
                tokio::select! {
                    id_token = asked => id_token?,
                    () = &mut interrupted => return Err(failure::interrupted().into()),
                }
            }
        };
        if self.reset {
            // Directly before the reset, after which the former device reads nothing any more.
            let actor = capabilities.origin.actor(&self.who.user);
            let unread = tokio::select! {
                unread = Box::pin(former::read_to_the_end(context, account, &actor)) => unread?,
                () = &mut interrupted => return Err(failure::interrupted().into()),
            };
            unread.iter().for_each(|unread| context.out.prompt(&format!("{unread}.")));
        }
        let again = account.is_registered();
        let (client, registered) = tokio::select! {
            completed = Box::pin(prepared.complete(LibSignal, &id_token)) => completed?,
            () = &mut interrupted => return Err(SignInFailure::Interrupted),
        };
        let client = context.reaching(client);
        let (me, domain) = (client.me(), capabilities.handle_domain.as_deref());
        if domain.is_some_and(|domain| domain != me.origin.authority()) {
            // The handle at that domain is kept if the domain names the user by now. `eko profile` looks again.
            let _ = timeout(HANDLE_PATIENCE, client.look_at_profile(&me)).await;
        }
        Ok(SignedInDevice { client, registered, again })
    }

    /// Shows the nonce that the ID token must carry. The next `eko login` takes a token with it.
    async fn show_nonce(
        &self,
        context: &Context,
        capabilities: &Capabilities,
        account: &AccountFolder,
    ) -> Result<(), CommandFailure> {
        let (prepared, carried) = self.prepare(context, capabilities, account)?;
        if self.left.is_some() {
            let new = prepared.require_new_name().await;
            new.map_err(|error| self.failure(error.into(), capabilities))?;
        }
        carried.iter().for_each(|carried| context.out.remark(&carried.to_text(None)));
        let Capabilities { issuer, audience, .. } = capabilities;
        let nonce = prepared.challenge().nonce();
        context.out.result(nonce, &json!({ "nonce": nonce, "issuer": issuer, "audience": audience }))
    }

    /// Asks whether all other devices are to go.
    async fn confirm_reset(&self, context: &Context, handle: &Handle) -> Result<(), CommandFailure> {
        let unread = Box::pin(former::unread(context, handle, self.anew)).await?;
        let unread: String = unread.iter().map(|unread| format!("\n{unread}.")).collect();
        let question = format!(
            "A reset revokes every device of {handle}, for good: none of them reads or sends any more. Your \
             contacts are warned, and send nothing until they have accepted this device. Your groups are lost: \
             an admin of each has to remove you and add you again, and a group whose only admin you are has \
             none any more, so begin a new one. If you have lost one device only, revoke that one: eko devices \
             revoke ID, on another.{unread}\n\
             Have you lost all your devices, and are they to be revoked?"
        );
        let anew = if self.anew { " --anew" } else { "" };
        ask::yes(context, &question, &format!("eko login {handle}{anew} --reset --yes"))
    }

    /// Converts an error of the sign-in. A further device that is one too many is told how room is
    /// made: that is the only limit on registrations apart from the one on resets.
    fn failure(&self, error: SignInFailure, capabilities: &Capabilities) -> CommandFailure {
        let error = match error {
            SignInFailure::NoToken(failure) => return failure,
            SignInFailure::Interrupted => {
                let failure = failure::interrupted();
                let unknown =
                    format!("{failure} while the server was asked, which may have registered this device");
                return failure.worded(&unknown).next("the same command again");
            }
            SignInFailure::Messenger(error) => error,
        };
        let given = self.way.id_token.as_ref();
        if let Some(refused) =
            given.and_then(|_| id_token::refused(&error, capabilities, self.nonce_command()))
        {
            return refused;
        }
        let crowded = match &error {
            MessengerError::Client(ClientError::Problem(problem)) => {
                problem.slug() == "too-many" && !self.reset
            }
            _ => false,
        };
        let is_gone = match &error {
            MessengerError::PersonDeleted(_) => true,
            MessengerError::Client(ClientError::Problem(problem)) => problem.slug() == "user-deleted",
            _ => false,
        };
        let failure = CommandFailure::from(error);
        match (crowded, is_gone) {
            (_, true) if self.left.is_some() => failure
                .next("eko account move with another name; nobody gets this one any more")
                .exit(Exit::Usage),
            (true, _) => failure
                .next("eko devices turn-away ID, on another device, for each that is not yours any more"),
            (false, true) => failure.next("eko login with another name; nobody gets this one any more"),
            (false, false) => failure,
        }
    }
}

/// The options of every sign-in: the name of the device, and how an ID token is had.
#[derive(Debug, Clone, Args)]
struct SignInWay {
    /// A name for this device, which it keeps; the server sees it [default: eko]
    #[arg(long, value_name = "NAME", value_parser = device_name)]
    device_name: Option<String>,
    /// Read the issuer's ID token from a file, or from standard input (-)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["print_url", "redirect_port"])]
    id_token: Option<PathBuf>,
    /// Show the address of the sign-in page, and open no browser
    #[arg(long)]
    print_url: bool,
    /// The port on 127.0.0.1 to which the browser returns, if the issuer requires a fixed one
    /// [default: a free port]
    #[arg(long, value_name = "PORT")]
    redirect_port: Option<u16>,
}

/// The options of the sign-in at a new account to which a person moves.
#[derive(Debug, Args)]
pub(in crate::commands) struct NewAccountArgs {
    /// The new account, with or without the server: alice@new.example
    #[arg(value_name = "HANDLE")]
    who: PartialHandle,
    /// The new server's URL [default: the URL of the handle's host]
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    #[command(flatten)]
    way: SignInWay,
    /// Show the nonce that the issuer must put into an ID token for --id-token, and end
    #[arg(long, conflicts_with_all = ["id_token", "print_url", "redirect_port"])]
    pub(in crate::commands) print_nonce: bool,
    /// Sign in though the new server uses the same sign-in as another one, and do not ask
    #[arg(long)]
    shared_issuer: bool,
}

impl NewAccountArgs {
    /// Returns the sign-in at the new account, for a person who leaves another one.
    pub(in crate::commands) fn sign_in(&self, left: LeftAccount) -> LoginArgs {
        LoginArgs {
            who: self.who.clone(),
            server: self.server.clone(),
            way: self.way.clone(),
            print_nonce: self.print_nonce,
            anew: false,
            reset: false,
            shared_issuer: self.shared_issuer,
            yes: false,
            no_wait: true,
            left: Some(left),
        }
    }
}

/// A device that has signed in, and the server's answer to that.
struct SignedInDevice {
    client: HttpMessenger,
    registered: SignInOutcome,
    /// True if the device had signed in before.
    again: bool,
}

/// Reads the name of a device, which the server takes up to a length.
fn device_name(name: &str) -> Result<String, String> {
    match name.chars().count() {
        ..=MAX_DEVICE_NAME_CHARS => Ok(name.to_owned()),
        _ => Err(format!("it is longer than {MAX_DEVICE_NAME_CHARS} characters")),
    }
}

/// Returns the moment in a form that fits into a folder's name: `20260129T193000.123Z`.
fn stamp(context: &Context) -> String {
    show::instant(context.environment.now_ms()).replace(['-', ':'], "")
}

/// Fails if a folder has a copy of an account from which the person moves, and no server has registered its
/// device: it would become another account.
fn require_not_begun_by_move(context: &Context, account: &AccountFolder) -> Result<(), CommandFailure> {
    let store = DeviceStore::open(&account.database());
    let Ok(Some(awaited)) = store.and_then(|store| match store.is_registered()? {
        true => Ok(None),
        false => store.awaited_move(),
    }) else {
        return Ok(());
    };
    let from = Person::of(&awaited.from).map(|from| from.handle().to_string()).unwrap_or_default();
    let (old, new) = (from.trim_start_matches('@'), account.name());
    context.note_account(&account.handle);
    Err(CommandFailure::new(format!("{} was begun as the new account of {from}, from which you move", account.handle))
        .next(format!(
            "eko --as {old} account move {new}, which goes on with it; or delete the folder {}, which gives it up",
            account.path().display()
        ))
        .exit(Exit::Usage))
}

/// True if the account's keys were never registered at a server.
fn never_registered(context: &Context, account: &AccountFolder) -> Result<bool, CommandFailure> {
    let store = DeviceStore::open(&account.database())?;
    let client = Messenger::open(context.http()?, LibSignal, store, context.environment.clone())?;
    Ok(client.is_none_or(|client| client.device().tokens().is_none()))
}
