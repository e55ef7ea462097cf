//! Checks mailboxes: the expected entry is there, and no other.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use eko_client::device::{EntryContent, MailboxEntry, OutgoingEnvelope};
use eko_protocol::activity::ReportKind;
use eko_protocol::id::EnvelopeId;

use super::listening;
use super::stage::{DemoStage, Party};
use super::transcript::{MessageWay, short};

/// The longest time that an entry may take. Entries come through a queue, a moment after they were
/// accepted. One that waits for another server comes after the next try.
const PATIENCE: Duration = Duration::from_secs(40);

/// The pause before a mailbox is fetched a second time. Pauses grow.
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// Waits for the only entry of a mailbox.
///
/// # Errors
/// There is no entry after [`PATIENCE`], or there are several.
pub(super) async fn only_entry(party: &Party) -> anyhow::Result<MailboxEntry> {
    let found = tokio::time::timeout(PATIENCE, async {
        let mut pause = FIRST_PAUSE;
        loop {
            let page = party.device.fetch().await?;
            if !page.entries.is_empty() {
                return anyhow::Ok(page.entries);
            }
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2).min(Duration::from_millis(500));
        }
    });
    let found = found
        .await
        .with_context(|| format!("expected an entry for {}, got none in {PATIENCE:?}", party.label))??;
    match <[MailboxEntry; 1]>::try_from(found) {
        Ok([entry]) => Ok(entry),
        Err(more) => {
            let all: Vec<_> = more.iter().map(|entry| entry.activity.to_string()).collect();
            bail!("expected one entry for {}, got {}:\n{}", party.label, all.len(), all.join("\n"))
        }
    }
}

/// Lets a device get and acknowledge its message of an envelope: on its socket, or by fetching.
///
/// # Errors
/// The message is not the one that was sent, or the mailbox is not empty afterwards.
pub(super) async fn receives(
    stage: &DemoStage,
    party: &Party,
    sent: &OutgoingEnvelope,
) -> anyhow::Result<()> {
    receives_by(stage, party, sent, MessageWay::Fetch).await
}

/// Does as [`receives`]. A device that does not listen has a reason to fetch: the `way`.
pub(super) async fn receives_by(
    stage: &DemoStage,
    party: &Party,
    sent: &OutgoingEnvelope,
    way: MessageWay,
) -> anyhow::Result<()> {
    let is_listening = listening::is_listening(party).await;
    let entry = if is_listening {
        stage.transcript.step(&format!("{} gets it on its socket, and acknowledges there", party.label));
        listening::next_message(party).await?
    } else {
        stage.transcript.step(&format!("{} fetches and acknowledges", party.label));
        only_entry(party).await?
    };
    let EntryContent::Message(message) = &entry.content else {
        bail!("expected a message, got {}", entry.activity);
    };
    let content = sent.messages.iter().find(|(device, _)| device == party.device.id()).map(|(_, c)| c);
    ensure!(
        Some(&message.ciphertext) == content,
        "expected the bytes that were sent, got {}",
        entry.activity
    );
    ensure!(message.letter.header.id == sent.id, "expected envelope {}, got {}", sent.id, entry.activity);
    let (author, from) = (stage.alice.device.actor(), stage.alice.device.address());
    ensure!(message.letter.header.author == author, "expected a message by {author}, got {}", entry.activity);
    ensure!(message.letter.header.from == from, "expected a message from {from}, got {}", entry.activity);
    if is_listening {
        listening::acknowledge(party, &entry.address).await?;
    } else {
        party.device.acknowledge(std::slice::from_ref(&entry.address)).await?;
    }
    stage.transcript.note_arrival(party.label, if is_listening { MessageWay::Socket } else { way });
    is_empty(party).await?;
    stage.transcript.means(&format!(
        "Opaque ciphertext, {} bytes, the very ones that Alice sent. The mailbox is empty again.",
        message.ciphertext.len(),
    ));
    Ok(())
}

/// Lets Alice find and discard the receipt of an envelope. If there were a second one, her next
/// look into the mailbox would find it.
pub(super) async fn receipt(stage: &DemoStage, envelope: &EnvelopeId) -> anyhow::Result<()> {
    stage.transcript.step(&format!("{} finds the receipt", stage.alice.label));
    report(stage, ReportKind::Delivered, envelope).await?;
    let id = envelope.as_str().rsplit('/').next().unwrap_or_default();
    stage
        .transcript
        .means(&format!("Delivered, once, for envelope {}; however many devices Bob has.", short(id)));
    Ok(())
}

/// Alice finds one report on an envelope, from Bob, and discards it.
pub(super) async fn report(stage: &DemoStage, kind: ReportKind, envelope: &EnvelopeId) -> anyhow::Result<()> {
    let alice = &stage.alice;
    let entry = only_entry(alice).await?;
    let EntryContent::Report(report) = &entry.content else {
        bail!("expected a report, got {}", entry.activity);
    };
    ensure!(report.kind == kind, "expected {}, got {}", kind.as_str(), entry.activity);
    ensure!(report.envelope == *envelope, "expected it about {envelope}, got {}", entry.activity);
    ensure!(report.actor == stage.phone.device.actor(), "expected it by Bob, got {}", entry.activity);
    Ok(alice.device.discard(&entry.address).await?)
}

/// Checks that a mailbox is empty.
pub(super) async fn is_empty(party: &Party) -> anyhow::Result<()> {
    let page = party.device.fetch().await?;
    let entries: Vec<_> = page.entries.iter().map(|entry| entry.activity.to_string()).collect();
    ensure!(entries.is_empty(), "expected an empty mailbox of {}, got {}", party.label, entries.join("\n"));
    Ok(())
}

/// Plays the last scene: all mailboxes are empty.
pub(super) async fn all_empty(stage: &DemoStage) -> anyhow::Result<()> {
    stage.transcript.step("Every device that is active looks into its mailbox");
    for party in [&stage.alice, &stage.phone, &stage.laptop] {
        is_empty(party).await?;
    }
    stage
        .transcript
        .means("All empty: every message and every receipt came once, and is gone from the server.");
    stage.transcript.step("The messages came by these ways");
    stage.transcript.ways();
    Ok(())
}
