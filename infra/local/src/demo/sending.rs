//! Makes and sends envelopes, and checks the outcome.

use anyhow::bail;
use eko_client::device::{OutgoingEnvelope, SendOutcome};
use eko_protocol::activity::Report;
use eko_protocol::address::UserName;
use eko_protocol::id::DeviceId;

use super::joining::refused;
use super::stage::DemoStage;
use super::taking::KnownDevices;
use super::transcript::MessageWay;
use super::{listening, mailbox, push};

/// Plays scene 3: Alice writes to both of Bob's devices, of which one listens and one is woken.
pub(super) async fn to_all(stage: &DemoStage, known: &KnownDevices) -> anyhow::Result<()> {
    let outgoing = envelope(stage, known)?;
    listening::begin(stage, &stage.phone).await?;
    let subscription = push::subscribe(stage, &stage.tablet).await?;
    stage.transcript.step("Alice's phone sends one envelope for both");
    accepted(stage.alice.device.send(&outgoing).await?)?;
    stage.transcript.means("Accepted: it covers Bob's device set, and is queued for each device.");
    mailbox::receives(stage, &stage.phone, &outgoing).await?;
    let way = match subscription {
        Some(subscription) => {
            push::is_woken(stage, &stage.tablet, subscription).await?;
            MessageWay::Push
        }
        None => MessageWay::Fetch,
    };
    mailbox::receives_by(stage, &stage.tablet, &outgoing, way).await?;
    mailbox::receipt(stage, &outgoing.id).await?;
    to_nobody(stage, known).await
}

/// Sends an envelope to a name that nobody has.
async fn to_nobody(stage: &DemoStage, known: &KnownDevices) -> anyhow::Result<()> {
    stage.transcript.step("Alice's phone sends one to a name that nobody has");
    let to = UserName::parse(&format!("no{}", stage.bob()))?;
    let outgoing = OutgoingEnvelope { to, ..envelope(stage, known)? };
    refused(stage.alice.device.send(&outgoing).await.map(drop), "not-found")?;
    stage.transcript.means("Refused: there is no such user.");
    Ok(())
}

/// Makes an envelope for all of Bob's devices that Alice knows.
pub(super) fn envelope(stage: &DemoStage, known: &KnownDevices) -> anyhow::Result<OutgoingEnvelope> {
    let messages = known.devices.iter().map(|device| ciphertext(stage, device)).collect();
    let outgoing = OutgoingEnvelope::new(stage.bob().clone(), stage.alice.device.envelope_id(), messages);
    let mut outgoing = outgoing.at(stage.bobs_server());
    outgoing.device_set = Some(known.set.clone());
    Ok(outgoing)
}

/// Makes random bytes of a random length, in place of a ciphertext.
pub(super) fn ciphertext(stage: &DemoStage, device: &DeviceId) -> (DeviceId, Vec<u8>) {
    let [length] = stage.environment.bytes::<1>();
    let mut bytes = vec![0; usize::from(length).saturating_add(256)];
    (stage.environment.random)(&mut bytes);
    (device.clone(), bytes)
}

/// Returns the activity of an outcome that must be 201.
pub(super) fn accepted(outcome: SendOutcome) -> anyhow::Result<String> {
    match outcome {
        SendOutcome::Accepted { activity } => Ok(activity),
        other => bail!("expected 201 and the activity, got {other:?}"),
    }
}

/// Returns the activity of an outcome that must be 202.
pub(super) fn queued(outcome: SendOutcome) -> anyhow::Result<String> {
    match outcome {
        SendOutcome::Queued { activity } => Ok(activity),
        other => bail!("expected 202 and the activity, got {other:?}"),
    }
}

/// Returns the report of an outcome that must be 207.
pub(super) fn partial(outcome: SendOutcome) -> anyhow::Result<Report> {
    match outcome {
        SendOutcome::Partial(report) => Ok(report),
        other => bail!("expected 207 and a PartialDelivery, got {other:?}"),
    }
}

/// Returns the report of an outcome that must be 409.
pub(super) fn rejected(outcome: SendOutcome) -> anyhow::Result<Report> {
    match outcome {
        SendOutcome::Rejected(report) => Ok(report),
        other => bail!("expected 409 and a Reject, got {other:?}"),
    }
}
