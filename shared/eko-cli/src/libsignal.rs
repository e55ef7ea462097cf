//! Signal sessions by libsignal: PQXDH, and the Double Ratchet with SPQR beside it.
//!
//! Each step builds libsignal's stores from the arguments, and takes the new session record out of
//! them. libsignal's functions are asynchronous, for stores that wait; the stores here never wait.
//!
//! **Invariant**: only the files of this module name libsignal.

mod convert;
mod failure;
mod identities;
mod prekeys;
mod rng;
mod sessions;
mod spqr;

use std::future::Future;
use std::time::{Duration, SystemTime};

use eko_client::sessions::{DecryptedMessage, EncryptedMessage, LocalDevice, PeerDevice, PrivateKeys};
use eko_client::{SessionError, SignalSessions};
use eko_protocol::key_package::KeyPackage;
use futures_util::FutureExt;
use libsignal_protocol_syft as signal;

use failure::explained;
use identities::SessionIdentities;
use prekeys::PreKeyStores;
use rng::EnvironmentRng;
use sessions::OneSession;

/// Returns the time for libsignal, which compares ages of sessions. A clock before the epoch counts
/// as the epoch.
fn moment(ms: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(ms).unwrap_or_default())
}

fn now(own: LocalDevice<'_>) -> SystemTime {
    moment(own.environment.now_ms())
}

/// Returns the result of a step of libsignal, which must be ready at once.
fn done<T>(step: impl Future<Output = Result<T, signal::SignalProtocolError>>) -> Result<T, SessionError> {
    let ended = step.now_or_never();
    ended.ok_or_else(|| SessionError::Broken("libsignal waits for something".to_owned()))?.map_err(explained)
}

/// The [`SignalSessions`] of libsignal.
///
/// Every session begins with PQXDH. A device without a Kyber key cannot be written to, and a first
/// message without one is not read.
#[derive(Debug, Clone, Copy, Default)]
pub struct LibSignal;

impl SignalSessions for LibSignal {
    fn begin(
        &self,
        own: LocalDevice<'_>,
        peer: PeerDevice<'_>,
        package: &KeyPackage,
        record: Option<&[u8]>,
    ) -> Result<Vec<u8>, SessionError> {
        if package.device != peer.address {
            let (of, to) = (&package.device, peer.address);
            return Err(SessionError::Broken(format!("the key package is of {of}, not of {to}")));
        }
        let bundle = convert::bundle(package)?;
        let address = convert::address(peer.address)?;
        let mut session = OneSession::of(&address, record)?;
        let mut identities = SessionIdentities::of(own, peer)?;
        done(signal::process_prekey_bundle(
            &address,
            &mut session,
            &mut identities,
            &bundle,
            now(own),
            &mut EnvironmentRng(own.environment),
        ))?;
        session.record()
    }

    /// libsignal ends a session that this device began and its peer has not answered for 30 days.
    fn usable(&self, record: &[u8], now_ms: i64) -> Result<bool, SessionError> {
        let broken = |error: signal::SignalProtocolError| SessionError::Broken(error.to_string());
        let record = signal::SessionRecord::deserialize(record).map_err(broken)?;
        let fresh = signal::SessionUsabilityRequirements::NotStale;
        record.has_usable_sender_chain(moment(now_ms), fresh).map_err(broken)
    }

    fn encrypt(
        &self,
        own: LocalDevice<'_>,
        peer: PeerDevice<'_>,
        record: &[u8],
        plaintext: &[u8],
    ) -> Result<EncryptedMessage, SessionError> {
        let address = convert::address(peer.address)?;
        let mut session = OneSession::of(&address, Some(record))?;
        let mut identities = SessionIdentities::of(own, peer)?;
        let message = done(signal::message_encrypt(
            plaintext,
            &address,
            &mut session,
            &mut identities,
            now(own),
            &mut EnvironmentRng(own.environment),
        ))?;
        Ok(EncryptedMessage { record: session.record()?, content: message.serialize().to_vec() })
    }

    fn decrypt(
        &self,
        own: LocalDevice<'_>,
        peer: PeerDevice<'_>,
        record: Option<&[u8]>,
        keys: &dyn PrivateKeys,
        content: &[u8],
    ) -> Result<DecryptedMessage, SessionError> {
        let message = convert::message(content)?;
        let address = convert::address(peer.address)?;
        let mut session = OneSession::of(&address, record)?;
        let mut identities = SessionIdentities::of(own, peer)?;
        // There is one store per kind of key, because libsignal borrows all three at once.
        let (mut one_time, signed, mut kyber) =
            (PreKeyStores::of(keys), PreKeyStores::of(keys), PreKeyStores::of(keys));
        let plaintext = done(signal::message_decrypt(
            &message,
            &address,
            &mut session,
            &mut identities,
            &mut one_time,
            &signed,
            &mut kyber,
            &mut EnvironmentRng(own.environment),
        ))?;
        Ok(DecryptedMessage {
            record: session.record()?,
            plaintext,
            one_time: one_time.spent(),
            kyber: kyber.used(),
        })
    }
}
