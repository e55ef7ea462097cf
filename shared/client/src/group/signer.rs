//! The devices that sign what changes a group.

use eko_protocol::device_set::DeviceSetRef;
use eko_protocol::key::{IdentityKey, Signature};

use crate::Environment;
use crate::keys::IdentityPair;

/// The device of a user that signs controls and grants.
#[derive(Clone, Copy)]
pub struct GroupSigner<'a> {
    /// The actor id of the user.
    pub actor: &'a str,
    /// The address of the device.
    pub device: &'a str,
    /// The identity of the device.
    pub identity: &'a IdentityPair,
    /// The user's own device set, as the device has pinned it.
    pub device_set: Option<&'a DeviceSetRef>,
    /// The sources of time and randomness.
    pub environment: &'a Environment,
}

impl GroupSigner<'_> {
    pub(super) fn sign(&self, message: &[u8]) -> Signature {
        self.identity.sign(message, self.environment)
    }
}

/// The device that a control is to come from, with the key that its chain shows.
#[derive(Debug, Clone, Copy)]
pub struct ControlSender<'a> {
    /// The actor id of the device's user.
    pub actor: &'a str,
    /// The address of the device.
    pub device: &'a str,
    /// The identity key of the device.
    pub identity: &'a IdentityKey,
}
