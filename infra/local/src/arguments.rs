//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand, value_parser};
use eko_federation::client::PrivateHosts;
use eko_federation::policy::FederationPolicy;
use eko_local::server::ServerOptions;
use eko_messaging::Limits;
use eko_protocol::address::Origin;
use eko_protocol::profile::handle_domain;
use eko_service::config::{OidcConfig, SIGNATURE_WINDOW_SECONDS};
use eko_web_push::Contact;

/// The name of the subcommand that is the default.
const SERVE: &str = "serve";

/// Eko Messages on one machine: the whole server, with DynamoDB and SQS embedded.
#[derive(Parser)]
#[command(version, about, args_conflicts_with_subcommands = true, after_help = LOG)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) serve: ServeArguments,
}

/// The help on the log.
const LOG: &str = "The log goes to standard error. RUST_LOG sets what it has: `error`, `warn` (the default), `info` \
                   with a line for each request, `debug` with the reason of each refusal, or pairs such as \
                   `warn,eko_local=info`.";

/// The subcommands.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run the server (the default)
    #[command(after_help = LOG)]
    Serve(Box<ServeArguments>),
    /// Drive a running server the way clients do, and show what happens
    Demo {
        /// URL of the server
        #[arg(long, default_value = "http://localhost:8080", env = "EKO_URL")]
        url: String,
        /// Start two servers on free ports instead, write between them, kill each once
        #[arg(long, conflicts_with = "url")]
        two_servers: bool,
    },
    /// Serve DynamoDB, SQS and SSM over HTTP, for functions under `cargo lambda watch`
    ///
    /// Creates the table, the queues and the secrets, and serves a development issuer too. Passes
    /// messages of the queues to the functions `deliver`, `federate` and `push`, and what happens on
    /// WebSockets to `socket`. CONTRIBUTING.md has the commands to go with it.
    #[command(after_help = LOG)]
    Engines(EnginesArguments),
}

impl Cli {
    /// Reads the command line. The word `serve` may stand behind options of the server.
    pub(crate) fn read() -> Self {
        let mut words: Vec<_> = std::env::args_os().collect();
        Self::try_parse_from(&words).unwrap_or_else(|error| {
            // Behind an option, clap takes a subcommand for a conflict.
            let place = words.iter().rposition(|word| word == SERVE);
            match place.filter(|place| *place > 1 && error.kind() == ErrorKind::ArgumentConflict) {
                Some(place) => {
                    let word = words.remove(place);
                    words.insert(1, word);
                    Self::parse_from(words)
                }
                None => error.exit(),
            }
        })
    }
}

/// The arguments of `eko-local engines`.
#[derive(Args)]
pub(crate) struct EnginesArguments {
    /// Port on loopback; 0 takes a free one
    #[arg(long, default_value_t = 8000)]
    pub(crate) port: u16,
    /// Folder that keeps the state across restarts [default: none, in memory]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Public base URL of the functions, their ORIGIN
    #[arg(long, value_parser = Origin::parse, default_value = "http://localhost:9000")]
    pub(crate) origin: Origin,
    /// URL at which `cargo lambda watch` takes invocations
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9000")]
    pub(crate) invoke: String,
}

/// The arguments of `eko-local serve`.
#[derive(Args)]
pub(crate) struct ServeArguments {
    /// Port on loopback; 0 takes a free one
    #[arg(long, default_value_t = 8080, env = "EKO_PORT")]
    port: u16,
    /// Public base URL, the start of every id [default: http://localhost:PORT]
    #[arg(long, value_parser = Origin::parse, env = "EKO_ORIGIN")]
    origin: Option<Origin>,
    /// Folder that keeps the state across restarts [default: none, in memory]
    #[arg(long, value_name = "DIR", env = "EKO_DATA")]
    data: Option<PathBuf>,
    #[command(flatten)]
    others: OthersArguments,
    #[command(flatten)]
    issuer: IssuerArguments,
    #[command(flatten)]
    limits: LimitArguments,
}

/// The settings about other servers and services.
#[derive(Args)]
#[command(next_help_heading = "Other servers")]
struct OthersArguments {
    /// Domain of the users' handles, if it is another one [default: that of the origin]
    #[arg(long, value_name = "DOMAIN", value_parser = handle_domain, env = "HANDLE_DOMAIN", hide_short_help = true)]
    handle_domain: Option<String>,
    /// Domains to federate with, and no others; comma-separated
    #[arg(
        long,
        value_name = "DOMAINS",
        default_value = "",
        env = "FEDERATION_ALLOW",
        hide_default_value = true
    )]
    federation_allow: String,
    /// Domains not to federate with; comma-separated
    #[arg(
        long,
        value_name = "DOMAINS",
        default_value = "",
        env = "FEDERATION_DENY",
        hide_default_value = true
    )]
    federation_deny: String,
    /// Largest difference between the time of a signature and this clock
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = SIGNATURE_WINDOW_SECONDS,
        env = "SIGNATURE_WINDOW_SECONDS",
        hide_short_help = true
    )]
    signature_window_seconds: u64,
    /// Hosts of push services that may be at private addresses; comma-separated
    #[arg(long, value_name = "HOSTS", default_value = "", env = "PUSH_ALLOW", hide_default_value = true)]
    push_allow: String,
    /// Address by which push services can complain; real ones refuse localhost
    #[arg(
        long,
        value_name = "ADDRESS",
        value_parser = contact,
        default_value = "mailto:operator@localhost",
        env = "VAPID_CONTACT",
        hide_short_help = true
    )]
    vapid_contact: Contact,
}

/// The settings about sign-in.
#[derive(Args)]
#[command(next_help_heading = "Sign-in")]
struct IssuerArguments {
    /// Issuer of ID tokens [default: a development issuer, which believes any name]
    #[arg(long, value_name = "URL", requires = "oidc_audience", env = "OIDC_ISSUER", hide_short_help = true)]
    oidc_issuer: Option<String>,
    /// Audience that ID tokens must be for: the client id at the issuer
    #[arg(
        long,
        value_name = "CLIENT",
        requires = "oidc_issuer",
        env = "OIDC_AUDIENCE",
        hide_short_help = true
    )]
    oidc_audience: Option<String>,
    /// Refuse ID tokens without `email_verified`
    #[arg(
        long,
        requires = "oidc_issuer",
        value_parser = FalseyValueParser::new(),
        env = "OIDC_REQUIRE_EMAIL_VERIFIED",
        hide_short_help = true
    )]
    oidc_require_email_verified: bool,
}

/// Declares the arguments of the limits: a flag for each member of [`Limits`], with the variable
/// that sets it on AWS.
macro_rules! limits {
    ($($(#[$about:meta])* $name:ident $variable:literal $unit:literal $least:literal,)*) => {
        /// The limits, each in the unit of its name.
        #[derive(Args)]
        #[command(next_help_heading = "Limits")]
        struct LimitArguments {
            /// Time for which an unacknowledged entry is kept, 1 to 365
            #[arg(
                long,
                value_name = "DAYS",
                default_value_t = Limits::default().message_ttl_days,
                value_parser = value_parser!(u16).range(1..=365),
                env = "MESSAGE_TTL_DAYS",
                hide_short_help = true
            )]
            message_ttl_days: u16,
            /// Time for which a send waits for the recipient's server
            #[arg(
                long,
                value_name = "MS",
                default_value_t = u64::try_from(Limits::default().remote_send_time.as_millis()).unwrap_or(u64::MAX),
                env = "REMOTE_SEND_MS",
                hide_short_help = true
            )]
            remote_send_ms: u64,
            $(
                $(#[$about])*
                #[arg(
                    long,
                    value_name = $unit,
                    default_value_t = Limits::default().$name,
                    value_parser = value_parser!(u64).range($least..),
                    env = $variable,
                    hide_short_help = true
                )]
                $name: u64,
            )*
        }

        impl LimitArguments {
            fn limits(&self) -> Limits {
                Limits {
                    message_ttl_days: self.message_ttl_days,
                    remote_send_time: Duration::from_millis(self.remote_send_ms),
                    $($name: self.$name,)*
                    ..Limits::default()
                }
            }
        }
    };
}

limits! {
    // The name, the variable, the unit, and the least value: with 0 nobody could send or receive anything.
    /// Envelopes a minute from one sender to one recipient
    sender_budget "SENDER_BUDGET" "N" 1,
    /// Bytes of content a minute from one sender to one recipient
    sender_bytes_budget "SENDER_BYTES_BUDGET" "BYTES" 1,
    /// Envelopes a minute from all actors of one other site to one recipient, and as many reports
    server_budget "SERVER_BUDGET" "N" 0,
    /// Bytes of content a minute from all actors of one other site to one recipient
    server_bytes_budget "SERVER_BYTES_BUDGET" "BYTES" 0,
    /// Actors of one other site that write to one recipient in a minute
    server_senders "SERVER_SENDERS" "N" 0,
    /// Envelopes a minute to one recipient, from everyone
    recipient_budget "RECIPIENT_BUDGET" "N" 1,
    /// Bytes of content a minute to one recipient, from everyone
    recipient_bytes_budget "RECIPIENT_BYTES_BUDGET" "BYTES" 1,
    /// Envelopes a minute from one account to everyone
    account_budget "ACCOUNT_BUDGET" "N" 1,
    /// Bytes of content a minute from one account to everyone
    account_bytes_budget "ACCOUNT_BYTES_BUDGET" "BYTES" 1,
    /// Envelopes of one account that wait for other servers at a time
    account_parcels "ACCOUNT_PARCELS" "N" 0,
    /// Receipts that wait for one other site at a time
    server_receipts "SERVER_RECEIPTS" "N" 0,
    /// Receipts of one account that wait for other servers at a time
    account_receipts "ACCOUNT_RECEIPTS" "N" 0,
    /// Entries of a device's mailbox
    mailbox_entries "MAILBOX_ENTRIES" "N" 1,
    /// Bytes of a device's mailbox
    mailbox_bytes "MAILBOX_BYTES" "BYTES" 1,
    /// One-time keys an hour that one taker gets of one device
    take_budget "TAKE_BUDGET" "N" 0,
    /// One-time keys an hour that all takers get of one device
    take_total_budget "TAKE_TOTAL_BUDGET" "N" 0,
    /// One-time keys an hour that all takers of one other site get of one device
    take_server_budget "TAKE_SERVER_BUDGET" "N" 0,
}

impl ServeArguments {
    /// Returns the options of the server.
    ///
    /// # Errors
    /// A list has an item of another form.
    pub(crate) fn options(self) -> anyhow::Result<ServerOptions> {
        let domains = |option: &str, text: &str| {
            FederationPolicy::list(text).map_err(|e| anyhow::anyhow!("--{option}: {e}"))
        };
        let OthersArguments { federation_allow, federation_deny, push_allow, .. } = &self.others;
        let IssuerArguments { oidc_issuer, oidc_audience, oidc_require_email_verified } = self.issuer;
        Ok(ServerOptions {
            port: self.port,
            origin: self.origin,
            data: self.data,
            limits: self.limits.limits(),
            policy: FederationPolicy {
                allow: domains("federation-allow", federation_allow)?,
                deny: domains("federation-deny", federation_deny)?,
            },
            handle_domain: self.others.handle_domain.clone(),
            signature_window_seconds: self.others.signature_window_seconds,
            push_allow: PrivateHosts::list(push_allow).map_err(|e| anyhow::anyhow!("--push-allow: {e}"))?,
            contact: self.others.vapid_contact,
            issuer: oidc_issuer.zip(oidc_audience).map(|(issuer, audience)| OidcConfig {
                issuer,
                audience,
                require_email_verified: oidc_require_email_verified,
            }),
            ..ServerOptions::default()
        })
    }
}

/// Reads the contact of push services, which may be that of a local server.
fn contact(text: &str) -> Result<Contact, eko_service::config::ConfigError> {
    eko_service::config::contact(text, true)
}
