//! Pending devices, as the server describes them to the user's active devices (section 3).

use serde_json::{Value, json};

use super::context;
use crate::address::{Origin, UserName};
use crate::chain::NewDevice;
use crate::{multibase, timestamp};

/// Writes a pending device. It holds everything that an `AddDevice` node for the device needs.
/// `registered_ms` is in epoch milliseconds.
///
/// ```text
/// {"type": ["Object", "PendingDevice"], "id": <the device's address>, "actor": <URL>,
///  "identityKey": <base64>, "registrationId": <number>, "keyPackage": <URL>,
///  "possession": <multibase>, "published": <time of registration>}
/// ```
pub fn pending_device(origin: &Origin, user: &UserName, device: &NewDevice, registered_ms: i64) -> Value {
    json!({
        "type": ["Object", "PendingDevice"],
        "id": origin.device(user, &device.id),
        "actor": origin.actor(user),
        "identityKey": device.identity_key.to_base64(),
        "registrationId": device.registration_id.get(),
        "keyPackage": origin.key_package(user, &device.id),
        "possession": multibase::encode(&device.possession),
        "published": timestamp::format(registered_ms),
    })
}

/// Writes the `Offer` with which the server tells the active devices, in their mailboxes, that a
/// device waits for approval. Its object is the [`pending_device`].
pub fn device_offered(origin: &Origin, user: &UserName, device: &NewDevice, registered_ms: i64) -> Value {
    json!({
        "@context": context(origin),
        "type": "Offer",
        "actor": origin.server_actor(),
        "to": origin.actor(user),
        "object": pending_device(origin, user, device, registered_ms),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::DeviceId;
    use crate::key::RegistrationId;
    use crate::signer::Signer;

    #[test]
    fn an_offer_holds_what_an_approval_needs() {
        let signer = Signer::new(1);
        let device = NewDevice {
            id: DeviceId::parse("0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11").unwrap(),
            identity_key: signer.identity(),
            registration_id: RegistrationId::new(9).unwrap(),
            possession: signer.sign(b"x"),
        };
        let (origin, alice) =
            (Origin::parse("https://a.example").unwrap(), UserName::parse("alice").unwrap());
        let offer = device_offered(&origin, &alice, &device, 0);
        assert_eq!(
            offer["object"]["id"],
            "https://a.example/user/alice/device/0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11"
        );
        assert_eq!(multibase::decode(offer["object"]["possession"].as_str().unwrap()), Ok(device.possession));
        assert_eq!(
            (&offer["actor"], &offer["to"]),
            (&json!("https://a.example/actor"), &json!("https://a.example/user/alice"))
        );
    }
}
