use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::EnvelopeHeader;
use super::message::{Message, WireMessage};
use crate::activity::context;
use crate::address::{Origin, UserName, check_url};
use crate::device_set::DeviceSetRef;
use crate::id::{DeviceId, EnvelopeId};
use crate::json::{has_type, only_as_object, only_text, shape, text};
use crate::limits::MAX_MESSAGES;
use crate::{Invalid, timestamp};

/// A `Create` of a `SignalEnvelope`: ciphertexts of one device for the devices of one user.
///
/// A value is well formed. [`Create::authorise`] and [`Create::authorise_remote`] decide whether its author may
/// send it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Create {
    /// The activity's own id, if the sender gave one.
    pub activity: Option<String>,
    /// The recipient's actor id. Equal to the author's for a sync between the author's own devices.
    pub to: String,
    /// The members that are the same for every device.
    pub header: EnvelopeHeader,
    /// The ciphertexts: 1 to [`MAX_MESSAGES`], no two for one device.
    pub messages: Vec<Message>,
}

/// The author is not who sends it (HTTP 403).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {detail}")]
pub struct NotYours {
    /// RFC 6901 pointer to the member that names someone else.
    pub pointer: &'static str,
    /// Whom it must name.
    pub detail: &'static str,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Self")]
struct WireEnvelope {
    id: EnvelopeId,
    published: Option<String>,
    notify: Option<bool>,
    expires: Option<String>,
    #[serde(rename = "eko:deviceSet")]
    device_set: Option<DeviceSetRef>,
    messages: Vec<WireMessage>,
}

only_as_object!(WireEnvelope);

impl Create {
    /// Reads a `Create` at `now_ms` (epoch milliseconds). Unknown members are ignored.
    ///
    /// # Errors
    /// The first member of the wrong shape; `expires` not after now; no message or too many; content of no or
    /// too many bytes; two messages to one device; messages from several devices.
    pub fn parse(value: &Value, now_ms: i64) -> Result<Self, Invalid> {
        if !has_type(value, "Create") {
            return Err(Invalid::at("/type", "must be Create"));
        }
        let author = address(text(value, "actor")?, "/actor")?;
        let to = address(only_text(value, "to")?, "/to")?;
        let activity = match value.get("id") {
            None | Some(Value::Null) => None,
            Some(_) => Some(address(text(value, "id")?, "/id")?),
        };
        let object = value.get("object").unwrap_or(&Value::Null);
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
        };
        Ok(Self { activity, to, header, messages })
    }

    /// Whether a local device may send it: its user is the author, and every message comes from it. An
    /// envelope id that is a URL must be on the author's own origin.
    ///
    /// # Errors
    /// The member that names someone else.
    pub fn authorise(&self, actor_url: &str, device_url: &str) -> Result<(), NotYours> {
        if self.header.author != actor_url {
            return Err(NotYours { pointer: "/actor", detail: "must be the user who is signed in" });
        }
        if self.header.from != device_url {
            return Err(NotYours {
                pointer: "/object/messages/0/from",
                detail: "must be the device that is signed in",
            });
        }
        self.check_ids()
    }

    /// Whether another server may deliver it: the author is the actor whose key signed the request, and
    /// device, envelope and activity are on that actor's origin.
    ///
    /// # Errors
    /// The member that names someone else.
    pub fn authorise_remote(&self, signer_actor: &str) -> Result<(), NotYours> {
        if self.header.author != signer_actor {
            return Err(NotYours { pointer: "/actor", detail: "must be the actor who signed the request" });
        }
        if !Origin::of(&self.header.author).is_some_and(|origin| origin.owns(&self.header.from)) {
            return Err(NotYours {
                pointer: "/object/messages/0/from",
                detail: "must be on the actor's server",
            });
        }
        self.check_ids()
    }

    fn check_ids(&self) -> Result<(), NotYours> {
        let Some(origin) = Origin::of(&self.header.author) else {
            return Err(NotYours { pointer: "/actor", detail: "must be on a server with a domain" });
        };
        if !self.header.id.may_come_from(&origin) {
            return Err(NotYours {
                pointer: "/object/id",
                detail: "must be urn:uuid, or on the actor's server",
            });
        }
        match &self.activity {
            Some(id) if !origin.owns(id) => {
                Err(NotYours { pointer: "/id", detail: "must be on the actor's server" })
            }
            _ => Ok(()),
        }
    }

    /// The wire form, for another server: only the members that were read, and the activity's id; `origin` is
    /// this server's, for the context.
    pub fn to_value(&self, origin: &Origin, activity: &str) -> Value {
        let message = |message: &Message| {
            let content = STANDARD.encode(&message.content);
            json!({ "to": message.to, "from": self.header.from, "content": content })
        };
        let object = self.header.to_object(self.messages.iter().map(message).collect());
        json!({
            "@context": context(origin),
            "type": "Create",
            "id": activity,
            "actor": self.header.author,
            "to": self.to,
            "object": object,
        })
    }

    /// The messages, for a user on the server at `origin`.
    ///
    /// # Errors
    /// A message for a device on another server.
    pub fn check_devices_on(&self, origin: &Origin) -> Result<(), Invalid> {
        match self.messages.iter().position(|message| !origin.owns(&message.to)) {
            None => Ok(()),
            Some(index) => {
                let pointer = format!("/object/messages/{index}/to");
                Err(Invalid::at(pointer, "must be the address of a device on the recipient's server"))
            }
        }
    }

    /// Whether it goes to the author's own other devices.
    pub fn is_sync(&self) -> bool {
        self.to == self.header.author
    }

    /// The messages by device of the local user it is for.
    ///
    /// # Errors
    /// A message for what is not the address of a device of that user.
    pub fn local_messages(
        &self,
        origin: &Origin,
        user: &UserName,
    ) -> Result<Vec<(DeviceId, Vec<u8>)>, Invalid> {
        let read = |(index, message): (usize, &Message)| match origin.parse_device(&message.to) {
            Some((owner, device)) if owner == *user => Ok((device, message.content.clone())),
            _ => {
                let pointer = format!("/object/messages/{index}/to");
                Err(Invalid::at(pointer, "must be the address of a device of the user in to"))
            }
        };
        self.messages.iter().enumerate().map(read).collect()
    }
}

fn address(text: &str, pointer: &str) -> Result<String, Invalid> {
    check_url(text).map(|_| text.to_owned()).map_err(|fault| fault.under(pointer))
}

fn moment(text: Option<&str>, pointer: &str) -> Result<Option<i64>, Invalid> {
    text.map(timestamp::parse).transpose().map_err(|fault| fault.under(pointer))
}

/// The one device that the messages come from, and the messages.
fn messages(wire: Vec<WireMessage>) -> Result<(String, Vec<Message>), Invalid> {
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
