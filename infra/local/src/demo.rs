//! `eko-local demo`: Alice writes to Bob through a running server, over HTTP, as clients do, and every answer
//! is compared with what it must be.

mod interruption;
mod issuer;
mod joining;
mod mailbox;
mod new_device;
mod recorded;
mod revocation;
mod sending;
mod server;
mod stage;
mod taking;
mod transcript;

use std::time::Instant;

use server::Server;
use stage::Stage;
use transcript::Transcript;

/// Drives the server at `url` and prints the transcript. User names are new each time, so it can run again and
/// again against the same data.
///
/// # Errors
/// The first thing that is not as it must be: the scene, the step, what was expected, the last answer.
pub async fn run(url: &str) -> anyhow::Result<()> {
    let started = Instant::now();
    let transcript = Transcript::to_stdout();
    let played = play(url.trim_end_matches('/'), &transcript).await;
    played.map_err(|error| transcript.failure(error))?;
    transcript.summary(started.elapsed());
    Ok(())
}

/// Starts two servers that share nothing, on free ports with folders of their own, plays the same across them,
/// and kills each once in the middle.
///
/// # Errors
/// As [`run`].
pub async fn run_two() -> anyhow::Result<()> {
    let started = Instant::now();
    let transcript = Transcript::to_stdout();
    let played = play_two(&transcript).await;
    played.map_err(|error| transcript.failure(error))?;
    transcript.summary(started.elapsed());
    Ok(())
}

async fn play_two(transcript: &Transcript) -> anyhow::Result<()> {
    let (mut hers, mut his) = tokio::try_join!(Server::new(), Server::new())?;
    let stage = Stage::open_two(&hers.origin, &his.origin, transcript).await?;
    let known = play_scenes(&stage).await?;
    revocation::reject(&stage, known).await?;
    transcript.scene("Bob's server is away for a while");
    interruption::recipient_away(&stage, &mut his).await?;
    transcript.scene("Alice's server is away for a while");
    interruption::author_away(&stage, &mut hers).await?;
    transcript.scene("Nothing is left behind");
    mailbox::all_empty(&stage).await
}

/// Scenes 1 to 4, and the title of the fifth.
async fn play_scenes(stage: &Stage) -> anyhow::Result<taking::Known> {
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

async fn play(url: &str, transcript: &Transcript) -> anyhow::Result<()> {
    let stage = Stage::open(url, transcript).await?;
    let known = play_scenes(&stage).await?;
    revocation::reject(&stage, known).await?;
    transcript.scene("Nothing is left behind");
    mailbox::all_empty(&stage).await
}
