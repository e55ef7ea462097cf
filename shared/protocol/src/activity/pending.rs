//! Pending devices, as the server describes them to the user's active devices (section 3).

use serde_json::{Value, json};

use crate::address::{Origin, UserName};
use crate::chain::NewDevice;
use crate::key::JoiningMac;
use crate::{multibase, timestamp};

/// A device that waits for approval, as it registered.
#[derive(Debug, Clone, Copy)]
pub struct PendingRegistration<'a> {
    /// The description that the device gave of itself.
    pub device: &'a NewDevice,
    /// The MAC by which the user's other devices recognise it.
    pub joining_mac: &'a JoiningMac,
    /// The time of its registration, in epoch milliseconds.
    pub registered_ms: i64,
}

/// Writes a pending device. It holds everything that an `AddDevice` node for the device needs.
///
/// ```text
/// {"type": ["Object", "PendingDevice"], "id": <the device's address>, "actor": <URL>,
///  "identityKey": <base64>, "registrationId": <number>, "keyPackage": <URL>,
///  "possession": <multibase>, "joiningMac": <base64>, "published": <time of registration>}
/// ```
pub fn pending_device(origin: &Origin, user: &UserName, pending: &PendingRegistration<'_>) -> Value {
    let PendingRegistration { device, joining_mac, registered_ms } = *pending;
    json!({
        "type": ["Object", "PendingDevice"],
        "id": origin.device(user, &device.id),
        "actor": origin.actor(user),
        "identityKey": device.identity_key.to_base64(),
        "registrationId": device.registration_id.get(),
        "keyPackage": origin.key_package(user, &device.id),
        "possession": multibase::encode(&device.possession),
        "joiningMac": joining_mac,
        "published": timestamp::format(registered_ms),
    })
}

/// Writes, without a context, the `Offer` with which the server tells the active devices, in their mailboxes, that a
/// device waits for approval. Its object is the [`pending_device`].
pub fn device_offered(origin: &Origin, user: &UserName, pending: &PendingRegistration<'_>) -> Value {
    json!({
        "type": "Offer",
        "actor": origin.server_actor(),
        "to": origin.actor(user),
        "object": pending_device(origin, user, pending),
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
        let joining_mac = JoiningMac::from([7; 32]);
        let pending = PendingRegistration { device: &device, joining_mac: &joining_mac, registered_ms: 0 };
        let offer = device_offered(&origin, &alice, &pending);
        insta::assert_json_snapshot!(offer, @r#"
        {
          "actor": "https://a.example/actor",
          "object": {
            "actor": "https://a.example/user/alice",
            "id": "https://a.example/user/alice/device/0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11",
            "identityKey": "BTyZYEZRDcVsZNjj/9w+TQOyJCadUKQ2d3V+TdEYGfkR",
            "joiningMac": "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=",
            "keyPackage": "https://a.example/user/alice/keyPackage/0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11",
            "possession": "zof36VWaeELzAcgefG6iTY8itJ9Nt8HNNGawrPuTQ1h8pjqKVxgoZDqMYgTAqMYRcz8Njem5uFHirNdJf8Y1U2vJ",
            "published": "1970-01-01T00:00:00Z",
            "registrationId": 9,
            "type": [
              "Object",
              "PendingDevice"
            ]
          },
          "to": "https://a.example/user/alice",
          "type": "Offer"
        }
        "#);
        assert_eq!(multibase::decode(offer["object"]["possession"].as_str().unwrap()), Ok(device.possession));
    }
}
