//! Envelopes: made, sent, received.

use anyhow::bail;
use eko_client::device::{OutgoingEnvelope, SendOutcome};
use eko_protocol::activity::Report;
use eko_protocol::address::UserName;
use eko_protocol::id::DeviceId;

use super::joining::refused;
use super::mailbox;
use super::stage::Stage;
use super::taking::Known;

/// Scene 3.
pub(super) async fn to_all(stage: &Stage, known: &Known) -> anyhow::Result<()> {
    let outgoing = envelope(stage, known)?;
    stage.transcript.step("Alice's phone sends one envelope for both");
    accepted(stage.alice.device.send(&outgoing).await?)?;
    stage.transcript.means("Accepted: it covers Bob's device set, and is queued for each device.");
    mailbox::receives(stage, &stage.phone, &outgoing).await?;
    mailbox::receives(stage, &stage.tablet, &outgoing).await?;
    mailbox::receipt(stage, &outgoing.id).await?;
    to_nobody(stage, known).await
}

/// The same keys under a name that nobody has.
async fn to_nobody(stage: &Stage, known: &Known) -> anyhow::Result<()> {
    stage.transcript.step("Alice's phone sends one to a name that nobody has");
    let to = UserName::parse(&format!("no{}", stage.bob()))?;
    let outgoing = OutgoingEnvelope { to, ..envelope(stage, known)? };
    refused(stage.alice.device.send(&outgoing).await.map(drop), "not-found")?;
    stage.transcript.means("Refused: there is no such user.");
    Ok(())
}

/// An envelope for every device that Alice knows of.
pub(super) fn envelope(stage: &Stage, known: &Known) -> anyhow::Result<OutgoingEnvelope> {
    let messages = known.devices.iter().map(|device| ciphertext(stage, device)).collect();
    let outgoing = OutgoingEnvelope::new(stage.bob().clone(), stage.environment.envelope_id(), messages);
    let mut outgoing = outgoing.at(stage.bobs_server());
    outgoing.device_set = Some(known.set.clone());
    Ok(outgoing)
}

/// Random bytes in the place of a session's ciphertext, of a random length.
pub(super) fn ciphertext(stage: &Stage, device: &DeviceId) -> (DeviceId, Vec<u8>) {
    let [length] = stage.environment.bytes::<1>();
    let mut bytes = vec![0; usize::from(length).saturating_add(256)];
    (stage.environment.random)(&mut bytes);
    (device.clone(), bytes)
}

/// The outcome must be 201.
pub(super) fn accepted(outcome: SendOutcome) -> anyhow::Result<String> {
    match outcome {
        SendOutcome::Accepted { activity } => Ok(activity),
        other => bail!("expected 201 and the activity, got {other:?}"),
    }
}

/// The outcome must be 202.
pub(super) fn queued(outcome: SendOutcome) -> anyhow::Result<String> {
    match outcome {
        SendOutcome::Queued { activity } => Ok(activity),
        other => bail!("expected 202 and the activity, got {other:?}"),
    }
}

/// The outcome must be 207.
pub(super) fn partial(outcome: SendOutcome) -> anyhow::Result<Report> {
    match outcome {
        SendOutcome::Partial(report) => Ok(report),
        other => bail!("expected 207 and a PartialDelivery, got {other:?}"),
    }
}

/// The outcome must be 409.
pub(super) fn rejected(outcome: SendOutcome) -> anyhow::Result<Report> {
    match outcome {
        SendOutcome::Rejected(report) => Ok(report),
        other => bail!("expected 409 and a Reject, got {other:?}"),
    }
}
