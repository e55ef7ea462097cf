//! The body of a registration, read and verified before anything is stored.

use eko_protocol::Invalid;
use eko_protocol::address::{Origin, UserName};
use eko_protocol::chain::{
    AppendError, ChainNode, ChainPosition, NewDevice, verify_possession, verify_registration,
};
use eko_protocol::id::DeviceId;
use eko_protocol::key::{IdentityKey, JoiningMac, NonceRandom, RegistrationId, Signature};
use eko_protocol::key_package::PublishedKeys;
use eko_protocol::limits::MAX_DEVICE_NAME_CHARS;
use eko_protocol::{multibase, sign_in};
use eko_service::caller::Caller;
use eko_service::{AppState, Problem, respond};
use eko_store::accounts::DeviceRegistration;
use eko_store::device_keys::LastingKeys;
use eko_store::sessions::NewSession;
use serde::Deserialize;
use serde_json::Value;

/// The members of a registration. The keys are not among them; [`PublishedKeys`] reads those.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RegistrationMembers {
    username: Option<String>,
    device_id: DeviceId,
    device_name: Option<String>,
    identity_key: IdentityKey,
    registration_id: RegistrationId,
    nonce_random: NonceRandom,
    possession: Option<String>,
    joining_mac: Option<JoiningMac>,
    sign_in: Option<String>,
    node: Option<Value>,
}

/// A well-formed registration. No signature in it is verified.
pub(crate) struct RegistrationRequest {
    /// The name that a new user asks for, or that a known user has.
    pub(crate) username: Option<UserName>,
    /// The device.
    pub(crate) device: DeviceId,
    /// The device's signature over the ID token, if a registered device signs in again.
    pub(crate) sign_in: Option<Signature>,
    /// The device's identity key.
    pub(crate) identity_key: IdentityKey,
    registration_id: RegistrationId,
    nonce_random: NonceRandom,
    name: Option<String>,
    possession: Option<Signature>,
    joining_mac: Option<JoiningMac>,
    node: Option<Value>,
    keys: PublishedKeys,
}

/// A device that registers. The signatures over its keys are verified.
pub(crate) struct VerifiedDevice {
    /// The device's user and id.
    pub(crate) caller: Caller,
    /// The device's lasting keys.
    pub(crate) keys: LastingKeys,
    one_time: PublishedKeys,
}

impl RegistrationRequest {
    /// Reads the body of a registration.
    ///
    /// # Errors
    /// [`Problem::Invalid`] for the first member that is missing or not well formed.
    pub(crate) fn parse(body: &Value) -> Result<Self, Problem> {
        let members: RegistrationMembers = respond::shape(body)?;
        let username = members.username.as_deref().map(UserName::parse).transpose();
        let username = username.map_err(|invalid| invalid.under("/username"))?;
        if members.device_name.as_ref().is_some_and(|name| name.chars().count() > MAX_DEVICE_NAME_CHARS) {
            let what = format!("is longer than {MAX_DEVICE_NAME_CHARS} characters");
            return Err(Invalid::at("/deviceName", what).into());
        }
        let signature = |text: Option<&str>, pointer: &str| {
            text.map(multibase::decode).transpose().map_err(|invalid| invalid.under(pointer))
        };
        Ok(Self {
            username,
            sign_in: signature(members.sign_in.as_deref(), "/signIn")?,
            possession: signature(members.possession.as_deref(), "/possession")?,
            joining_mac: members.joining_mac,
            device: members.device_id,
            name: members.device_name,
            identity_key: members.identity_key,
            registration_id: members.registration_id,
            nonce_random: members.nonce_random,
            node: members.node,
            keys: PublishedKeys::parse(body)?,
        })
    }

    /// Returns the nonce that the ID token must carry: it is for the device with this identity key,
    /// at this server.
    pub(crate) fn nonce(&self, origin: &Origin) -> String {
        sign_in::nonce(origin, &self.identity_key, &self.nonce_random)
    }

    /// True if the registration has a node.
    pub(crate) fn has_node(&self) -> bool {
        self.node.is_some()
    }

    /// Returns the MAC of a further device, by which the user's other devices recognise it. The
    /// server has no key to verify it with.
    ///
    /// # Errors
    /// [`Invalid`] if it is missing.
    pub(crate) fn joining_mac(&self) -> Result<JoiningMac, Invalid> {
        self.joining_mac.ok_or_else(|| Invalid::at("/joiningMac", "is missing: it is a further device"))
    }

    /// Verifies the registration of a new device of `user`: its possession of the identity key and
    /// the signatures over its keys.
    ///
    /// # Errors
    /// [`Problem::Invalid`] if `possession` or the signed prekey is missing, a signature is wrong,
    /// or a key breaks a rule.
    pub(crate) fn verify(&self, state: &AppState, user: &UserName) -> Result<VerifiedDevice, Problem> {
        let missing = |pointer: &str| Invalid::at(pointer, "is missing");
        let possession = self.possession.ok_or_else(|| missing("/possession"))?;
        let signed_pre_key = self.keys.signed_pre_key.clone().ok_or_else(|| missing("/signedPreKey"))?;
        let (actor, device) = (state.origin().actor(user), state.origin().device(user, &self.device));
        verify_possession(&actor, &device, &self.identity_key, self.registration_id, &possession).map_err(
            |_| Invalid::at("/possession", "is not the identity key's signature over this registration"),
        )?;
        self.keys.validate(&self.identity_key)?;
        self.keys.check_first_ids()?;
        let keys = LastingKeys {
            identity_key: self.identity_key,
            registration_id: self.registration_id,
            possession,
            joining_mac: None,
            name: self.name.clone(),
            registered_ms: state.now_ms(),
            signed_pre_key,
            last_resort: self.keys.last_resort.clone(),
        };
        let caller = Caller { user: user.clone(), device: self.device.clone() };
        Ok(VerifiedDevice { caller, keys, one_time: self.keys.clone().sorted() })
    }

    /// Verifies the node of the registration as the next one of the chain at `position`.
    ///
    /// # Errors
    /// [`NodeError`].
    pub(crate) fn verify_node(
        &self,
        state: &AppState,
        device: &VerifiedDevice,
        position: &ChainPosition,
    ) -> Result<ChainNode, NodeError> {
        let value = self.node.as_ref().ok_or(NodeError::Invalid(Invalid::whole("is missing")))?;
        let node = ChainNode::parse(value).map_err(NodeError::Invalid)?;
        let (origin, user, new) = (state.origin(), &device.caller.user, device.new_device());
        verify_registration(origin, user, position, &new, &node, state.now_ms())
            .map_err(NodeError::Append)?;
        Ok(node)
    }
}

/// The reason why a registration's node is refused.
pub(crate) enum NodeError {
    /// The node is missing or not well formed. The pointer begins at the node.
    Invalid(Invalid),
    /// The node breaks a rule of the chain.
    Append(AppendError),
}

impl NodeError {
    /// True if another node was appended first.
    pub(crate) fn is_stale_head(&self) -> bool {
        matches!(self, Self::Append(error) if error.is_stale_head())
    }
}

impl From<NodeError> for Problem {
    fn from(error: NodeError) -> Self {
        let invalid = match error {
            NodeError::Invalid(invalid) => invalid,
            NodeError::Append(error) => error.invalid(),
        };
        Self::Invalid(invalid.under("/node"))
    }
}

impl VerifiedDevice {
    /// Returns the registration as the store takes it, with the first session of the device.
    pub(crate) fn registration(&self, session: NewSession) -> DeviceRegistration<'_> {
        DeviceRegistration {
            address: self.caller.address(),
            keys: self.keys.clone(),
            one_time: &self.one_time,
            session,
        }
    }

    /// Returns the device as its chain node and its description name it.
    pub(crate) fn new_device(&self) -> NewDevice {
        self.keys.new_device(&self.caller.device)
    }
}
