//! The command: `eko-local [serve]`, `eko-local demo` and `eko-local engines`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use eko_federation::client::PrivateHosts;
use eko_federation::policy::FederationPolicy;
use eko_local::demo;
use eko_local::engines::{EngineOptions, EngineServer};
use eko_local::server::{BoundServer, ISSUER_PATH, ServerOptions, live_url};
use eko_messaging::Limits;

/// Eko Messages on one machine: the whole server, with DynamoDB and SQS embedded.
#[derive(Parser)]
#[command(version, about, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArguments,
}

/// The subcommands.
#[derive(Subcommand)]
enum Command {
    /// Run the server (the default)
    Serve(ServeArguments),
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
    Engines(EnginesArguments),
}

/// The arguments of `eko-local engines`.
#[derive(Args)]
struct EnginesArguments {
    /// Port on loopback; 0 takes a free one
    #[arg(long, default_value_t = 8000)]
    port: u16,
    /// Folder that keeps the state across restarts [default: none, in memory]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// URL at which `cargo lambda watch` takes invocations
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9000")]
    invoke: String,
}

/// The arguments of `eko-local serve`.
#[derive(Args)]
struct ServeArguments {
    /// Port on loopback; 0 takes a free one
    #[arg(long, default_value_t = 8080, env = "EKO_PORT")]
    port: u16,
    /// Public base URL, the start of every id [default: http://localhost:PORT]
    #[arg(long, env = "EKO_ORIGIN")]
    origin: Option<String>,
    /// Folder that keeps the state across restarts [default: none, in memory]
    #[arg(long, value_name = "DIR", env = "EKO_DATA")]
    data: Option<PathBuf>,
    /// Envelopes a minute from one sender to one recipient
    #[arg(long, default_value_t = Limits::default().sender_budget, env = "SENDER_BUDGET")]
    sender_budget: u64,
    /// Bytes of content a minute to one recipient
    #[arg(long, default_value_t = Limits::default().recipient_bytes_budget, env = "RECIPIENT_BYTES_BUDGET")]
    recipient_bytes_budget: u64,
    /// Envelopes a minute from one account to everyone
    #[arg(long, default_value_t = Limits::default().account_budget, env = "ACCOUNT_BUDGET")]
    account_budget: u64,
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
    /// Hosts of push services that may be at private addresses; comma-separated
    #[arg(long, value_name = "HOSTS", default_value = "", env = "PUSH_ALLOW", hide_default_value = true)]
    push_allow: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    eko_service::telemetry::start_locally();
    let result = match cli.command {
        Some(Command::Demo { two_servers: true, .. }) => demo::run_two().await,
        Some(Command::Demo { url, .. }) => demo::run(&url).await,
        Some(Command::Serve(options)) => serve(options).await,
        Some(Command::Engines(options)) => serve_engines(options).await,
        None => serve(cli.serve).await,
    };
    let Err(error) = result else { return ExitCode::SUCCESS };
    eprintln!("error: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("  because {cause}");
    }
    ExitCode::FAILURE
}

/// Runs the server until it is interrupted.
async fn serve(options: ServeArguments) -> anyhow::Result<()> {
    let domains = |option: &str, text: &str| {
        FederationPolicy::list(text).map_err(|e| anyhow::anyhow!("--{option}: {e}"))
    };
    let policy = FederationPolicy {
        allow: domains("federation-allow", &options.federation_allow)?,
        deny: domains("federation-deny", &options.federation_deny)?,
    };
    let is_kept = options.data.is_some();
    let state = state_in(options.data.as_deref());
    let server = BoundServer::bind(&ServerOptions {
        port: options.port,
        origin: options.origin,
        data: options.data,
        limits: Limits {
            sender_budget: options.sender_budget,
            recipient_bytes_budget: options.recipient_bytes_budget,
            account_budget: options.account_budget,
            ..Limits::default()
        },
        policy,
        push_allow: PrivateHosts::list(&options.push_allow)
            .map_err(|e| anyhow::anyhow!("--push-allow: {e}"))?,
        ..ServerOptions::default()
    })
    .await?;
    let origin = server.origin.to_string();
    println!("Eko Messages listens on {origin}");
    println!("  state      {state}");
    println!("  issuer     {origin}{ISSUER_PATH} (for development: any name, no password)");
    println!("  try        cargo run -- demo --url {origin}");
    println!("             cargo run -- demo --two-servers");
    println!("             curl {origin}/.well-known/ecp");
    println!("  ^C         ends it");
    match server.run(interrupted()).await? {
        0 => println!("ended; the queues are drained"),
        waiting if is_kept => println!("ended; {waiting} for other servers wait for the next start"),
        waiting => println!("ended; {waiting} for other servers could not be delivered, and are lost"),
    }
    Ok(())
}

/// Runs the engines until they are interrupted.
async fn serve_engines(options: EnginesArguments) -> anyhow::Result<()> {
    let EnginesArguments { port, data, invoke } = options;
    let is_kept = data.is_some();
    let state = state_in(data.as_deref());
    let engines = EngineServer::bind(&EngineOptions { port, data, invoke: invoke.clone() }).await?;
    let url = engines.url.clone();
    println!("DynamoDB, SQS and SSM listen on {url}");
    println!("  state      {state}");
    println!("  issuer     {url}{ISSUER_PATH} (for development: any name, no password)");
    println!("  sockets    {} to the function at {invoke}", live_url(&url));
    println!("  queues     to the functions at {invoke}");
    println!("  next       cargo lambda watch --invoke-address 127.0.0.1 --env-file infra/local/watch.env");
    println!("             cargo run -- demo --url http://localhost:9000");
    println!("  ^C         ends it");
    match engines.run(interrupted()).await? {
        0 => println!("ended; the queues are empty"),
        left if is_kept => println!("ended; {left} in the queues wait for the next start"),
        left => println!("ended; {left} in the queues were not taken, and are lost"),
    }
    Ok(())
}

/// Describes the place of the state.
fn state_in(data: Option<&Path>) -> String {
    match data {
        Some(dir) => format!("in {}", dir.display()),
        None => "in memory; keep it with --data DIR".to_owned(),
    }
}

/// Waits for ^C, or for the signal by which service managers end a process (SIGTERM).
async fn interrupted() {
    #[cfg(unix)]
    if let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        return;
    }
    let _ = tokio::signal::ctrl_c().await;
}
