//! Signal's sessions by libsignal: PQXDH, the Double Ratchet and SPQR beside it. Only the files of this module name
//! libsignal.
//!
//! Each step builds libsignal's stores anew from what it is given, and takes the new record out of them. libsignal is
//! asynchronous for stores that wait; these never do.

mod convert;
mod draws;
mod failure;
mod identities;
mod prekeys;
mod sessions;
mod spqr;

use std::future::Future;
use std::time::{Duration, SystemTime};

use eko_client::sessions::{DecryptedMessage, EncryptedMessage, LocalDevice, PeerDevice, PrivateKeys};
use eko_client::{SessionError, SignalSessions};
use eko_protocol::key_package::KeyPackage;
use futures_util::FutureExt;
use libsignal_protocol_syft as signal;

use draws::Draws;
use failure::explained;
use identities::Identities;
use prekeys::PreKeys;
use sessions::OneSession;

/// The ages that libsignal compares are in whole seconds from the epoch on; a clock before it says the epoch.
fn now(own: LocalDevice<'_>) -> SystemTime {
    let since = u64::try_from(own.environment.now_ms()).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_millis(since)
}

/// What a step of libsignal's comes to.
fn done<T>(step: impl Future<Output = Result<T, signal::SignalProtocolError>>) -> Result<T, SessionError> {
    let ended = step.now_or_never();
    ended.ok_or_else(|| SessionError::Broken("libsignal waits for something".to_owned()))?.map_err(explained)
}

/// [`SignalSessions`] by libsignal.
///
/// It writes to no device without a Kyber key, and reads no first message without one: PQXDH is the only way that
/// it knows to begin.
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
        let mut identities = Identities::of(own, peer)?;
        done(signal::process_prekey_bundle(
            &address,
            &mut session,
            &mut identities,
            &bundle,
            now(own),
            &mut Draws(own.environment),
        ))?;
        session.record()
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
        let mut identities = Identities::of(own, peer)?;
        let message = done(signal::message_encrypt(
            plaintext,
            &address,
            &mut session,
            &mut identities,
            now(own),
            &mut Draws(own.environment),
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
        let mut identities = Identities::of(own, peer)?;
        // One for each kind: libsignal borrows all three at once.
        let (mut one_time, signed, mut kyber) = (PreKeys::of(keys), PreKeys::of(keys), PreKeys::of(keys));
        let plaintext = done(signal::message_decrypt(
            &message,
            &address,
            &mut session,
            &mut identities,
            &mut one_time,
            &signed,
            &mut kyber,
            &mut Draws(own.environment),
        ))?;
        Ok(DecryptedMessage {
            record: session.record()?,
            plaintext,
            one_time: one_time.spent(),
            kyber: kyber.used(),
        })
    }
}
