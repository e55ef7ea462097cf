//! A user's decisions about people, as the user's devices tell each other.

use eko_protocol::json::{list, optional};
use eko_protocol::{Invalid, timestamp};
use serde_json::{Value, json};

use super::member::{actor, parsed};

/// The greatest number of decisions in one activity.
pub const MAX_DECISIONS: usize = 64;

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

/// Reads the `object` of an activity `Decisions`.
pub(super) fn read(activity: &Value) -> Result<Vec<Decision>, Invalid> {
    let items = list(activity, "object");
    if items.is_empty() || items.len() > MAX_DECISIONS {
        return Err(Invalid::at("/object", format!("must be 1 to {MAX_DECISIONS} decisions")));
    }
    let decision =
        |(index, item)| Decision::parse(item).map_err(|fault| fault.under(format!("/object/{index}")));
    items.iter().enumerate().map(decision).collect()
}

/// Returns the `object` of an activity `Decisions`.
pub(super) fn write(decisions: &[Decision]) -> Value {
    decisions.iter().map(Decision::to_value).collect()
}
