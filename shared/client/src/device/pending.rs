//! Devices that wait for the approval of another device of their user (section 3).

use eko_protocol::address::{Origin, UserName};
use eko_protocol::chain::{ChainError, NewDevice, verify_possession};
use eko_protocol::json::{only, required_list, shape, text};
use eko_protocol::key::{IdentityKey, JoiningMac, RegistrationId};
use eko_protocol::{Invalid, multibase};
use serde::Deserialize;
use serde_json::Value;

use super::Device;
use crate::{Auth, ClientError, Transport};

/// A device that waits for approval, as the server shows it. Nothing about it is proven yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingDevice {
    /// The description that the device gave of itself.
    pub device: NewDevice,
    /// The MAC by which whoever has the device's joining code recognises it.
    pub joining_mac: JoiningMac,
    /// The name that its owner gave it, if any.
    pub name: Option<String>,
    /// The time of its registration (RFC 3339).
    pub published: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PendingDeviceItem {
    id: String,
    identity_key: IdentityKey,
    registration_id: RegistrationId,
    possession: String,
    joining_mac: JoiningMac,
    name: Option<String>,
    published: Option<String>,
}

impl PendingDevice {
    /// Reads an element of the list of pending devices, or the object of an `Offer` in the mailbox.
    pub(super) fn parse(value: &Value, origin: &Origin, user: &UserName) -> Result<Self, Invalid> {
        let wire: PendingDeviceItem = shape(value)?;
        let id = origin.parse_device_of(user, &wire.id);
        let id = id.ok_or_else(|| Invalid::at("/id", "is not a device of this user"))?;
        let possession = multibase::decode(&wire.possession).map_err(|fault| fault.under("/possession"))?;
        let (identity_key, registration_id) = (wire.identity_key, wire.registration_id);
        let device = NewDevice { id, identity_key, registration_id, possession };
        Ok(Self { device, joining_mac: wire.joining_mac, name: wire.name, published: wire.published })
    }

    /// Checks that the device holds its identity key and chose these addresses for it.
    ///
    /// # Errors
    /// [`ChainError::BadPossession`] if its signature is wrong.
    pub fn verify(&self, origin: &Origin, user: &UserName) -> Result<(), ChainError> {
        let (device, actor) = (&self.device, origin.actor(user));
        let address = origin.device(user, &device.id);
        verify_possession(&actor, &address, &device.identity_key, device.registration_id, &device.possession)
    }
}

impl<T: Transport> Device<T> {
    /// GET `/user/{name}/devices/pending`: reads the registrations of this user that wait for
    /// approval. A device that waits itself sees only its own.
    pub async fn pending_devices(&self) -> Result<Vec<PendingDevice>, ClientError> {
        let answer = self.get(&self.origin.pending_devices(&self.user), Auth::Device).await?;
        let body = answer.json()?;
        let items = required_list(&body, "items").map_err(|fault| answer.unexpected(fault.to_string()))?;
        let read = |(index, item)| {
            PendingDevice::parse(item, &self.origin, &self.user)
                .map_err(|fault| answer.unexpected(fault.under(format!("/items/{index}")).to_string()))
        };
        items.iter().enumerate().map(read).collect()
    }
}

/// Reads the `Offer` of a pending device, which must come from the server.
pub(super) fn offered(activity: &Value, origin: &Origin, user: &UserName) -> Result<PendingDevice, Invalid> {
    if text(activity, "actor")? != origin.server_actor() {
        return Err(Invalid::at("/actor", "must be the server"));
    }
    PendingDevice::parse(only(activity, "object")?, origin, user).map_err(|fault| fault.under("/object"))
}
