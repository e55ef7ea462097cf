//! The device set that the sending device signs: its user's chain, as that device has it.

use eko_protocol::Invalid;
use eko_protocol::device_set::DeviceSetRef;
use eko_protocol::json::{canonical, optional, shape};
use eko_protocol::key::{IdentityKey, Signature};
use eko_protocol::{multibase, timestamp, xeddsa};
use serde_json::{Value, json};

use super::member::parsed;
use crate::Environment;
use crate::keys::IdentityPair;

/// The prefix of the signed bytes. It keeps these signatures apart from all others of the same key.
const DOMAIN: &[u8] = b"eko-device-head-v1\0";

/// The device set of an activity's author, signed by the sending device (`eko:deviceSet` and
/// `eko:signature`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedHead {
    /// The author's device set, as the sending device has it.
    pub set: DeviceSetRef,
    /// The signature of the sending device.
    pub signature: Signature,
}

/// The statement that a device signs: what its user's device set was at a time.
#[derive(Debug, Clone, Copy)]
pub struct HeadStatement<'a> {
    /// The actor id of the user.
    pub actor: &'a str,
    /// The address of the device that signs.
    pub device: &'a str,
    /// The time at which the activity was made, in epoch milliseconds.
    pub published_ms: i64,
}

impl HeadStatement<'_> {
    /// Signs a device set.
    ///
    /// # Errors
    /// [`Invalid`] if the length is beyond 2^53 - 1.
    pub fn sign(
        &self,
        set: DeviceSetRef,
        identity: &IdentityPair,
        environment: &Environment,
    ) -> Result<SignedHead, Invalid> {
        let signature = identity.sign(&self.base(&set)?, environment);
        Ok(SignedHead { set, signature })
    }

    /// True if the device with this identity key signed the device set.
    pub fn is_signed(&self, head: &SignedHead, identity: &IdentityKey) -> bool {
        self.base(&head.set).is_ok_and(|base| xeddsa::verify(identity, &base, &head.signature))
    }

    /// Returns the signed bytes: the domain, and the canonical JSON of the five members.
    fn base(&self, set: &DeviceSetRef) -> Result<Vec<u8>, Invalid> {
        let statement = json!({
            "actor": self.actor, "device": self.device, "head": set.head, "length": set.length,
            "published": timestamp::format(self.published_ms),
        });
        Ok([DOMAIN, &canonical(&statement)?].concat())
    }
}

/// Reads `eko:deviceSet` and `eko:signature`, which come together or not at all.
pub(super) fn read(value: &Value) -> Result<Option<SignedHead>, Invalid> {
    let set = match (optional(value, "eko:deviceSet")?, optional(value, "eko:signature")?) {
        (Some(set), Some(_)) => set,
        (None, None) => return Ok(None),
        _ => return Err(Invalid::at("/eko:signature", "must be there exactly if eko:deviceSet is")),
    };
    let set = shape::<DeviceSetRef>(set).map_err(|fault| fault.under("/eko:deviceSet"))?;
    if set.length > eko_protocol::limits::MAX_SAFE_INTEGER {
        return Err(Invalid::at("/eko:deviceSet/length", "is beyond 2^53 - 1"));
    }
    Ok(Some(SignedHead { set, signature: parsed(value, "eko:signature", multibase::decode)? }))
}
