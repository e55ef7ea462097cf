//! What is ours in libsignal's types.

use eko_client::SessionError;
use eko_client::keys::{CurvePair, KyberPair};
use eko_protocol::key::IdentityKey;
use eko_protocol::key_package::KeyPackage;
use libsignal_protocol_syft as signal;
use signal::kem;
use zeroize::Zeroizing;

use super::failure::explained;
use super::spqr;

/// Every device is its own name at libsignal, and the only device of it.
const DEVICE: u8 = 1;
/// A `SignalMessage` begins its protobuf, after the version byte, with field 1 as bytes; a `PreKeySignalMessage` has
/// a number there or begins with another field.
const SIGNAL_MESSAGE_FIELD: u8 = 0x0A;
/// The type byte of a Kyber-1024 private key, as libsignal writes it.
const KYBER_1024: u8 = 0x08;

/// A device's address.
pub(super) fn address(device: &str) -> Result<signal::ProtocolAddress, SessionError> {
    Ok(signal::ProtocolAddress::new(device.to_owned(), one()?))
}

fn one() -> Result<signal::DeviceId, SessionError> {
    signal::DeviceId::new(DEVICE).map_err(|error| SessionError::Broken(error.to_string()))
}

/// An identity key.
pub(super) fn identity(key: &IdentityKey) -> Result<signal::IdentityKey, SessionError> {
    signal::IdentityKey::decode(key.as_bytes()).map_err(explained)
}

/// A Curve25519 pair.
pub(super) fn curve_pair(pair: &CurvePair) -> Result<signal::KeyPair, SessionError> {
    let made = signal::KeyPair::from_public_and_private(pair.public().as_bytes(), pair.secret());
    made.map_err(|error| explained(error.into()))
}

/// A Kyber-1024 pair.
pub(super) fn kyber_pair(pair: &KyberPair) -> Result<kem::KeyPair, SessionError> {
    let expanded = pair.expanded();
    let mut secret = Zeroizing::new(Vec::with_capacity(expanded.len().saturating_add(1)));
    secret.push(KYBER_1024);
    secret.extend_from_slice(&expanded);
    kem::KeyPair::from_public_and_private(pair.public().as_bytes(), &secret).map_err(explained)
}

/// A serialized message of either kind, as far as libsignal reads it without panic.
pub(super) fn message(content: &[u8]) -> Result<signal::CiphertextMessage, SessionError> {
    use signal::CiphertextMessage::{PreKeySignalMessage, SignalMessage};
    let (message, is_whole) = if content.get(1) == Some(&SIGNAL_MESSAGE_FIELD) {
        let message = signal::SignalMessage::try_from(content).map_err(explained)?;
        let is_whole = spqr::is_whole(message.pq_ratchet());
        (SignalMessage(message), is_whole)
    } else {
        let message = signal::PreKeySignalMessage::try_from(content).map_err(explained)?;
        let is_whole = spqr::is_whole(message.message().pq_ratchet());
        (PreKeySignalMessage(message), is_whole)
    };
    if is_whole {
        Ok(message)
    } else {
        Err(SessionError::Unreadable("its post-quantum part is cut short, or of no epoch".to_owned()))
    }
}

/// A key package.
pub(super) fn bundle(package: &KeyPackage) -> Result<signal::PreKeyBundle, SessionError> {
    let kyber = package.kyber_pre_key.as_ref();
    let kyber = kyber.ok_or_else(|| SessionError::NoKyberKey(package.device.clone()))?;
    let signed = &package.signed_pre_key;
    let curve = |bytes: &[u8]| signal::PublicKey::deserialize(bytes).map_err(|error| explained(error.into()));
    let one_time = package.pre_key.as_ref();
    let one_time = one_time.map(|key| Ok((key.id.get().into(), curve(key.key.as_bytes())?))).transpose()?;
    let bundle = signal::PreKeyBundle::new(
        u32::from(package.registration_id.get()),
        one()?,
        one_time,
        signed.id.get().into(),
        curve(signed.key.as_bytes())?,
        signed.signature.as_bytes().to_vec(),
        kyber.id.get().into(),
        kem::PublicKey::deserialize(kyber.key.as_bytes()).map_err(explained)?,
        kyber.signature.as_bytes().to_vec(),
        identity(&package.identity_key)?,
    );
    bundle.map_err(explained)
}
