//! The command: `eko-local [serve]`, `eko-local demo` and `eko-local engines`.

mod arguments;

use std::path::Path;
use std::process::ExitCode;

use eko_local::demo;
use eko_local::engines::{EngineOptions, EngineServer};
use eko_local::server::{BoundServer, ISSUER_PATH, live_url};

use arguments::{Cli, Command, EnginesArguments, ServeArguments};

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::read();
    eko_service::telemetry::start_locally();
    let result = match cli.command {
        Some(Command::Demo { two_servers: true, .. }) => demo::run_two().await,
        Some(Command::Demo { url, .. }) => demo::run(&url).await,
        Some(Command::Serve(options)) => serve(*options).await,
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
async fn serve(arguments: ServeArguments) -> anyhow::Result<()> {
    let options = arguments.options()?;
    let is_kept = options.data.is_some();
    let state = state_in(options.data.as_deref());
    let issuer_note = match options.issuer {
        Some(_) => "",
        None => " (for development: any name, no password)",
    };
    let server = BoundServer::bind(&options).await?;
    let (url, origin) = (server.url.clone(), server.origin.to_string());
    println!("Eko Messages listens on {url}");
    if origin != url {
        println!("  origin     {origin}, the start of every id");
    }
    println!("  state      {state}");
    println!("  issuer     {}{issuer_note}", server.issuer);
    println!("  try        cargo run -- demo --url {url}");
    println!("             cargo run -- demo --two-servers");
    println!("             curl {url}/.well-known/ecp");
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
    let EnginesArguments { port, data, origin, invoke } = options;
    let is_kept = data.is_some();
    let state = state_in(data.as_deref());
    let engines =
        EngineServer::bind(&EngineOptions { port, data, origin: origin.clone(), invoke: invoke.clone() })
            .await?;
    let url = engines.url.clone();
    println!("DynamoDB, SQS and SSM listen on {url}");
    println!("  state      {state}");
    println!("  issuer     {url}{ISSUER_PATH} (for development: any name, no password)");
    println!("  sockets    {} to the function at {invoke}", live_url(&url));
    println!("  queues     to the functions at {invoke}");
    println!("  next       cargo lambda watch --invoke-address 127.0.0.1 --env-file infra/local/watch.env");
    println!("             cargo run -- demo --url {origin}");
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
