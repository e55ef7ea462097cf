//! Controls: the activities that change a group, each with a MAC and a signature.

use std::collections::BTreeSet;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use eko_protocol::device_set::DeviceSetRef;
use eko_protocol::json::{canonical, has_type, only, optional, optional_text, shape};
use eko_protocol::key::{IdentityKey, Signature};
use eko_protocol::limits::MAX_JSON_DEPTH;
use eko_protocol::vocabulary::content_context;
use eko_protocol::{Invalid, multibase, timestamp, xeddsa};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{GroupChange, GroupSigner, GroupState, MasterKey};
use crate::content::member::{device, parsed, texts};
use crate::content::read::{ActivityHeader, hash};
use crate::content::{ActivityId, MAX_PLAINTEXT};
use crate::secret::decode_32;

/// The prefix of the bytes under the MAC and the signature. It keeps them apart from all others
/// under the same keys.
const DOMAIN: &[u8] = b"eko-group-control-v2\0";

/// The greatest number of bytes of a control. An `Announce` around it has room for 4,480 bytes more.
pub const MAX_CONTROL: usize = MAX_PLAINTEXT - 4_480;

const MAC: &str = "eko:mac";
const SIGNATURE: &str = "eko:signature";

/// A change of a group, well formed but not yet proven. [`super::judge_control`] proves it.
#[derive(Clone, PartialEq, Eq)]
pub struct GroupControl {
    id: ActivityId,
    author: String,
    change: GroupChange,
    state: GroupState,
    published_ms: i64,
    previous: Option<String>,
    added: BTreeSet<String>,
    device: String,
    device_set: Option<DeviceSetRef>,
    mac: [u8; 32],
    signature: Signature,
    /// The canonical JSON of the whole activity without its MAC and its signature, as it came. Both
    /// cover unknown members too.
    canonical: Zeroizing<Vec<u8>>,
}

impl GroupControl {
    /// Makes the control that leads from `previous` to `state`. Its MAC is under the key of
    /// `previous`; the first control, which has none, is under the key of `state`.
    ///
    /// # Errors
    /// [`Invalid`] if only one of [`GroupChange::Created`] and the absence of `previous` is true,
    /// or if [`GroupControl::parse`] would refuse the control.
    pub fn seal(
        change: GroupChange,
        previous: Option<&GroupState>,
        state: &GroupState,
        signer: &GroupSigner<'_>,
    ) -> Result<Self, Invalid> {
        let environment = signer.environment;
        let verb = if change == GroupChange::Created { "Create" } else { "Update" };
        let mut value = json!({
            "@context": content_context(), "type": [verb, "GroupControl"], "id": ActivityId::generate(environment),
            "actor": signer.actor, "to": [state.id()], "published": timestamp::format(environment.now_ms()),
            "eko:group": { "id": state.id(), "epoch": state.epoch(), "state": state.hash() },
            "object": state.to_value(), "eko:change": change.as_str(),
            "eko:device": signer.device,
        });
        if let Some(previous) = previous {
            put(&mut value, "eko:previous", json!(previous.hash()));
        }
        if let (GroupChange::Added, Some(previous)) = (change, previous) {
            let added: Vec<&String> = state.members().difference(previous.members()).collect();
            put(&mut value, "eko:added", json!(added));
        }
        if let Some(set) = signer.device_set {
            put(&mut value, "eko:deviceSet", json!(set));
        }
        let canonical = Zeroizing::new(canonical(&value)?);
        let mac = previous.unwrap_or(state).master_key().mac(&[DOMAIN, &canonical])?;
        let signature = signer.sign(&[DOMAIN, &canonical].concat());
        put_proofs(&mut value, &mac, &signature);
        Self::parse(&value)
    }

    /// Reads a control. Does not check its MAC and its signature.
    ///
    /// # Errors
    /// [`Invalid`] at the first member that is missing or wrong, or that contradicts another.
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
        let state = GroupState::parse(only(value, "object")?).map_err(|fault| fault.under("/object"))?;
        let matches = head.group.as_ref().is_some_and(|group| {
            group.id == *state.id() && group.epoch == state.epoch() && group.state == state.hash()
        });
        if !matches {
            return Err(Invalid::at("/eko:group", "must be id, epoch and state hash of the object"));
        }
        let previous = optional_text(value, "eko:previous")?.map(hash).transpose();
        let previous = previous.map_err(|fault| fault.under("/eko:previous"))?;
        if is_first != previous.is_none() || is_first != (state.epoch() == 1) {
            return Err(Invalid::at("/eko:previous", "must be missing on the first epoch, which is created"));
        }
        check_author(&head.actor, change, &state)?;
        let added = if change == GroupChange::Added { added(value, &state)? } else { BTreeSet::new() };
        let device_set = optional(value, "eko:deviceSet")?.map(shape::<DeviceSetRef>).transpose();
        let device_set = device_set.map_err(|fault| fault.under("/eko:deviceSet"))?;
        let device = parsed(value, "eko:device", device)?;
        let mac = parsed(value, MAC, decode_32)?;
        let signature = parsed(value, SIGNATURE, multibase::decode)?;
        let mut unsealed = value.clone();
        if let Some(members) = unsealed.as_object_mut() {
            members.remove(MAC);
            members.remove(SIGNATURE);
        }
        let canonical = Zeroizing::new(canonical(&unsealed)?);
        let (id, author) = (head.id.clone(), head.actor.clone());
        let control = Self {
            id,
            author,
            change,
            state,
            published_ms: head.published_ms,
            previous,
            added,
            device,
            device_set,
            mac,
            signature,
            canonical,
        };
        let forwarded = control.to_value();
        if forwarded.to_string().len() > MAX_CONTROL || depth(&forwarded) >= MAX_JSON_DEPTH {
            return Err(Invalid::whole("must fit into an Announce"));
        }
        Ok(control)
    }

    /// Returns the activity as it is sent, or as it came.
    pub fn to_value(&self) -> Value {
        // The canonical form was written from JSON, so it is always read again.
        let mut value = serde_json::from_slice(&self.canonical).unwrap_or_default();
        put_proofs(&mut value, &self.mac, &self.signature);
        value
    }

    /// Returns the canonical JSON (RFC 8785) of the activity without `eko:mac` and `eko:signature`.
    pub fn canonical(&self) -> &[u8] {
        &self.canonical
    }

    /// True if the MAC was made with this key. Compares in constant time.
    pub fn is_under(&self, key: &MasterKey) -> bool {
        key.verifies(&[DOMAIN, &self.canonical], &self.mac)
    }

    /// True if the signature is that of a device with this identity key.
    pub fn is_signed_by(&self, identity: &IdentityKey) -> bool {
        let signed = Zeroizing::new([DOMAIN, &self.canonical].concat());
        xeddsa::verify(identity, &signed, &self.signature)
    }

    /// True if the control brings this actor into the group: it begins the group with the actor as
    /// a member, or it says that it adds the actor.
    pub fn brings_in(&self, actor: &str) -> bool {
        match self.change {
            GroupChange::Created => self.state.members().contains(actor),
            _ => self.added.contains(actor),
        }
    }

    /// Returns the activity's id.
    pub fn id(&self) -> &ActivityId {
        &self.id
    }

    /// Returns the actor id of the author, as the control states it.
    pub fn author(&self) -> &str {
        &self.author
    }

    /// Returns the time at which the author's clock says it was made, in epoch milliseconds.
    pub fn published_ms(&self) -> i64 {
        self.published_ms
    }

    /// Returns the kind of change.
    pub fn change(&self) -> GroupChange {
        self.change
    }

    /// Returns the state that the control makes.
    pub fn state(&self) -> &GroupState {
        &self.state
    }

    /// Returns the members that the control says it adds.
    pub fn added(&self) -> &BTreeSet<String> {
        &self.added
    }

    /// Returns the address of the device that made it, as the control states it.
    pub fn device(&self) -> &str {
        &self.device
    }

    /// Returns the device set of the author, as the device that made it has pinned it.
    pub fn device_set(&self) -> Option<&DeviceSetRef> {
        self.device_set.as_ref()
    }

    /// Returns the hash of the state before, or `None` for the first control.
    pub fn previous(&self) -> Option<&str> {
        self.previous.as_deref()
    }
}

/// Leaves out the bytes that hold the master key.
impl fmt::Debug for GroupControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupControl")
            .field("id", &self.id)
            .field("author", &self.author)
            .field("device", &self.device)
            .field("change", &self.change)
            .field("state", &self.state)
            .field("previous", &self.previous)
            .finish_non_exhaustive()
    }
}

/// Returns the number of arrays and objects that are nested in each other.
fn depth(value: &Value) -> usize {
    let within = match value {
        Value::Array(items) => items.iter().map(depth).max(),
        Value::Object(members) => members.values().map(depth).max(),
        _ => return 0,
    };
    within.unwrap_or_default().saturating_add(1)
}

/// Checks that the author is an admin of the new state or, after leaving, no member of it. The
/// first control is made by the creator.
fn check_author(author: &str, change: GroupChange, state: &GroupState) -> Result<(), Invalid> {
    let fits = match change {
        GroupChange::Left => !state.members().contains(author),
        GroupChange::Created => state.creator() == author && state.admins().contains(author),
        _ => state.admins().contains(author),
    };
    if fits { Ok(()) } else { Err(Invalid::at("/actor", format!("cannot be who made this: {change}"))) }
}

/// Reads the members that a control says it adds.
fn added(value: &Value, state: &GroupState) -> Result<BTreeSet<String>, Invalid> {
    let items = texts(value, "eko:added")?;
    let added: BTreeSet<String> = items.iter().map(|item| (*item).to_owned()).collect();
    if added.is_empty() || !items.is_sorted_by(|one, next| one < next) || !added.is_subset(state.members()) {
        return Err(Invalid::at("/eko:added", "must be some of the members, sorted, and name nobody twice"));
    }
    Ok(added)
}

fn put(value: &mut Value, name: &str, member: Value) {
    if let Some(members) = value.as_object_mut() {
        members.insert(name.to_owned(), member);
    }
}

fn put_proofs(value: &mut Value, mac: &[u8; 32], signature: &Signature) {
    put(value, MAC, json!(STANDARD.encode(mac)));
    put(value, SIGNATURE, json!(multibase::encode(signature)));
}
