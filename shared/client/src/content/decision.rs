//! A user's decisions about people and the names of the user's devices, as those tell each other.

use eko_protocol::json::{list, optional};
use eko_protocol::limits::MAX_ACTIVE_DEVICES;
use eko_protocol::{Invalid, timestamp};
use serde_json::{Value, json};

use super::member::{actor, device, parsed};

/// The greatest number of decisions in one activity.
pub const MAX_DECISIONS: usize = 64;
/// The greatest number of names of devices in one activity.
pub const MAX_DEVICE_NAMES: usize = MAX_ACTIVE_DEVICES;
/// The greatest length of a device's name, in characters.
pub const MAX_DEVICE_NAME_CHARS: usize = 256;

/// The content of an activity `Decisions`: at least one decision or name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decisions {
    /// The user's decisions about people, at most [`MAX_DECISIONS`].
    pub people: Vec<Decision>,
    /// The names of the user's devices, at most [`MAX_DEVICE_NAMES`].
    pub device_names: Vec<DeviceName>,
}

/// The name that a device of the user has given itself. Nothing proves it, so nothing may depend on it.
///
/// ```text
/// {"device": <device address>, "name": <1 to 256 characters>}
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceName {
    /// The address of the device.
    pub device: String,
    /// The name. A program that shows it on a terminal must remove control characters.
    pub name: String,
}

impl DeviceName {
    /// True if a text has the length of a name.
    pub fn fits(name: &str) -> bool {
        (1..=MAX_DEVICE_NAME_CHARS).contains(&name.chars().count())
    }

    fn parse(value: &Value) -> Result<Self, Invalid> {
        let name = |text: &str| match Self::fits(text) {
            true => Ok(text.to_owned()),
            false => Err(Invalid::whole(format!("must have 1 to {MAX_DEVICE_NAME_CHARS} characters"))),
        };
        Ok(Self { device: parsed(value, "device", device)?, name: parsed(value, "name", name)? })
    }

    fn to_value(&self) -> Value {
        json!({ "device": self.device, "name": self.name })
    }
}

/// A user's decisions about one person. Of two of them an acceptance stays, and so does the later decline, so
/// that devices agree in whatever order they hear of them.
///
/// ```text
/// {"type": "Decision", "actor": <actor id>, "accepted": true | false, "declined": <time>}
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The actor id of the person.
    pub actor: String,
    /// True if the person is a contact.
    pub is_accepted: bool,
    /// The time up to which the requests of the person are declined, in epoch milliseconds: that at which the
    /// user's server accepted the last one that was. An acceptance was decided with the knowledge of
    /// this decline.
    pub declined_ms: Option<i64>,
}

impl Decision {
    fn parse(value: &Value) -> Result<Self, Invalid> {
        let is_accepted = match optional(value, "accepted")? {
            Some(Value::Bool(is_accepted)) => *is_accepted,
            _ => return Err(Invalid::at("/accepted", "must be true or false")),
        };
        let declined_ms = match optional(value, "declined")? {
            Some(_) => Some(parsed(value, "declined", timestamp::parse)?),
            None if is_accepted => None,
            None => return Err(Invalid::at("/declined", "must be there if nothing is accepted")),
        };
        Ok(Self { actor: parsed(value, "actor", actor)?, is_accepted, declined_ms })
    }

    fn to_value(&self) -> Value {
        let mut value = json!({ "type": "Decision", "actor": self.actor, "accepted": self.is_accepted });
        if let (Some(declined_ms), Some(members)) = (self.declined_ms, value.as_object_mut()) {
            members.insert("declined".to_owned(), json!(timestamp::format(declined_ms)));
        }
        value
    }
}

/// Reads the members of an activity `Decisions`.
pub(super) fn read(activity: &Value) -> Result<Decisions, Invalid> {
    let (people, names) = (list(activity, "object"), list(activity, "eko:deviceNames"));
    if people.len() > MAX_DECISIONS || (people.is_empty() && names.is_empty()) {
        return Err(Invalid::at("/object", format!("must be 1 to {MAX_DECISIONS} decisions")));
    }
    if names.len() > MAX_DEVICE_NAMES {
        return Err(Invalid::at("/eko:deviceNames", format!("are more than {MAX_DEVICE_NAMES}")));
    }
    let decision =
        |(index, item)| Decision::parse(item).map_err(|fault| fault.under(format!("/object/{index}")));
    let name = |(index, item)| {
        DeviceName::parse(item).map_err(|fault| fault.under(format!("/eko:deviceNames/{index}")))
    };
    Ok(Decisions {
        people: people.iter().enumerate().map(decision).collect::<Result<_, _>>()?,
        device_names: names.iter().enumerate().map(name).collect::<Result<_, _>>()?,
    })
}

/// Returns the members of an activity `Decisions`.
pub(super) fn write(decisions: &Decisions) -> Vec<(&'static str, Value)> {
    let mut members = vec![("object", decisions.people.iter().map(Decision::to_value).collect())];
    if !decisions.device_names.is_empty() {
        members.push(("eko:deviceNames", decisions.device_names.iter().map(DeviceName::to_value).collect()));
    }
    members
}
