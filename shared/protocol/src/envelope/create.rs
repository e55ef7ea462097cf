//! `Create` of a `SignalEnvelope`, read from a device or from another server.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::EnvelopeHeader;
use super::ciphertext::{AddressedCiphertext, WireCiphertext};
use crate::address::{Origin, UserName, check_url};
use crate::device_set::DeviceSetRef;
use crate::franking::Franking;
use crate::id::{DeviceId, EnvelopeId};
use crate::json::{has_anywhere, has_type, only, only_as_object, optional_text, shape, text};
use crate::limits::{MAX_ID_BYTES, MAX_MESSAGES};
use crate::{Invalid, timestamp};

/// A `Create` of a `SignalEnvelope`: ciphertexts of one device for the devices of one user.
///
/// ```text
/// {"type": "Create", "id": <URL>, optional, "actor": <author>, "to": <recipient>,
///  "object": {"type": ["Object", "SignalEnvelope"], "id": <envelope id>,
///             "messages": [{"to": <device>, "from": <sending device>, "content": <base64>}, …],
///             "published": <time>, "expires": <time>, "notify": <boolean>,    optional
///             "eko:deviceSet": {…}, "eko:franking": {…}}}                      optional
/// ```
///
/// A value is well formed. [`Create::authorise`] and [`Create::authorise_remote`] check that its
/// author may send it.
///
/// ```
/// use eko_protocol::envelope::Create;
/// use serde_json::json;
///
/// let mut value = json!({
///     "type": "Create",
///     "actor": "https://a.example/user/alice",
///     "to": "https://b.example/user/bob",
///     "object": {
///         "type": ["Object", "SignalEnvelope"],
///         "id": "https://a.example/message/1",
///         "messages": [{
///             "to": "https://b.example/user/bob/device/0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11",
///             "from": "https://a.example/user/alice/device/0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a22",
///             "content": "AQID",
///         }],
///     },
/// });
/// let create = Create::parse(&value, 0)?;
/// assert_eq!(create.messages[0].content, [1, 2, 3]);
///
/// // Another server delivers envelopes of its own users only.
/// assert!(create.authorise_remote("https://a.example/user/alice").is_ok());
/// let mismatch = create.authorise_remote("https://a.example/user/eve").unwrap_err();
/// assert_eq!(mismatch.pointer, "/actor");
///
/// value["object"]["messages"][0]["content"] = json!("");
/// let fault = Create::parse(&value, 0).unwrap_err();
/// assert_eq!(fault.to_string(), "/object/messages/0/content: is empty");
/// # Ok::<(), eko_protocol::Invalid>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Create {
    /// The activity's own id, if the sender gave one.
    pub activity: Option<String>,
    /// The recipient's actor id. Equal to the author's for a sync between the author's own devices.
    pub to: String,
    /// The members that are the same for every device.
    pub header: EnvelopeHeader,
    /// The ciphertexts: 1 to [`MAX_MESSAGES`], no two for one device.
    pub messages: Vec<AddressedCiphertext>,
}

/// An envelope that names another author than the one who sends it (HTTP 403).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {detail}")]
pub struct AuthorMismatch {
    /// The RFC 6901 pointer to the member that names somebody else.
    pub pointer: &'static str,
    /// The party that the member must name.
    pub detail: &'static str,
}

/// The members of the `SignalEnvelope` as they travel.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Self")]
struct WireEnvelope {
    id: EnvelopeId,
    published: Option<String>,
    notify: Option<bool>,
    expires: Option<String>,
    #[serde(rename = "eko:deviceSet")]
    device_set: Option<DeviceSetRef>,
    #[serde(rename = "eko:franking")]
    franking: Option<Franking>,
    messages: Vec<WireCiphertext>,
}

only_as_object!(WireEnvelope);

impl Create {
    /// Reads a `Create` at `now_ms` (epoch milliseconds). Unknown members are ignored.
    ///
    /// # Errors
    /// [`Invalid`] for the first member of the wrong shape, an `expires` that is not after
    /// `now_ms`, no ciphertext or more than [`MAX_MESSAGES`], an empty or too long ciphertext, two
    /// ciphertexts for one device, and ciphertexts from several devices.
    pub fn parse(value: &Value, now_ms: i64) -> Result<Self, Invalid> {
        if !has_type(value, "Create") {
            return Err(Invalid::at("/type", "must be Create"));
        }
        let author = address(text(value, "actor")?, "/actor")?;
        let to = address(text(value, "to")?, "/to")?;
        let activity = optional_text(value, "id")?.map(|id| opaque(id, "/id")).transpose()?;
        let object = only(value, "object")?;
        if !has_type(object, "SignalEnvelope") {
            return Err(Invalid::at("/object/type", "must be, or hold, SignalEnvelope"));
        }
        let envelope: WireEnvelope = shape(object).map_err(|fault| fault.under("/object"))?;
        let published_ms = moment(envelope.published.as_deref(), "/object/published")?;
        let expires_ms = moment(envelope.expires.as_deref(), "/object/expires")?;
        if expires_ms.is_some_and(|expires| expires <= now_ms) {
            return Err(Invalid::at("/object/expires", "is in the past"));
        }
        let (from, messages) =
            messages(envelope.messages).map_err(|fault| fault.under("/object/messages"))?;
        let header = EnvelopeHeader {
            author,
            id: envelope.id,
            from,
            published_ms,
            expires_ms,
            notify: envelope.notify.unwrap_or(true),
            device_set: envelope.device_set,
            franking: envelope.franking,
        };
        Ok(Self { activity, to, header, messages })
    }

    /// Checks that a local device may send the envelope: the author is the device's user, the
    /// ciphertexts are from the device, the envelope's id is a client's, and the activity's id is
    /// on the author's origin.
    ///
    /// # Errors
    /// [`AuthorMismatch`] for the first member that names somebody else.
    pub fn authorise(&self, actor_url: &str, device_url: &str) -> Result<(), AuthorMismatch> {
        if self.header.author != actor_url {
            return Err(AuthorMismatch { pointer: "/actor", detail: "must be the user who is signed in" });
        }
        if self.header.from != device_url {
            return Err(AuthorMismatch {
                pointer: "/object/messages/0/from",
                detail: "must be the device that is signed in",
            });
        }
        let of_client = Origin::of(actor_url).is_some_and(|origin| self.header.id.may_be_of_client(&origin));
        if !of_client {
            return Err(AuthorMismatch {
                pointer: "/object/id",
                detail: "must be /message/{uuid} on this server, or urn:uuid",
            });
        }
        self.check_ids()
    }

    /// Checks that another server may deliver the envelope: the author is the actor who signed the
    /// request, and device, envelope and activity are on that actor's origin.
    ///
    /// # Errors
    /// [`AuthorMismatch`] for the first member that names somebody else.
    pub fn authorise_remote(&self, signer_actor: &str) -> Result<(), AuthorMismatch> {
        if self.header.author != signer_actor {
            return Err(AuthorMismatch {
                pointer: "/actor",
                detail: "must be the actor who signed the request",
            });
        }
        if !Origin::of(&self.header.author).is_some_and(|origin| origin.owns(&self.header.from)) {
            return Err(AuthorMismatch {
                pointer: "/object/messages/0/from",
                detail: "must be on the actor's server",
            });
        }
        self.check_ids()
    }

    /// Checks that the ids of envelope and activity are on the author's origin.
    fn check_ids(&self) -> Result<(), AuthorMismatch> {
        let Some(origin) = Origin::of(&self.header.author) else {
            return Err(AuthorMismatch { pointer: "/actor", detail: "must be on a server with a domain" });
        };
        if !self.header.id.may_come_from(&origin) {
            return Err(AuthorMismatch {
                pointer: "/object/id",
                detail: "must be urn:uuid, or on the actor's server",
            });
        }
        match &self.activity {
            Some(id) if Origin::of_opaque(id).as_ref() != Some(&origin) => {
                Err(AuthorMismatch { pointer: "/id", detail: "must be on the actor's server" })
            }
            _ => Ok(()),
        }
    }

    /// Returns the wire form for another server, with the id `activity`, the franking that this server
    /// gives it, and without a context. It has only the members that were read.
    pub fn to_value(&self, activity: &str, franking: Option<Franking>) -> Value {
        let message = |message: &AddressedCiphertext| {
            let content = STANDARD.encode(&message.content);
            json!({ "to": message.to, "from": self.header.from, "content": content })
        };
        let header = EnvelopeHeader { franking, ..self.header.clone() };
        let object = header.to_object(self.messages.iter().map(message).collect());
        json!({
            "type": "Create",
            "id": activity,
            "actor": self.header.author,
            "to": self.to,
            "object": object,
        })
    }

    /// Checks that every ciphertext is for a device on the recipient's server, at `origin`.
    ///
    /// # Errors
    /// [`Invalid`] for the first ciphertext for a device on another server.
    pub fn check_devices_on(&self, origin: &Origin) -> Result<(), Invalid> {
        match self.messages.iter().position(|message| !origin.owns(&message.to)) {
            None => Ok(()),
            Some(index) => {
                let pointer = format!("/object/messages/{index}/to");
                Err(Invalid::at(pointer, "must be the address of a device on the recipient's server"))
            }
        }
    }

    /// True for a sync: the recipient is the author.
    pub fn is_sync(&self) -> bool {
        self.to == self.header.author
    }

    /// Returns the ciphertexts with the ids of their devices, for the local user `user`.
    ///
    /// # Errors
    /// [`Invalid`] for the first ciphertext that is not for a device of that user.
    pub fn local_ciphertexts(
        &self,
        origin: &Origin,
        user: &UserName,
    ) -> Result<Vec<(DeviceId, Vec<u8>)>, Invalid> {
        let read = |(index, message): (usize, &AddressedCiphertext)| {
            let device = origin.parse_device_of(user, &message.to).ok_or_else(|| {
                let pointer = format!("/object/messages/{index}/to");
                Invalid::at(pointer, "must be the address of a device of the user in to")
            })?;
            Ok((device, message.content.clone()))
        };
        self.messages.iter().enumerate().map(read).collect()
    }
}

/// True if an activity contains ciphertexts: it has a member `messages` at any place, whatever the type.
/// An activity that does, and cannot be read, must not be ignored.
///
/// ```
/// use eko_protocol::envelope::holds_messages;
/// use serde_json::json;
///
/// assert!(holds_messages(&json!({"type": "Announce", "object": [[{"eko:messages": []}]]})));
/// assert!(!holds_messages(&json!({"type": "Create", "object": {"type": "Note"}})));
/// ```
pub fn holds_messages(activity: &Value) -> bool {
    has_anywhere(activity, "messages")
}

/// Checks the address in the member at `pointer`.
fn address(text: &str, pointer: &str) -> Result<String, Invalid> {
    check_url(text).map(|_| text.to_owned()).map_err(|fault| fault.under(pointer))
}

/// Checks the opaque id in the member at `pointer`.
fn opaque(text: &str, pointer: &str) -> Result<String, Invalid> {
    match Origin::of_opaque(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err(Invalid::at(pointer, format!("must be an https URL of at most {MAX_ID_BYTES} bytes"))),
    }
}

/// Reads an optional time into epoch milliseconds.
fn moment(text: Option<&str>, pointer: &str) -> Result<Option<i64>, Invalid> {
    text.map(timestamp::parse).transpose().map_err(|fault| fault.under(pointer))
}

/// Returns the sending device, which is the same in all ciphertexts, and the ciphertexts.
fn messages(wire: Vec<WireCiphertext>) -> Result<(String, Vec<AddressedCiphertext>), Invalid> {
    let from = wire.first().map(|message| message.from.clone()).ok_or_else(|| Invalid::whole("is empty"))?;
    if wire.len() > MAX_MESSAGES {
        return Err(Invalid::whole(format!("holds more than {MAX_MESSAGES} messages")));
    }
    check_url(&from).map_err(|fault| fault.under("/0/from"))?;
    let mut named = BTreeSet::new();
    let mut messages = Vec::with_capacity(wire.len());
    for (index, message) in wire.into_iter().enumerate() {
        if message.from != from {
            return Err(Invalid::at(format!("/{index}/from"), "must be the same device in every message"));
        }
        if !named.insert(message.to.clone()) {
            return Err(Invalid::at(format!("/{index}/to"), "has a message already"));
        }
        messages.push(message.read().map_err(|fault| fault.under(format!("/{index}")))?);
    }
    Ok((from, messages))
}

#[cfg(test)]
mod tests;
