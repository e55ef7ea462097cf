//! `eko login`: signs in with a new device on this machine, or again with the device that is here.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use eko_client::capabilities::Capabilities;
use eko_client::device::{RegistrationStatus, SignInOutcome};
use eko_client::messenger::{Distrust, MessengerError, SignInRequest};
use eko_client::{ClientError, DeviceStore, HttpTransport, KeyCounts, Messenger};
use eko_protocol::address::{Handle, Origin};
use serde_json::json;

use crate::ask;
use crate::context::{Context, HttpMessenger};
use crate::failure::{CommandFailure, Exit};
use crate::home::{AccountFolder, PreparedAccount};
use crate::joining::{self, WaitOutcome};
use crate::libsignal::LibSignal;
use crate::oidc::{BrowserSignIn, RelyingParty};
use crate::partial_handle::PartialHandle;
use crate::show;

/// The time that a person has in the browser.
const WAIT: Duration = Duration::from_secs(5 * 60);
/// The longest time since the person signed in at the issuer, for a reset. It leaves five of the
/// ten minutes that a server allows.
const FRESH_SIGN_IN: Duration = Duration::from_secs(5 * 60);
/// The effect of a reset, in words.
const RESET_DONE: &str = "\nAll your other devices are revoked. Your contacts are warned, and send nothing until they have accepted \
     this device.";
/// The longest ID token that is read from a file.
const MAX_TOKEN_BYTES: u64 = 64 << 10;

const MORE: &str = "\
The server's issuer confirms who you are: your browser opens the issuer's page, and returns here. The
development issuer of a server on this machine asks for no password, so no browser is needed.

The first device of a name claims the name. A further device shows a joining code, and waits until you
have entered the code on another of your devices: eko devices approve. If you end the wait, eko login
goes on with it, with the same code. If you have lost all your other devices, --reset revokes them
and begins anew; it asks first. Keys are made on this machine, and their private halves never leave it.

A device that was revoked, or that the server has forgotten, cannot be used again. --anew makes
another device in its place, and in the place of one that still waits for approval. A reset always
needs a new device: where there is one already, --anew --reset replaces it too. Run
`eko export` before, to keep the old messages in a form that other programs can read.

Examples:
  eko login alice
  eko login alice@chat.example --device-name 'my desk'
  eko login alice --server http://localhost:9000
  my-issuer-cli token | eko login alice@chat.example --id-token -";

/// The options of `eko login`.
#[derive(Debug, Args)]
#[command(after_help = MORE)]
pub(crate) struct LoginArgs {
    /// Your name, new or not, with or without the server: alice, alice@chat.example
    #[arg(value_name = "HANDLE")]
    who: PartialHandle,
    /// The server's URL [default: the URL of the handle's host, or http://localhost:8080]
    #[arg(long, value_name = "URL", env = "EKO_SERVER", hide_env_values = true)]
    server: Option<String>,
    /// A name for this device; your server sees it
    #[arg(long, value_name = "NAME", default_value = "eko")]
    device_name: String,
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
    /// Make another device if this one was revoked, waits for approval, or was forgotten by its
    /// server; the old device's files are moved to another folder
    #[arg(long)]
    anew: bool,
    /// Revoke all your devices, because you have lost them, and begin anew with this one; your
    /// contacts are warned
    #[arg(long)]
    reset: bool,
    /// Do not ask for confirmation of a reset
    #[arg(long, requires = "reset")]
    yes: bool,
    /// Do not wait for the approval of a further device: only show its joining code
    #[arg(long)]
    no_wait: bool,
}

impl LoginArgs {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), CommandFailure> {
        let http = context.http()?;
        let capabilities = self.capabilities(&http).await?;
        let origin = capabilities.origin.clone();
        let handle = Handle::new(self.who.user.clone(), &origin);
        if self.reset && !self.yes {
            self.confirm_reset(context, &handle)?;
        }
        let id_token = match &self.id_token {
            Some(file) => read_token(file)?,
            None => self.ask_issuer(context, &http, &capabilities).await?,
        };
        let PreparedAccount { account, is_new } = context.home.prepare(&handle)?;
        let sign_in = SignInRequest {
            origin,
            user: self.who.user.clone(),
            device_name: Some(self.device_name.clone()),
            counts: KeyCounts::default(),
            id_token,
            reset: self.reset,
        };
        let replaces = self.anew && !is_new;
        let why = match sign_in_with(context, &account, sign_in.clone()).await {
            Ok(device) if replaces && device.registered.status == RegistrationStatus::Pending => {
                "the device that was here only waited for approval".to_owned()
            }
            Ok(_) if replaces => {
                let what =
                    format!("{handle} still has this device, which is signed in: nothing was set aside");
                return Err(CommandFailure::new(what).next("eko devices revoke ID, if it is to go"));
            }
            Ok(device) => return self.tell(context, &account, &device, None).await,
            Err(MessengerError::ResetHere) if replaces => {
                "the device that was here is replaced, because a reset begins with a new one".to_owned()
            }
            Err(error) if replaces && is_lost(&error) => error.to_string(),
            Err(error) => {
                if is_new && was_refused(&error) && never_registered(context, &account)? {
                    account.remove()?;
                }
                return Err(self.failure(error));
            }
        };
        context.out.remark(&format!("{why}."));
        let aside = context.home.set_aside(&account, &stamp(context))?;
        let PreparedAccount { account, .. } = context.home.prepare(&handle)?;
        match sign_in_with(context, &account, sign_in).await {
            Ok(device) => self.tell(context, &account, &device, Some(&aside)).await,
            Err(error) => {
                if was_refused(&error) && never_registered(context, &account)? {
                    account.remove()?;
                    context.home.bring_back(&aside, &account)?;
                } else {
                    context.out.remark(&format!("The files of the former device are in {}", aside.display()));
                }
                Err(self.failure(error))
            }
        }
    }

    /// Asks whether all other devices are to go.
    fn confirm_reset(&self, context: &Context, handle: &Handle) -> Result<(), CommandFailure> {
        let question = format!(
            "A reset revokes every device of {handle}, for good: none of them reads or sends any more. Your \
             contacts are warned, and send nothing until they have accepted this device. If you have lost one \
             device only, revoke that one: eko devices revoke ID, on another.\n\
             Have you lost all your devices, and are they to be revoked?"
        );
        let anew = if self.anew { " --anew" } else { "" };
        ask::yes(context, &question, &format!("eko login {handle}{anew} --reset --yes"))
    }

    /// Converts an error of the sign-in. A further device that is one too many is told how room is
    /// made: that is the only limit on registrations apart from the one on resets.
    fn failure(&self, error: MessengerError) -> CommandFailure {
        let crowded = match &error {
            MessengerError::Client(ClientError::Problem(problem)) => {
                problem.slug() == "too-many" && !self.reset
            }
            _ => false,
        };
        let failure = CommandFailure::from(error);
        match crowded {
            true => failure
                .next("eko devices turn-away ID, on another device, for each that is not yours any more"),
            false => failure,
        }
    }

    /// Shows the device that has signed in. If it waits for approval, shows its joining code and
    /// waits.
    async fn tell(
        &self,
        context: &Context,
        account: &AccountFolder,
        signed_in: &SignedInDevice,
        aside: Option<&Path>,
    ) -> Result<(), CommandFailure> {
        let SignedInDevice { client, registered } = signed_in;
        let device = client.device();
        let mut object = json!({
            "handle": account.handle.to_string(),
            "actor": device.actor(),
            "device": device.id().to_string(),
            "status": "active",
            "setAside": aside,
        });
        let aside = aside.map(|aside| format!("\nThe files of the former device are in {}", aside.display()));
        let (handle, aside) = (&account.handle, aside.unwrap_or_default());
        if let (RegistrationStatus::Pending, Some(code)) = (registered.status, client.joining_code()?) {
            let mut pending = object.clone();
            pending["status"] = json!("pending");
            pending["joiningCode"] = json!(code.digits());
            let text = format!("You are {handle}. {}{aside}", joining::text(client, &code));
            context.out.result(&text, &pending)?;
            joining::picture(context, &code)?;
            if self.no_wait || joining::wait(context, client).await? == WaitOutcome::Interrupted {
                return Ok(());
            }
            return context.out.result("This device is one of your devices now.", &object);
        }
        object["first"] = json!(registered.device_set.length == 1);
        object["reset"] = json!(self.reset);
        let reset = if self.reset { RESET_DONE } else { "" };
        // A server can hide a user's devices from a new one. Then only the user can notice. The
        // length is that of the chain which this device has verified.
        let first = match registered.device_set.length {
            1 => " This is your first device: if you have another, this server hides it from you.",
            _ => "",
        };
        context.out.result(&format!("You are {handle}.{first}{reset}{aside}"), &object)
    }

    /// Asks the server what it can do, and checks that it is the server that the person named.
    async fn capabilities(&self, http: &HttpTransport) -> Result<Capabilities, CommandFailure> {
        let base = self.who.server(self.server.as_deref());
        let named = Origin::parse(&base).map_err(|_| {
            CommandFailure::new(format!("{base} is no server's URL"))
                .next("--server https://HOST")
                .exit(Exit::Usage)
        })?;
        let capabilities = match Capabilities::fetch(http, named.as_str()).await {
            Ok(capabilities) => capabilities,
            Err(ClientError::Transport(error)) => {
                let failure = CommandFailure::new(format!("no server answers at {named}: {error}"))
                    .exit(Exit::TryLater);
                return Err(match (&self.server, &self.who.host) {
                    (None, None) => {
                        failure.next("start one with `cargo run`, or name one: eko login NAME@HOST")
                    }
                    _ => failure,
                });
            }
            Err(error) => return Err(error.into()),
        };
        let origin = &capabilities.origin;
        if *origin != named {
            let failure = CommandFailure::new(format!("the server at {named} calls itself {origin}"));
            return Err(failure.next(format!("eko login {} --server {origin}", self.who.user)));
        }
        match &self.who.host {
            Some(host) if host != origin.authority() => {
                let what = format!("{}@{host} is not at {origin}", self.who.user);
                Err(CommandFailure::new(what)
                    .next(format!("eko login {}", Handle::new(self.who.user.clone(), origin)))
                    .exit(Exit::Usage))
            }
            _ => Ok(capabilities),
        }
    }

    /// Signs in at the server's issuer, and returns the ID token.
    async fn ask_issuer(
        &self,
        context: &Context,
        http: &HttpTransport,
        capabilities: &Capabilities,
    ) -> Result<String, CommandFailure> {
        let Capabilities { issuer, audience, .. } = capabilities;
        // The server names the issuer. The issuer names the endpoint that gets the sign-in's code,
        // and the page that the browser opens.
        let reach = context.reach(&capabilities.origin);
        reach.check(issuer)?;
        let party = RelyingParty::discover(http, &context.environment, issuer, audience).await?;
        reach.check(&party.issuer().token_endpoint)?;
        reach.check(&party.issuer().authorization_endpoint)?;
        let name = self.who.user.as_str();
        if party.issuer().asks_for_no_password() && !self.print_url {
            context.out.remark(&format!(
                "{issuer} is a development issuer: it takes your word that you are {name}."
            ));
            return Ok(party.by_name(name).await?);
        }
        // A server takes a reset only after a fresh sign-in, and an issuer may have signed the
        // person in long ago.
        let way = BrowserSignIn {
            login_hint: Some(name),
            port: self.redirect_port,
            wait: WAIT,
            max_age: self.reset.then_some(FRESH_SIGN_IN),
        };
        let id_token = party.in_browser(way, |url| {
            let opened = !self.print_url && open::that_detached(url).is_ok();
            let how =
                if opened { "Sign in in your browser. If it shows no page, open" } else { "Sign in at" };
            context.out.prompt(&format!("{how}\n{url}"));
        });
        Ok(id_token.await?)
    }
}

fn read_token(file: &Path) -> Result<String, CommandFailure> {
    let mut token = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(MAX_TOKEN_BYTES).read_to_string(&mut token)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(MAX_TOKEN_BYTES).read_to_string(&mut token))
    };
    read.map_err(|error| {
        CommandFailure::new(format!("cannot read the ID token from {}: {error}", file.display()))
    })?;
    match token.trim() {
        "" => Err(CommandFailure::new(format!("there is no ID token in {}", file.display()))),
        token => Ok(token.to_owned()),
    }
}

/// A device that has signed in, and the server's answer to that.
struct SignedInDevice {
    client: HttpMessenger,
    registered: SignInOutcome,
}

async fn sign_in_with(
    context: &Context,
    account: &AccountFolder,
    sign_in: SignInRequest,
) -> Result<SignedInDevice, MessengerError> {
    let store = DeviceStore::open(&account.database())?;
    let http = HttpTransport::new()?;
    let (client, registered) =
        Messenger::sign_in(http, LibSignal, store, context.environment.clone(), sign_in).await?;
    Ok(SignedInDevice { client, registered })
}

/// True if the device cannot be used any more: it was revoked, its server has forgotten it or shows
/// a chain without it, or its store cannot be read.
fn is_lost(error: &MessengerError) -> bool {
    match error {
        MessengerError::Revoked | MessengerError::Forgotten | MessengerError::Store(_) => true,
        MessengerError::Distrust { why, .. } => matches!(why, Distrust::OwnReset | Distrust::NotApproved),
        _ => false,
    }
}

/// Returns the moment in a form that fits into a folder's name: `20260129T193000.123Z`.
fn stamp(context: &Context) -> String {
    show::instant(context.environment.now_ms()).replace(['-', ':'], "")
}

/// True if the server has refused the sign-in, or nothing was asked of it. After an error without an
/// answer it may have accepted.
fn was_refused(error: &MessengerError) -> bool {
    match error {
        MessengerError::Client(ClientError::Problem(problem)) => (400..500).contains(&problem.status),
        MessengerError::NothingToReset => true,
        _ => false,
    }
}

/// True if the account's keys were never registered at a server.
fn never_registered(context: &Context, account: &AccountFolder) -> Result<bool, CommandFailure> {
    let store = DeviceStore::open(&account.database())?;
    let client = Messenger::open(context.http()?, LibSignal, store, context.environment.clone())?;
    Ok(client.is_none_or(|client| client.device().tokens().is_none()))
}
