//! `eko-local demo`: Alice writes to Bob through a running server, over HTTP, as clients do, and every answer
//! is compared with what it must be.

mod issuer;
mod joining;
mod mailbox;
mod new_device;
mod recorded;
mod revocation;
mod sending;
mod stage;
mod taking;
mod transcript;

use std::time::Instant;

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

async fn play(url: &str, transcript: &Transcript) -> anyhow::Result<()> {
    let stage = Stage::open(url, transcript).await?;
    transcript.scene("Alice registers a device, Bob two");
    joining::first_devices(&stage).await?;
    transcript.scene("Alice looks Bob up and takes his keys");
    let known = taking::take(&stage).await?;
    transcript.scene("Alice writes to both of Bob's devices");
    sending::to_all(&stage, &known).await?;
    transcript.scene("Bob gets a third device, and Alice does not know yet");
    let known = new_device::partial_delivery(&stage, known).await?;
    transcript.scene("Bob loses his tablet and revokes it");
    revocation::reject(&stage, known).await?;
    transcript.scene("Nothing is left behind");
    mailbox::all_empty(&stage).await
}
