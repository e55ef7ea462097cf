//! Conversions of this project's types into libsignal's.

use eko_client::SessionError;
use eko_client::keys::{CurvePair, KyberPair};
use eko_protocol::key::IdentityKey;
use eko_protocol::key_package::KeyPackage;
use libsignal_protocol_syft as signal;
use signal::kem;
use zeroize::Zeroizing;

use super::failure::explained;
use super::spqr;

/// The device number for libsignal. Each device has a name of its own there, and is the only device
/// of that name.
const DEVICE: u8 = 1;
/// The first byte of a `SignalMessage` after the version: the tag of field 1 as bytes. A
/// `PreKeySignalMessage` has a number in field 1, or begins with another field.
const SIGNAL_MESSAGE_FIELD: u8 = 0x0A;
/// The type byte of a Kyber-1024 private key, as libsignal writes it.
const KYBER_1024: u8 = 0x08;

/// Converts a device's address.
pub(super) fn address(device: &str) -> Result<signal::ProtocolAddress, SessionError> {
    Ok(signal::ProtocolAddress::new(device.to_owned(), one()?))
}

fn one() -> Result<signal::DeviceId, SessionError> {
    signal::DeviceId::new(DEVICE).map_err(|error| SessionError::Broken(error.to_string()))
}

/// Converts an identity key.
pub(super) fn identity(key: &IdentityKey) -> Result<signal::IdentityKey, SessionError> {
    signal::IdentityKey::decode(key.as_bytes()).map_err(explained)
}

/// Converts a Curve25519 key pair.
pub(super) fn curve_pair(pair: &CurvePair) -> Result<signal::KeyPair, SessionError> {
    let made = signal::KeyPair::from_public_and_private(pair.public().as_bytes(), pair.secret());
    made.map_err(|error| explained(error.into()))
}

/// Converts a Kyber-1024 key pair.
pub(super) fn kyber_pair(pair: &KyberPair) -> Result<kem::KeyPair, SessionError> {
    let expanded = pair.expanded();
    let mut secret = Zeroizing::new(Vec::with_capacity(expanded.len().saturating_add(1)));
    secret.push(KYBER_1024);
    secret.extend_from_slice(&expanded);
    kem::KeyPair::from_public_and_private(pair.public().as_bytes(), &secret).map_err(explained)
}

/// Parses a message of either kind, and refuses one on which libsignal would panic.
pub(super) fn message(content: &[u8]) -> Result<signal::CiphertextMessage, SessionError> {
    use signal::CiphertextMessage::{PreKeySignalMessage, SignalMessage};
    let (message, is_readable) = if content.get(1) == Some(&SIGNAL_MESSAGE_FIELD) {
        let message = signal::SignalMessage::try_from(content).map_err(explained)?;
        let is_readable = spqr::is_readable(message.pq_ratchet());
        (SignalMessage(message), is_readable)
    } else {
        let message = signal::PreKeySignalMessage::try_from(content).map_err(explained)?;
        let is_readable = spqr::is_readable(message.message().pq_ratchet());
        (PreKeySignalMessage(message), is_readable)
    };
    if is_readable {
        Ok(message)
    } else {
        Err(SessionError::Unreadable("its post-quantum part is cut short, or of no epoch".to_owned()))
    }
}

/// Converts a key package.
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
