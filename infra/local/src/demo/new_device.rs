//! A device joins while somebody writes to its user: `PartialDelivery`, and the rest under the same
//! id.

use anyhow::ensure;
use eko_client::device::OutgoingEnvelope;

use super::stage::DemoStage;
use super::taking::{self, KnownDevices};
use super::{joining, mailbox, sending};

/// Plays scene 4: Bob gets a third device. Returns Bob's devices as Alice knows them in the end.
pub(super) async fn partial_delivery(stage: &DemoStage, known: KnownDevices) -> anyhow::Result<KnownDevices> {
    let laptop = &stage.laptop;
    joining::further(stage, laptop, &stage.phone, &[&stage.phone, &stage.tablet]).await?;

    stage.transcript.step("Alice's phone sends to the two devices that she knows");
    let first = sending::envelope(stage, &known)?;
    let report = sending::partial(stage.alice.device.send(&first).await?)?;
    let package = stage.bobs_server().key_package(stage.bob(), laptop.device.id());
    ensure!(
        report.missing_key_packages == [package.as_str()] && report.stale_devices.is_empty(),
        "expected {package} missing and nothing stale, got {report:?}"
    );
    stage.transcript.means("PartialDelivery: two devices get theirs, and the laptop's key package is named.");

    stage.transcript.step("Alice's phone replays the chain again and takes that package");
    let (state, known) = taking::chain(stage).await?;
    let bobs = [&stage.phone, &stage.tablet, laptop].map(|party| party.device.id());
    ensure!(taking::same(&known, &bobs), "expected the devices {bobs:?}, got {:?}", known.devices);
    ensure!(
        report.device_set.as_ref() == Some(&known.set),
        "expected the report's head, got {:?}",
        known.set
    );
    let missing = [laptop.device.id().clone()];
    let taken = stage.take(Some(&missing)).await?;
    let text = taking::checked(stage, &taken, &state, missing.len())?;
    stage.transcript.means(&format!("The third device is Bob's own: one of his signed it in.\n{text}"));

    stage.transcript.step("Alice's phone completes the envelope, under the same id");
    let messages = vec![sending::ciphertext(stage, laptop.device.id())];
    let rest = OutgoingEnvelope { messages, device_set: Some(known.set.clone()), ..first.clone() };
    sending::accepted(stage.alice.device.send(&rest).await?)?;
    stage.transcript.means("Accepted: what was accepted before counts, and every device is covered.");

    for (party, sent) in [(&stage.phone, &first), (&stage.tablet, &first), (laptop, &rest)] {
        mailbox::receives(stage, party, sent).await?;
    }
    mailbox::receipt(stage, &first.id).await?;
    Ok(known)
}
