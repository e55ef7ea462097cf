//! Devices join their user's chain: the first by itself, the others with the approval of an active
//! device.

use anyhow::{Context as _, ensure};
use eko_client::device::{EntryContent, JoinKind, PendingDevice, RegistrationStatus};
use eko_client::{ClientError, JoiningCode};
use eko_protocol::chain::JoiningVerdict;
use eko_protocol::device_set::DeviceSetRef;

use super::mailbox;
use super::stage::{DemoStage, Party};
use super::transcript::short;

/// Plays scene 1: Alice registers a device, Bob two.
pub(super) async fn first_devices(stage: &DemoStage) -> anyhow::Result<()> {
    first(stage, &stage.alice).await?;
    first(stage, &stage.phone).await?;
    further(stage, &stage.tablet, &stage.phone, &[&stage.phone]).await?;
    Ok(())
}

/// Registers the first device of a user, which is active at once.
async fn first(stage: &DemoStage, party: &Party) -> anyhow::Result<()> {
    let (label, device) = (party.label, &party.device);
    stage.transcript.step(&format!("{label} registers"));
    let id_token = party.issuer.id_token(device).await?;
    let registered = device.register(&id_token, JoinKind::First).await?;
    ensure!(registered.status == RegistrationStatus::Active, "expected an active device, got {registered:?}");
    ensure!(registered.device_set.length == 1, "expected a chain of one node, got {registered:?}");
    stage.transcript.means(&format!(
        "The name {} is claimed. Device {} is active: it signed the first node of its user's chain ({}).",
        device.user(),
        short(device.id().as_str()),
        head(&registered.device_set),
    ));
    Ok(())
}

/// Registers another device of a user. The devices `notified` find a notice, and `approver`
/// approves it.
pub(super) async fn further(
    stage: &DemoStage,
    newcomer: &Party,
    approver: &Party,
    notified: &[&Party],
) -> anyhow::Result<DeviceSetRef> {
    let (label, id) = (newcomer.label, newcomer.device.id());
    stage.transcript.step(&format!("{label} registers"));
    let id_token = newcomer.issuer.id_token(&newcomer.device).await?;
    let code = JoiningCode::generate(&stage.environment);
    let registered = newcomer.device.register(&id_token, JoinKind::Further(code.clone())).await?;
    ensure!(
        registered.status == RegistrationStatus::Pending,
        "expected a pending device, got {registered:?}"
    );
    stage.transcript.means(&format!(
        "Device {} waits, and shows its joining code: {}.",
        short(id.as_str()),
        code.digits()
    ));

    stage.transcript.step(&format!("{label} asks for its mailbox all the same"));
    refused(newcomer.device.fetch().await.map(drop), "device-pending")?;
    stage.transcript.means("Refused: a pending device is in no device set and gets nothing.");

    for party in notified {
        stage.transcript.step(&format!("{} finds a notice", party.label));
        let entry = mailbox::only_entry(party).await?;
        let EntryContent::DeviceOffered(pending) = &entry.content else {
            anyhow::bail!("expected an Offer of a pending device, got {}", entry.activity);
        };
        ensure!(pending.device == newcomer.device.described(), "expected {label}, got {}", entry.activity);
        party.device.discard(&entry.address).await?;
        stage.transcript.means("A device of the same user wants in; the notice is discarded.");
    }

    stage.transcript.step(&format!("Bob enters the code at {}, which approves {label}", approver.label));
    let (device, user) = (&approver.device, approver.device.user());
    let pending = device.pending_devices().await?;
    let has_code =
        |it: &&PendingDevice| code.keys().registered(device.origin(), user, &it.device, &it.joining_mac);
    let waiting = pending.iter().find(has_code).context("expected a pending device with the code")?;
    let (nodes, _) = device.chain(user).await?;
    let set = device.append(&device.approval(&nodes, waiting, &code)?).await?;
    ensure!(
        set.length == registered.device_set.length.saturating_add(1),
        "expected one node more, got {set:?}"
    );
    stage.transcript.means(&format!(
        "The code proved the key of {}; {} signed the next node of the chain ({}).",
        newcomer.label,
        approver.label,
        head(&set),
    ));

    stage.transcript.step(&format!("{label} checks its approval"));
    let (nodes, _) = newcomer.device.chain(user).await?;
    let verdict = code.keys().judge(device.origin(), user, &newcomer.device.described(), &nodes);
    ensure!(verdict == JoiningVerdict::Approved, "expected an approval, got {verdict:?}");
    stage.transcript.means("The code proves that this chain is the one that the other device knows.");
    Ok(set)
}

/// Checks that a call failed with the problem `slug`.
///
/// # Errors
/// It succeeded, or failed otherwise.
pub(super) fn refused(result: Result<(), ClientError>, slug: &str) -> anyhow::Result<()> {
    let error = result.err().with_context(|| format!("expected the problem {slug}, got no error"))?;
    let found = error.problem().map(eko_client::ProblemDetails::slug);
    ensure!(found == Some(slug), "expected the problem {slug}, got {error}");
    Ok(())
}

/// Describes the head of a chain.
pub(super) fn head(set: &DeviceSetRef) -> String {
    let nodes = if set.length == 1 { "node" } else { "nodes" };
    format!("{} {nodes}, head {}", set.length, short(&set.head))
}
