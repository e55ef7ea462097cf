use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use eko_protocol::json::{canonical, has_type};
use eko_protocol::{Invalid, timestamp};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{GroupChange, GroupState, MasterKey};
use crate::Environment;
use crate::content::ActivityId;
use crate::content::member::parsed;
use crate::content::read::ActivityHeader;
use crate::content::write::CONTEXT;
use crate::secret::decode_32;

/// What sets these MACs apart from all others under the same key.
const DOMAIN: &[u8] = b"eko-group-control-v1\0";

const MAC: &str = "eko:mac";

/// A change of a group: well formed, and as yet unproven ([`super::judge_control`] proves it).
#[derive(Clone, PartialEq, Eq)]
pub struct GroupControl {
    id: ActivityId,
    author: String,
    change: GroupChange,
    state: GroupState,
    published_ms: i64,
    previous: Option<String>,
    mac: [u8; 32],
    /// The whole activity without its MAC, as it came: the MAC is over members too that are not known here.
    canonical: Zeroizing<Vec<u8>>,
}

impl GroupControl {
    /// Makes the control that leads from `previous` to `state`, authenticated under the key of `previous`; the first, with
    /// none, under the key of the state itself.
    ///
    /// # Errors
    /// [`GroupChange::Created`] with a state before it, another change without, and what [`GroupControl::parse`] refuses.
    pub fn seal(
        change: GroupChange,
        previous: Option<&GroupState>,
        state: &GroupState,
        author: &str,
        environment: &Environment,
    ) -> Result<Self, Invalid> {
        let verb = if change == GroupChange::Created { "Create" } else { "Update" };
        let mut value = json!({
            "@context": CONTEXT, "type": [verb, "GroupControl"], "id": ActivityId::generate(environment),
            "actor": author, "to": [state.id()], "published": timestamp::format(environment.now_ms()),
            "eko:group": { "id": state.id(), "epoch": state.epoch() }, "object": state.to_value(),
            "eko:change": change.as_str(), "eko:previous": previous.map(GroupState::hash),
        });
        let key = previous.unwrap_or(state).master_key();
        let mac = key.mac(&[DOMAIN, &Zeroizing::new(canonical(&value)?)])?;
        put_mac(&mut value, &mac);
        Self::parse(&value)
    }

    /// Reads a control.
    ///
    /// # Errors
    /// The first member that is missing or wrong, or two that contradict each other. The MAC is not looked at.
    pub fn parse(value: &Value) -> Result<Self, Invalid> {
        Self::read(value, &ActivityHeader::read(value)?)
    }

    pub(crate) fn read(value: &Value, head: &ActivityHeader) -> Result<Self, Invalid> {
        let change = parsed(value, "eko:change", GroupChange::parse)?;
        let is_first = change == GroupChange::Created;
        if !has_type(value, "GroupControl") || !has_type(value, if is_first { "Create" } else { "Update" }) {
            return Err(Invalid::at(
                "/type",
                "must be GroupControl, and Create for the first or else Update",
            ));
        }
        let object = value.get("object").ok_or_else(|| Invalid::at("/object", "is missing"))?;
        let state = GroupState::parse(object).map_err(|fault| fault.under("/object"))?;
        let matches =
            head.group.as_ref().is_some_and(|group| group.id == *state.id() && group.epoch == state.epoch());
        if !matches {
            return Err(Invalid::at("/eko:group", "must be id and epoch of the object"));
        }
        let previous = match value.get("eko:previous") {
            None | Some(Value::Null) => None,
            Some(_) => Some(parsed(value, "eko:previous", hash)?),
        };
        if is_first != previous.is_none() || is_first != (state.epoch() == 1) {
            return Err(Invalid::at("/eko:previous", "must be null on the first epoch, which is created"));
        }
        check_author(&head.actor, change, &state)?;
        let mac = parsed(value, MAC, decode_32)?;
        let mut unsealed = value.clone();
        if let Some(members) = unsealed.as_object_mut() {
            members.remove(MAC);
        }
        let canonical = Zeroizing::new(canonical(&unsealed)?);
        let (id, author) = (head.id.clone(), head.actor.clone());
        Ok(Self { id, author, change, state, published_ms: head.published_ms, previous, mac, canonical })
    }

    /// Returns the activity as it is sent, or as it came.
    pub fn to_value(&self) -> Value {
        // What was written as canonical JSON is always read again.
        let mut value = serde_json::from_slice(&self.canonical).unwrap_or_default();
        put_mac(&mut value, &self.mac);
        value
    }

    /// The canonical JSON (RFC 8785) of the activity without `eko:mac`.
    pub fn canonical(&self) -> &[u8] {
        &self.canonical
    }

    /// Whether it was made with this key; in constant time.
    pub fn is_under(&self, key: &MasterKey) -> bool {
        key.verifies(&[DOMAIN, &self.canonical], &self.mac)
    }

    /// The activity's id.
    pub fn id(&self) -> &ActivityId {
        &self.id
    }

    /// The actor id of who says to have made it.
    pub fn author(&self) -> &str {
        &self.author
    }

    /// The time at which it was made, by its author's clock, in epoch milliseconds.
    pub fn published_ms(&self) -> i64 {
        self.published_ms
    }

    /// What it does.
    pub fn change(&self) -> GroupChange {
        self.change
    }

    /// The state that it makes.
    pub fn state(&self) -> &GroupState {
        &self.state
    }

    /// The hash of the state before it; `None` for the first.
    pub fn previous(&self) -> Option<&str> {
        self.previous.as_deref()
    }
}

/// Without the bytes that the master key is in.
impl fmt::Debug for GroupControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupControl")
            .field("id", &self.id)
            .field("author", &self.author)
            .field("change", &self.change)
            .field("state", &self.state)
            .field("previous", &self.previous)
            .finish_non_exhaustive()
    }
}

/// Who changes a group is an admin afterwards too; who left it is not in it.
fn check_author(author: &str, change: GroupChange, state: &GroupState) -> Result<(), Invalid> {
    let fits = match change {
        GroupChange::Left => !state.members().contains(author),
        _ => state.admins().contains(author),
    };
    if fits { Ok(()) } else { Err(Invalid::at("/actor", format!("cannot be who made this: {change}"))) }
}

fn put_mac(value: &mut Value, mac: &[u8; 32]) {
    if let Some(members) = value.as_object_mut() {
        members.insert(MAC.to_owned(), json!(STANDARD.encode(mac)));
    }
}

fn hash(text: &str) -> Result<String, Invalid> {
    let is_hash = text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if is_hash {
        Ok(text.to_owned())
    } else {
        Err(Invalid::whole("must be 64 lower-case hex digits, or null"))
    }
}
