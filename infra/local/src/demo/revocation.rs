//! A device is revoked. It gets nothing more, and whoever writes to it gets a `Reject`.

use anyhow::ensure;
use eko_client::device::OutgoingEnvelope;

use super::joining::{head, refused};
use super::stage::DemoStage;
use super::taking::{self, KnownDevices};
use super::{mailbox, sending};

/// Plays scene 5: Bob revokes his tablet.
pub(super) async fn reject(stage: &DemoStage, known: KnownDevices) -> anyhow::Result<()> {
    let (alice, tablet) = (&stage.alice.device, &stage.tablet.device);
    stage.transcript.step("Bob's phone revokes his tablet");
    let phone = &stage.phone.device;
    let (_, chain) = phone.chain(phone.user()).await?;
    let set = phone.append(&phone.revocation(&chain.position, tablet.id())?).await?;
    stage.transcript.means(&format!(
        "A node of the chain says so ({}). The tablet's tokens, keys and mailbox are gone.",
        head(&set)
    ));

    stage.transcript.step("Bob's tablet tries to go on");
    refused(tablet.fetch().await.map(drop), "device-revoked")?;
    refused(tablet.refresh().await, "unauthenticated")?;
    stage.transcript.means("Refused, both its access token and its refresh token.");

    stage.transcript.step("Alice's phone sends to the three devices that she knows");
    let first = sending::envelope(stage, &known)?;
    let report = sending::rejected(alice.send(&first).await?)?;
    ensure!(
        report.stale_devices == [tablet.address()] && report.missing_key_packages.is_empty(),
        "expected {} stale and nothing missing, got {report:?}",
        tablet.address()
    );
    ensure!(report.device_set_out_of_date, "expected eko:deviceSetOutOfDate, got {report:?}");
    stage
        .transcript
        .means("Reject: the tablet is no device of Bob's any more. Nothing was queued for anyone.");

    stage.transcript.step("Alice's phone replays the chain and sends to the two that are left");
    let (_, known) = taking::chain(stage).await?;
    let bobs = [stage.phone.device.id(), stage.laptop.device.id()];
    ensure!(taking::same(&known, &bobs), "expected the devices {bobs:?}, got {:?}", known.devices);
    ensure!(known.set == set, "expected the head {set:?}, got {:?}", known.set);
    let messages = known.devices.iter().map(|device| sending::ciphertext(stage, device)).collect();
    let corrected = OutgoingEnvelope { messages, device_set: Some(known.set.clone()), ..first };
    sending::accepted(alice.send(&corrected).await?)?;
    stage.transcript.means("Accepted.");

    mailbox::receives(stage, &stage.phone, &corrected).await?;
    mailbox::receives(stage, &stage.laptop, &corrected).await?;
    mailbox::receipt(stage, &corrected.id).await
}
