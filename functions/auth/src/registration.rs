//! The body of a device's registration, read and verified before anything is stored.

use eko_protocol::Invalid;
use eko_protocol::address::UserName;
use eko_protocol::chain::{ChainNode, ChainPosition, NodeKind, verify_next, verify_possession};
use eko_protocol::device_set::DeviceSetRef;
use eko_protocol::id::DeviceId;
use eko_protocol::key::{IdentityKey, RegistrationId, Signature};
use eko_protocol::key_package::PublishedKeys;
use eko_protocol::multibase;
use eko_service::{AppState, Problem, respond};
use eko_store::chain::NewNode;
use eko_store::device_keys::LastingKeys;
use serde::Deserialize;
use serde_json::Value;

/// The greatest number of characters in a device name.
const NAME_CHARS: usize = 256;

/// The members of the body (`docs/protocol.md`, section 10), without the keys, which
/// [`PublishedKeys`] reads.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    username: Option<String>,
    device_id: DeviceId,
    device_name: Option<String>,
    identity_key: IdentityKey,
    registration_id: RegistrationId,
    possession: Option<String>,
    sign_in: Option<String>,
    node: Option<Value>,
}

/// A device's registration, whose members have the right form. [`Registration::keys`] and
/// [`Registration::node`] verify the signatures.
pub(crate) struct Registration {
    /// The name that the device asks for or says that it has.
    pub(crate) username: Option<UserName>,
    pub(crate) device: DeviceId,
    pub(crate) identity_key: IdentityKey,
    pub(crate) registration_id: RegistrationId,
    /// The identity key's signature over the ID token, if a registered device signs in again.
    pub(crate) sign_in: Option<Signature>,
    name: Option<String>,
    possession: Option<Signature>,
    node: Option<Value>,
    keys: PublishedKeys,
}

impl Registration {
    pub(crate) fn parse(body: &Value) -> Result<Self, Problem> {
        let wire: Wire = respond::shape(body)?;
        let username = wire.username.as_deref().map(UserName::parse).transpose();
        let username = username.map_err(|invalid| invalid.under("/username"))?;
        if wire.device_name.as_ref().is_some_and(|name| name.chars().count() > NAME_CHARS) {
            return Err(Invalid::at("/deviceName", format!("is longer than {NAME_CHARS} characters")).into());
        }
        let signature = |text: Option<&str>, pointer: &str| {
            text.map(multibase::decode).transpose().map_err(|invalid| invalid.under(pointer))
        };
        Ok(Self {
            username,
            sign_in: signature(wire.sign_in.as_deref(), "/signIn")?,
            possession: signature(wire.possession.as_deref(), "/possession")?,
            device: wire.device_id,
            name: wire.device_name,
            identity_key: wire.identity_key,
            registration_id: wire.registration_id,
            node: wire.node,
            keys: PublishedKeys::parse(body)?,
        })
    }

    /// Returns the keys of a new device of `user`. Verifies the proof of possession and the
    /// signatures of the keys, and requires a signed prekey.
    pub(crate) fn keys(
        &self,
        state: &AppState,
        user: &UserName,
    ) -> Result<(LastingKeys, PublishedKeys), Problem> {
        let missing = |pointer: &str| Invalid::at(pointer, "is missing");
        let possession = self.possession.ok_or_else(|| missing("/possession"))?;
        let signed_pre_key = self.keys.signed_pre_key.clone().ok_or_else(|| missing("/signedPreKey"))?;
        let (actor, device) = (state.origin().actor(user), state.origin().device(user, &self.device));
        verify_possession(&actor, &device, &self.identity_key, self.registration_id, &possession).map_err(
            |_| Invalid::at("/possession", "is not the identity key's signature over this registration"),
        )?;
        self.keys.validate(&self.identity_key)?;
        let keys = LastingKeys {
            identity_key: self.identity_key,
            registration_id: self.registration_id,
            possession,
            name: self.name.clone(),
            registered_ms: state.now_ms(),
            signed_pre_key,
            last_resort: self.keys.last_resort.clone(),
        };
        Ok((keys, self.keys.clone().sorted()))
    }

    /// True if the body has a chain node.
    pub(crate) fn has_node(&self) -> bool {
        self.node.is_some()
    }

    /// Returns the chain node of the body. Verifies that it is the next node of the chain at
    /// `position` and adds this device: `AddDevice` on an empty chain, `ResetDevices` on any other.
    pub(crate) fn node(
        &self,
        state: &AppState,
        user: &UserName,
        position: &ChainPosition,
    ) -> Result<NewNode, Problem> {
        let under = |invalid: Invalid| Problem::Invalid(invalid.under("/node"));
        let value = self.node.as_ref().ok_or_else(|| under(Invalid::whole("is missing")))?;
        let node = ChainNode::parse(value).map_err(under)?;
        let fits = match node.kind() {
            NodeKind::Add(_) => position.length == 0,
            NodeKind::Reset(_) => position.length > 0,
            NodeKind::Revoke => false,
        };
        if !fits {
            let wanted = if position.length == 0 { "must be AddDevice" } else { "must be ResetDevices" };
            return Err(under(Invalid::at("/type", wanted)));
        }
        // No device but the new one may sign these nodes.
        verify_next(state.origin(), user, position, |_| None, &node).map_err(|error| {
            match &position.head {
                Some(head) if error.is_stale_head() => {
                    Problem::StaleHead(DeviceSetRef { length: position.length, head: head.clone() })
                }
                _ => under(error.invalid()),
            }
        })?;
        let own = node.device() == state.origin().device(user, &self.device);
        let addition = node.addition();
        let same = addition.is_some_and(|addition| {
            addition.identity_key == self.identity_key
                && addition.registration_id == self.registration_id
                && Some(addition.possession) == self.possession
        });
        if !own || !same {
            return Err(under(Invalid::at(
                "/device",
                "must be the device that registers, with the same keys",
            )));
        }
        Ok(NewNode { seq: node.seq(), hash: node.hash(), canonical: node.canonical().to_vec() })
    }
}
