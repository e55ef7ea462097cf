//! The interface to a Signal library, which makes sessions by X3DH or PQXDH and the Double Ratchet
//! (`docs/protocol.md`, section 9).
//!
//! An implementation keeps nothing. A session is a record of bytes that only the implementation can
//! read. Every step takes the record before it and returns the record after it. The caller keeps
//! that record in the same transaction as the result of the step. So a crash keeps both or neither,
//! and two processes never use one message key.

use eko_protocol::key::{CurveKey, IdentityKey, KeyId, RegistrationId};
use eko_protocol::key_package::KeyPackage;

use crate::Environment;
use crate::keys::{CurvePair, IdentityPair, KyberPair};

/// This device, as one end of a session.
#[derive(Clone, Copy)]
pub struct LocalDevice<'a> {
    /// The device's address.
    pub address: &'a str,
    /// The device's identity, both halves.
    pub identity: &'a IdentityPair,
    /// The device's registration id.
    pub registration_id: RegistrationId,
    /// The source of time and randomness.
    pub environment: &'a Environment,
}

/// The device at the other end of a session, as its user's verified chain describes it.
#[derive(Debug, Clone, Copy)]
pub struct PeerDevice<'a> {
    /// The device's address.
    pub address: &'a str,
    /// The device's identity key.
    pub identity: &'a IdentityKey,
}

/// A Signal library: it begins sessions, encrypts and decrypts.
///
/// For libsignal, a device's address is the name of a `ProtocolAddress` with device number 1.
pub trait SignalSessions: Send + Sync {
    /// Begins a session with a device from its key package, and returns the record. If there is a
    /// former session, its `record` is kept in the new one, so that messages on their way can still
    /// be read.
    ///
    /// # Errors
    /// [`SessionError`] if the package has another identity key than the peer, is badly signed, or
    /// lacks a key that the library needs.
    fn begin(
        &self,
        own: LocalDevice<'_>,
        peer: PeerDevice<'_>,
        package: &KeyPackage,
        record: Option<&[u8]>,
    ) -> Result<Vec<u8>, SessionError>;

    /// True if [`SignalSessions::encrypt`] can send in a record's session at this time, in epoch
    /// milliseconds. A library may end a session that its peer has never answered.
    ///
    /// # Errors
    /// [`SessionError::Broken`] if the record cannot be read.
    fn usable(&self, record: &[u8], now_ms: i64) -> Result<bool, SessionError>;

    /// Encrypts one message.
    ///
    /// # Errors
    /// [`SessionError`] if the record cannot be read, or holds no session to send in.
    fn encrypt(
        &self,
        own: LocalDevice<'_>,
        peer: PeerDevice<'_>,
        record: &[u8],
        plaintext: &[u8],
    ) -> Result<EncryptedMessage, SessionError>;

    /// Decrypts one message, which may begin a session. `content` is a serialized
    /// `PreKeySignalMessage` or `SignalMessage`.
    ///
    /// # Errors
    /// [`SessionError::Duplicate`] if the message was decrypted before; any other [`SessionError`]
    /// if it cannot be decrypted.
    fn decrypt(
        &self,
        own: LocalDevice<'_>,
        peer: PeerDevice<'_>,
        record: Option<&[u8]>,
        keys: &dyn PrivateKeys,
        content: &[u8],
    ) -> Result<DecryptedMessage, SessionError>;
}

/// The result of encrypting a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptedMessage {
    /// The record of the session afterwards.
    pub record: Vec<u8>,
    /// The ciphertext.
    pub content: Vec<u8>,
}

/// The result of decrypting a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecryptedMessage {
    /// The record of the session afterwards.
    pub record: Vec<u8>,
    /// The plaintext.
    pub plaintext: Vec<u8>,
    /// The one-time prekey that a first message used up.
    pub one_time: Option<KeyId>,
    /// The Kyber prekey that a first message used.
    pub kyber: Option<KyberUse>,
}

/// One use of a Kyber prekey. A last-resort key is used many times, but a first message that comes
/// again with the same ephemeral key is a replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KyberUse {
    /// The id of the Kyber prekey.
    pub id: KeyId,
    /// The id of the signed prekey that was used with it.
    pub signed: KeyId,
    /// The sender's ephemeral key.
    pub base_key: CurveKey,
}

/// The private halves of this device's prekeys, which first messages need.
pub trait PrivateKeys {
    /// Returns a signed prekey, new or old.
    ///
    /// # Errors
    /// [`SessionError::Broken`] if it cannot be read.
    fn signed(&self, id: KeyId) -> Result<Option<CurvePair>, SessionError>;

    /// Returns a one-time prekey that is not used up.
    ///
    /// # Errors
    /// [`SessionError::Broken`] if it cannot be read.
    fn one_time(&self, id: KeyId) -> Result<Option<CurvePair>, SessionError>;

    /// Returns a Kyber prekey, one-time or last-resort.
    ///
    /// # Errors
    /// [`SessionError::Broken`] if it cannot be read.
    fn kyber(&self, id: KeyId) -> Result<Option<KyberPair>, SessionError>;

    /// True if this use of a last-resort key was recorded before.
    ///
    /// # Errors
    /// [`SessionError::Broken`] if the records cannot be read.
    fn was_used(&self, kyber: &KyberUse) -> Result<bool, SessionError>;
}

/// An error of a Signal library.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// There is no session with this device.
    #[error("there is no session with {0}")]
    NoSession(String),
    /// This message was decrypted before.
    #[error("this message was read before")]
    Duplicate,
    /// The message or the package has another identity key than the chain has for this device.
    #[error("it is of another identity key than {0} has")]
    WrongIdentity(String),
    /// The first message is for a prekey that this device does not have any more, or never had.
    #[error("it is for a prekey that this device does not have: {0}")]
    MissingKey(&'static str),
    /// The package has no Kyber key. Its device has the legacy profile, to which this library
    /// cannot write.
    #[error("{0} has no Kyber key, which this client's Signal library demands")]
    NoKyberKey(String),
    /// The ciphertext is no Signal message, or was changed on its way.
    #[error("it cannot be decrypted: {0}")]
    Unreadable(String),
    /// The record cannot be read, or the library failed.
    #[error("the session cannot be used: {0}")]
    Broken(String),
}
