//! `eko login`: a new device of a user on this machine, or the one that is there again.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use eko_client::capabilities::Capabilities;
use eko_client::device::{RegistrationOutcome, RegistrationStatus};
use eko_client::messenger::{MessengerError, SignInRequest};
use eko_client::{ClientError, DeviceStore, HttpTransport, KeyCounts, Messenger};
use eko_protocol::address::{Handle, Origin};
use serde_json::json;

use crate::context::{Client, Context};
use crate::failure::{Exit, Failure};
use crate::home::Account;
use crate::libsignal::LibSignal;
use crate::oidc::{InBrowser, RelyingParty};
use crate::who::Who;

/// How long a person has in the browser.
const WAIT: Duration = Duration::from_secs(5 * 60);
/// A token in a file is not longer.
const MAX_TOKEN_BYTES: u64 = 64 << 10;

const MORE: &str = "\
Who you are is for the server's issuer to say: your browser opens its page, and comes back here. The development
issuer of a server on this machine asks for no password, so it is asked without a browser.

The first device of a name claims the name. A further one waits until another of your devices approves it: compare the
fingerprints that both show. Keys are made on this machine, and their private halves
never leave it.

A device that was revoked, or that a server without its old data does not know, does not come back. --anew makes another
one in its place; `eko export` before it keeps what was said in a form that is read elsewhere.

Examples:
  eko login alice
  eko login alice@chat.example --device-name 'my desk'
  eko login alice --server http://localhost:9000
  my-issuer-cli token | eko login alice@chat.example --id-token -";

/// What clap reads.
#[derive(Debug, Args)]
#[command(after_help = MORE)]
pub(crate) struct Login {
    /// Your name, new or not, with or without the server: alice, alice@chat.example
    #[arg(value_name = "HANDLE")]
    who: Who,
    /// The server's URL [default: of the handle's host, or http://localhost:8080]
    #[arg(long, value_name = "URL", env = "EKO_SERVER", hide_env_values = true)]
    server: Option<String>,
    /// What you call this device; your server sees it
    #[arg(long, value_name = "NAME", default_value = "eko")]
    device_name: String,
    /// Take the issuer's ID token from a file, or from standard input (-)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["print_url", "redirect_port"])]
    id_token: Option<PathBuf>,
    /// Show the address to sign in at, and open no browser
    #[arg(long)]
    print_url: bool,
    /// The port on 127.0.0.1 that the browser comes back to, where the issuer wants to know it [default: a free one]
    #[arg(long, value_name = "PORT")]
    redirect_port: Option<u16>,
    /// This device was revoked, or its server has forgotten it: begin anew with another one here, and set what it has kept
    /// aside in a folder
    #[arg(long)]
    anew: bool,
    /// You have lost all your devices: revoke them, and begin again with this one; everybody you write with is told
    #[arg(long)]
    reset: bool,
}

impl Login {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), Failure> {
        let http = context.http()?;
        let capabilities = self.capabilities(&http).await?;
        let origin = capabilities.origin.clone();
        let handle = Handle::new(self.who.user.clone(), &origin);
        let id_token = match &self.id_token {
            Some(file) => read_token(file)?,
            None => self.ask_issuer(context, &http, &capabilities).await?,
        };
        let (account, is_new) = context.home.create(&handle)?;
        let sign_in = SignInRequest {
            origin,
            user: self.who.user.clone(),
            device_name: Some(self.device_name.clone()),
            counts: KeyCounts::default(),
            id_token,
            reset: self.reset,
        };
        let lost = match signed_in(context, &account, sign_in.clone()).await {
            Ok(_) if self.anew && !is_new => {
                let what =
                    format!("{handle} still has this device, which is signed in: nothing was set aside");
                return Err(Failure::new(what).next("eko devices revoke ID, if it is to go"));
            }
            Ok((client, registered)) => return tell(context, &account, &(client, registered), None),
            Err(error) if self.anew && !is_new && is_lost(&error) => error,
            Err(error) => {
                if is_new && was_refused(&error) && never_registered(context, &account)? {
                    account.remove()?;
                }
                return Err(error.into());
            }
        };
        context.out.remark(&format!("{lost}."));
        let aside = context.home.set_aside(&account, &stamp(context))?;
        let (account, _) = context.home.create(&handle)?;
        match signed_in(context, &account, sign_in).await {
            Ok(registered) => tell(context, &account, &registered, Some(&aside)),
            Err(error) => {
                if was_refused(&error) && never_registered(context, &account)? {
                    account.remove()?;
                    context.home.bring_back(&aside, &account)?;
                } else {
                    context.out.remark(&format!("The former device is kept in {}", aside.display()));
                }
                Err(error.into())
            }
        }
    }

    async fn capabilities(&self, http: &HttpTransport) -> Result<Capabilities, Failure> {
        let base = self.who.server(self.server.as_deref());
        let said = Origin::parse(&base).map_err(|_| {
            Failure::new(format!("{base} is no server's URL")).next("--server https://HOST").exit(Exit::Usage)
        })?;
        let capabilities = match Capabilities::fetch(http, said.as_str()).await {
            Ok(capabilities) => capabilities,
            Err(ClientError::Transport(error)) => {
                let failure =
                    Failure::new(format!("no server answers at {said}: {error}")).exit(Exit::TryLater);
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
        if *origin != said {
            let failure = Failure::new(format!("the server at {said} calls itself {origin}"));
            return Err(failure.next(format!("eko login {} --server {origin}", self.who.user)));
        }
        match &self.who.host {
            Some(host) if host != origin.authority() => {
                let what = format!("{}@{host} is not at {origin}", self.who.user);
                Err(Failure::new(what)
                    .next(format!("eko login {}", Handle::new(self.who.user.clone(), origin)))
                    .exit(Exit::Usage))
            }
            _ => Ok(capabilities),
        }
    }

    async fn ask_issuer(
        &self,
        context: &Context,
        http: &HttpTransport,
        capabilities: &Capabilities,
    ) -> Result<String, Failure> {
        let Capabilities { issuer, audience, .. } = capabilities;
        let party = RelyingParty::discover(http, &context.environment, issuer, audience).await?;
        let name = self.who.user.as_str();
        if party.issuer().asks_for_no_password() && !self.print_url {
            context.out.remark(&format!(
                "{issuer} is a development issuer: it takes your word that you are {name}."
            ));
            return Ok(party.by_name(name).await?);
        }
        let way = InBrowser { login_hint: Some(name), port: self.redirect_port.unwrap_or(0), wait: WAIT };
        let shown = party.in_browser(way, |url| {
            let opened = !self.print_url && open::that_detached(url).is_ok();
            let how =
                if opened { "Sign in in your browser. If it shows no page, open" } else { "Sign in at" };
            context.out.prompt(&format!("{how}\n{url}"));
        });
        Ok(shown.await?)
    }
}

fn read_token(file: &Path) -> Result<String, Failure> {
    let mut token = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(MAX_TOKEN_BYTES).read_to_string(&mut token)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(MAX_TOKEN_BYTES).read_to_string(&mut token))
    };
    read.map_err(|error| Failure::new(format!("cannot read the ID token from {}: {error}", file.display())))?;
    match token.trim() {
        "" => Err(Failure::new(format!("there is no ID token in {}", file.display()))),
        token => Ok(token.to_owned()),
    }
}

async fn signed_in(
    context: &Context,
    account: &Account,
    sign_in: SignInRequest,
) -> Result<(Client, RegistrationOutcome), MessengerError> {
    let store = DeviceStore::open(&account.database())?;
    let http = HttpTransport::new()?;
    Messenger::sign_in(http, LibSignal, store, context.environment.clone(), sign_in).await
}

/// Whether this device is none any more, or cannot know whether it is.
fn is_lost(error: &MessengerError) -> bool {
    matches!(error, MessengerError::Revoked | MessengerError::Forgotten | MessengerError::Store(_))
}

/// The moment as a part of a folder's name: 20260129T193000.123Z.
fn stamp(context: &Context) -> String {
    crate::show::instant(context.environment.now_ms()).replace(['-', ':'], "")
}

/// Whether the server has said no. Without an answer it may have said yes.
fn was_refused(error: &MessengerError) -> bool {
    matches!(error, MessengerError::Client(ClientError::Problem(problem)) if (400..500).contains(&problem.status))
}

/// Whether nobody knows the keys that were made.
fn never_registered(context: &Context, account: &Account) -> Result<bool, Failure> {
    let store = DeviceStore::open(&account.database())?;
    let client = Messenger::open(context.http()?, LibSignal, store, context.environment.clone())?;
    Ok(client.is_none_or(|client| client.device().tokens().is_none()))
}

fn tell(
    context: &Context,
    account: &Account,
    (client, registered): &(Client, RegistrationOutcome),
    aside: Option<&Path>,
) -> Result<(), Failure> {
    let (device, fingerprint) = (client.device(), client.fingerprint());
    let handle = &account.handle;
    let (word, mut text) = match registered.status {
        RegistrationStatus::Active => {
            ("active", format!("You are {handle}. This device's fingerprint is\n  {fingerprint}"))
        }
        RegistrationStatus::Pending => (
            "pending",
            format!(
                "You are {handle}. This device waits until another of your devices approves it; there its fingerprint must be\n  \
                 {fingerprint}"
            ),
        ),
    };
    if let Some(aside) = aside {
        text.push_str(&format!("\nWhat the former device has kept is in {}", aside.display()));
    }
    let object = json!({
        "handle": handle.to_string(),
        "actor": device.actor(),
        "device": device.id().to_string(),
        "status": word,
        "fingerprint": fingerprint,
        "setAside": aside,
    });
    context.out.result(&text, &object)
}
