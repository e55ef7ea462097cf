//! `eko-local demo`: Alice writes to Bob through a running server, over HTTP, as clients do.
//!
//! The demo checks every answer, and fails at the first that is not as it must be.

mod interruption;
mod issuer;
mod joining;
mod listening;
mod mailbox;
mod new_device;
mod push;
mod recording;
mod revocation;
mod sending;
mod server;
mod stage;
mod taking;
mod transcript;

use std::time::Instant;

use server::ServerProcess;
use stage::DemoStage;
use transcript::Transcript;

/// Plays the demo at the server at `url`, and prints a transcript. User names are new each time, so
/// the demo can be repeated with the same data.
///
/// # Errors
/// The first check that fails, with the scene, the step, the expectation and the last answer.
pub async fn run(url: &str) -> anyhow::Result<()> {
    let started = Instant::now();
    let transcript = Transcript::to_stdout();
    let result = play(url.trim_end_matches('/'), &transcript).await;
    result.map_err(|error| transcript.failure(error))?;
    transcript.summary(started.elapsed());
    Ok(())
}

/// Starts two servers with ports and data folders of their own, plays the demo between them, and
/// kills each once with a message under way.
///
/// # Errors
/// Those of [`run`].
pub async fn run_two() -> anyhow::Result<()> {
    let started = Instant::now();
    let transcript = Transcript::to_stdout();
    let result = play_two(&transcript).await;
    result.map_err(|error| transcript.failure(error))?;
    transcript.summary(started.elapsed());
    Ok(())
}

/// Plays all scenes between two servers.
async fn play_two(transcript: &Transcript) -> anyhow::Result<()> {
    let (mut hers, mut his) = tokio::try_join!(ServerProcess::new(), ServerProcess::new())?;
    let stage = DemoStage::open_two(&hers.origin, &his.origin, transcript).await?;
    let known = play_scenes(&stage).await?;
    revocation::reject(&stage, known).await?;
    transcript.scene("Bob's server is away for a while");
    interruption::recipient_away(&stage, &mut his).await?;
    transcript.scene("Alice's server is away for a while");
    interruption::author_away(&stage, &mut hers).await?;
    transcript.scene("Nothing is left behind");
    mailbox::all_empty(&stage).await
}

/// Plays scenes 1 to 4, and begins scene 5. Returns Bob's devices as Alice knows them.
async fn play_scenes(stage: &DemoStage) -> anyhow::Result<taking::KnownDevices> {
    let transcript = &stage.transcript;
    transcript.scene("Alice registers a device, Bob two");
    joining::first_devices(stage).await?;
    transcript.scene("Alice looks Bob up and takes his keys");
    let known = taking::take(stage).await?;
    transcript.scene("Alice writes to both of Bob's devices");
    sending::to_all(stage, &known).await?;
    transcript.scene("Bob gets a third device, and Alice does not know yet");
    let known = new_device::partial_delivery(stage, known).await?;
    transcript.scene("Bob loses his tablet and revokes it");
    Ok(known)
}

/// Plays all scenes at one server.
async fn play(url: &str, transcript: &Transcript) -> anyhow::Result<()> {
    let stage = DemoStage::open(url, transcript).await?;
    let known = play_scenes(&stage).await?;
    revocation::reject(&stage, known).await?;
    transcript.scene("Nothing is left behind");
    mailbox::all_empty(&stage).await
}
