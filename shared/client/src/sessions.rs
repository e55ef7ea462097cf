//! The seam behind which Signal's sessions are made: X3DH or PQXDH, then the Double Ratchet (section 9).
//!
//! Nothing behind it keeps anything. A session is a record of bytes that only the implementation can read; every
//! step takes the record before it and gives the one after, and whoever calls keeps it in the transaction that also
//! keeps what the step was for. So a crash leaves both or neither, and two processes cannot use one message key.

use eko_protocol::key::{CurveKey, IdentityKey, KeyId, RegistrationId};
use eko_protocol::key_package::KeyPackage;

use crate::Environment;
use crate::keys::{CurvePair, IdentityPair, KyberPair};

/// The own end of a session.
#[derive(Clone, Copy)]
pub struct LocalDevice<'a> {
    /// The device's address.
    pub address: &'a str,
    /// Its identity, both halves.
    pub identity: &'a IdentityPair,
    /// Its registration id.
    pub registration_id: RegistrationId,
    /// Time and randomness.
    pub environment: &'a Environment,
}

/// The other end of a session, as its user's verified chain has it.
#[derive(Debug, Clone, Copy)]
pub struct PeerDevice<'a> {
    /// The device's address.
    pub address: &'a str,
    /// Its identity key.
    pub identity: &'a IdentityKey,
}

/// Makes sessions, encrypts and decrypts.
///
/// To libsignal, a device's address is the name of a `ProtocolAddress` whose device number is 1.
pub trait SignalSessions: Send + Sync {
    /// Begins a session with a device from its key package; answers the record. With the `record` of a former
    /// session that one is kept in it, for what is still under way.
    ///
    /// # Errors
    /// The package is of another key than the peer's, is badly signed, or lacks what the library wants.
    fn begin(
        &self,
        own: LocalDevice<'_>,
        peer: PeerDevice<'_>,
        package: &KeyPackage,
        record: Option<&[u8]>,
    ) -> Result<Vec<u8>, SessionError>;

    /// Encrypts one message.
    ///
    /// # Errors
    /// The record cannot be read, or holds no session to send in.
    fn encrypt(
        &self,
        own: LocalDevice<'_>,
        peer: PeerDevice<'_>,
        record: &[u8],
        plaintext: &[u8],
    ) -> Result<EncryptedMessage, SessionError>;

    /// Decrypts one message, which may begin a session. `content` is a serialized `PreKeySignalMessage` or
    /// `SignalMessage`.
    ///
    /// # Errors
    /// [`SessionError::Duplicate`] for what was decrypted before; everything else means that it cannot be read.
    fn decrypt(
        &self,
        own: LocalDevice<'_>,
        peer: PeerDevice<'_>,
        record: Option<&[u8]>,
        keys: &dyn PrivateKeys,
        content: &[u8],
    ) -> Result<DecryptedMessage, SessionError>;
}

/// What encrypting makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptedMessage {
    /// The session afterwards.
    pub record: Vec<u8>,
    /// What is sent.
    pub content: Vec<u8>,
}

/// What decrypting makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecryptedMessage {
    /// The session afterwards.
    pub record: Vec<u8>,
    /// What was said.
    pub plaintext: Vec<u8>,
    /// The one-time prekey that a first message has used up.
    pub one_time: Option<KeyId>,
    /// The Kyber prekey that a first message was for.
    pub kyber: Option<KyberUse>,
}

/// One use of a Kyber prekey. A last-resort key has many, but none twice: a first message that comes again under
/// the same ephemeral key is a replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KyberUse {
    /// The Kyber prekey.
    pub id: KeyId,
    /// The signed prekey that was used beside it.
    pub signed: KeyId,
    /// The sender's ephemeral key.
    pub base_key: CurveKey,
}

/// The private halves of this device's prekeys, as first messages ask for them.
pub trait PrivateKeys {
    /// A signed prekey, new or old.
    ///
    /// # Errors
    /// It cannot be read.
    fn signed(&self, id: KeyId) -> Result<Option<CurvePair>, SessionError>;

    /// A one-time prekey that is not used up.
    ///
    /// # Errors
    /// It cannot be read.
    fn one_time(&self, id: KeyId) -> Result<Option<CurvePair>, SessionError>;

    /// A Kyber prekey, one-time or last-resort.
    ///
    /// # Errors
    /// It cannot be read.
    fn kyber(&self, id: KeyId) -> Result<Option<KyberPair>, SessionError>;

    /// Whether this use of a last-resort key was seen before.
    ///
    /// # Errors
    /// It cannot be said.
    fn was_used(&self, kyber: &KyberUse) -> Result<bool, SessionError>;
}

/// Why there is no ciphertext, or no plaintext.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// There is no session with this device to read or write in.
    #[error("there is no session with {0}")]
    NoSession(String),
    /// This message was decrypted before.
    #[error("this message was read before")]
    Duplicate,
    /// The message or the package is of another identity key than the chain has for that device.
    #[error("it is of another identity key than {0} has")]
    WrongIdentity(String),
    /// A first message for a prekey that is gone, or never was.
    #[error("it is for a prekey that this device does not have: {0}")]
    MissingKey(&'static str),
    /// The package has no Kyber key: a device of the legacy profile, which this library does not write to.
    #[error("{0} has no Kyber key, which this client's Signal library demands")]
    NoKyberKey(String),
    /// What came is no message of Signal's, or was changed under way.
    #[error("it cannot be decrypted: {0}")]
    Unreadable(String),
    /// The session's record cannot be read, or the library failed.
    #[error("the session cannot be used: {0}")]
    Broken(String),
}
