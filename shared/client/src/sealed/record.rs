//! The content of a sealed group state.

use std::collections::BTreeSet;

use eko_protocol::json::{has_type, only, text};
use eko_protocol::{Invalid, timestamp};
use serde_json::{Value, json};

use crate::content::member::{actor, device, parsed, texts};
use crate::group::{GroupControl, KnownGroup, MAX_MEMBERS};

/// The record of a group that a device keeps at the server.
///
/// ```text
/// {"type": ["Object", "GroupRecord"], "attributedTo": <address of the device>, "published": <time>,
///  "control": <the control that made the state>, "known": <what the device knows of the group>,
///  "untold": [<members who were not reached with the control>]}
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRecord {
    /// The address of the device that stored it.
    pub by: String,
    /// The time at which it did, by its clock, in epoch milliseconds.
    pub published_ms: i64,
    /// The control that made the state.
    pub control: GroupControl,
    /// The group as the device knows it. Its current state is that of the control.
    pub known: KnownGroup,
    /// The members to whom the control could not be sent yet.
    pub untold: BTreeSet<String>,
}

impl GroupRecord {
    /// Returns the record as JSON. It holds master keys.
    pub fn to_value(&self) -> Value {
        json!({
            "type": ["Object", "GroupRecord"],
            "attributedTo": self.by,
            "published": timestamp::format(self.published_ms),
            "control": self.control.to_value(),
            "known": self.known.to_value(),
            "untold": self.untold,
        })
    }

    /// Reads what [`GroupRecord::to_value`] wrote.
    ///
    /// # Errors
    /// [`Invalid`] at the first member that is missing or wrong.
    pub fn parse(value: &Value) -> Result<Self, Invalid> {
        if !has_type(value, "GroupRecord") {
            return Err(Invalid::at("/type", "must be GroupRecord"));
        }
        let control =
            GroupControl::parse(only(value, "control")?).map_err(|fault| fault.under("/control"))?;
        let known = KnownGroup::parse(only(value, "known")?).map_err(|fault| fault.under("/known"))?;
        if known.current != *control.state() {
            return Err(Invalid::at("/known/current", "must be the state of the control"));
        }
        let untold = texts(value, "untold")?;
        if untold.len() > MAX_MEMBERS {
            return Err(Invalid::at("/untold", format!("are more than {MAX_MEMBERS}")));
        }
        let untold = untold.into_iter().map(actor).collect::<Result<_, _>>();
        Ok(Self {
            by: parsed(value, "attributedTo", device)?,
            published_ms: timestamp::parse(text(value, "published")?)
                .map_err(|fault| fault.under("/published"))?,
            control,
            known,
            untold: untold.map_err(|fault| fault.under("/untold"))?,
        })
    }
}
