//! Fetches a contact's device chain and key packages, as a client does before its first message.

use anyhow::ensure;
use eko_client::device::TakenPackages;
use eko_protocol::chain::ChainState;
use eko_protocol::device_set::DeviceSetRef;
use eko_protocol::id::DeviceId;

use super::joining::head;
use super::stage::{DemoStage, KEYS, Party};
use super::transcript::short;

/// Bob's devices and the head of his chain, as Alice knows them.
pub(super) struct KnownDevices {
    pub(super) devices: Vec<DeviceId>,
    pub(super) set: DeviceSetRef,
}

/// Plays scene 2: Alice fetches Bob's chain and takes his key packages.
pub(super) async fn take(stage: &DemoStage) -> anyhow::Result<KnownDevices> {
    stage.transcript.step("Alice's phone replays Bob's device chain");
    let (state, known) = chain(stage).await?;
    let expected = [stage.phone.device.id(), stage.tablet.device.id()];
    ensure!(same(&known, &expected), "expected the devices {expected:?}, got {:?}", known.devices);
    stage.transcript.means(&format!("Every proof is good. Two devices are active ({}).", head(&known.set)));

    stage.transcript.step("Alice's phone takes Bob's key packages");
    let taken = stage.take(None).await?;
    let text = checked(stage, &taken, &state, expected.len())?;
    stage.transcript.means(&text);

    stage.transcript.step("Bob's devices ask how many keys they have left");
    for party in [&stage.phone, &stage.tablet] {
        left(party, 1).await?;
    }
    stage.transcript.means(&format!(
        "{} one-time keys of {}, and {} Kyber keys of {}: each was handed out once, and never again.",
        KEYS.pre_keys.saturating_sub(1),
        KEYS.pre_keys,
        KEYS.kyber_pre_keys.saturating_sub(1),
        KEYS.kyber_pre_keys,
    ));
    Ok(known)
}

/// Fetches and verifies Bob's chain. Returns its state, and the devices that it names.
pub(super) async fn chain(stage: &DemoStage) -> anyhow::Result<(ChainState, KnownDevices)> {
    let (_, state) = stage.alice.device.chain_at(stage.bobs_server(), stage.bob()).await?;
    let devices = state.active.keys().cloned().collect();
    let Some(set) = state.device_set().reference() else {
        anyhow::bail!("expected a chain, got an empty one");
    };
    Ok((state, KnownDevices { devices, set }))
}

/// True if the known devices are the expected ones, in any order.
pub(super) fn same(known: &KnownDevices, expected: &[&DeviceId]) -> bool {
    known.devices.len() == expected.len() && expected.iter().all(|device| known.devices.contains(device))
}

/// Checks packages that were taken, and describes them.
///
/// # Errors
/// There are not `count` packages, they do not fit the chain, or one lacks a one-time key. (Their
/// signatures were verified when they were parsed.)
pub(super) fn checked(
    stage: &DemoStage,
    taken: &TakenPackages,
    chain: &ChainState,
    count: usize,
) -> anyhow::Result<String> {
    taken.check(stage.bobs_server(), chain)?;
    ensure!(taken.packages.len() == count, "expected {count} packages, got {}", taken.packages.len());
    ensure!(
        taken.device_set == chain.device_set().reference(),
        "expected the chain's head, got {:?}",
        taken.device_set
    );
    let mut lines = vec!["Signatures are good, and the identity keys are those of the chain.".to_owned()];
    for package in &taken.packages {
        let device = package.device.rsplit('/').next().unwrap_or_default();
        let (Some(pre_key), Some(kyber)) = (&package.pre_key, &package.kyber_pre_key) else {
            anyhow::bail!("expected a one-time key and a Kyber key in {}", package.id);
        };
        lines.push(format!(
            "Device {}: signed prekey {}, one-time prekey {}, Kyber prekey {}.",
            short(device),
            package.signed_pre_key.id,
            pre_key.id,
            kyber.id,
        ));
    }
    Ok(lines.join("\n"))
}

/// Checks that `taken` keys of each kind were given out.
async fn left(party: &Party, taken: u64) -> anyhow::Result<()> {
    let left = party.device.fetch().await?.keys_left;
    let pre_keys = u64::from(KEYS.pre_keys).saturating_sub(taken);
    let kyber_pre_keys = u64::from(KEYS.kyber_pre_keys).saturating_sub(taken);
    ensure!(
        (left.pre_keys, left.kyber_pre_keys) == (pre_keys, kyber_pre_keys),
        "expected {pre_keys} one-time keys and {kyber_pre_keys} Kyber keys of {}, got {left:?}",
        party.label
    );
    Ok(())
}
