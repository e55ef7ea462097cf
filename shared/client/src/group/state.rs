//! The state of a group at one epoch.

use std::collections::BTreeSet;
use std::fmt;

use eko_protocol::Invalid;
use eko_protocol::json::{canonical, has_type};
use eko_protocol::limits::MAX_SAFE_INTEGER;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{GroupId, MAX_MEMBERS, MAX_NAME_CHARS, MasterKey};
use crate::Environment;
use crate::content::member::{actor, parsed, required, texts};

/// The state of a group at one epoch.
///
/// A group has at most [`MAX_MEMBERS`] members, each an actor id. Every admin is a member. As long
/// as there are members there is an admin. A group without members is one that the last member has
/// left.
#[derive(Clone, PartialEq, Eq)]
pub struct GroupState {
    id: GroupId,
    epoch: u64,
    name: String,
    members: BTreeSet<String>,
    admins: BTreeSet<String>,
    master_key: MasterKey,
    /// The canonical JSON, made when the state is made, so that its hash is always available.
    canonical: Zeroizing<Vec<u8>>,
}

impl GroupState {
    /// Returns a new group at epoch 1. `by` is its admin, and a member beside `members`.
    ///
    /// # Errors
    /// [`Invalid`] if a rule of the state is broken; [`GroupState::new`] lists them.
    pub fn create(
        name: &str,
        members: impl IntoIterator<Item = String>,
        by: &str,
        environment: &Environment,
    ) -> Result<Self, Invalid> {
        let mut members: BTreeSet<String> = members.into_iter().collect();
        members.insert(by.to_owned());
        let (id, key) = (GroupId::generate(environment), MasterKey::generate(environment));
        Self::new(id, 1, name.to_owned(), members, BTreeSet::from([by.to_owned()]), key)
    }

    /// Makes a state of its parts, and checks them.
    ///
    /// # Errors
    /// [`Invalid`] if the epoch is 0 or beyond 2^53 - 1; if the name is empty, has more than
    /// [`MAX_NAME_CHARS`] characters or a control character; if there are too many members, or one
    /// is no actor id; if an admin is no member; or if there are members but no admin.
    pub fn new(
        id: GroupId,
        epoch: u64,
        name: String,
        members: BTreeSet<String>,
        admins: BTreeSet<String>,
        master_key: MasterKey,
    ) -> Result<Self, Invalid> {
        if !(1..=MAX_SAFE_INTEGER).contains(&epoch) {
            return Err(Invalid::at("/epoch", "must be a whole number from 1 to 2^53 - 1"));
        }
        if !(1..=MAX_NAME_CHARS).contains(&name.chars().count()) || name.contains(char::is_control) {
            let detail =
                format!("must be 1 to {MAX_NAME_CHARS} characters, none of them a control character");
            return Err(Invalid::at("/name", detail));
        }
        if members.len() > MAX_MEMBERS {
            return Err(Invalid::at("/members", format!("are more than {MAX_MEMBERS}")));
        }
        members.iter().try_for_each(|id| actor(id).map(drop)).map_err(|fault| fault.under("/members"))?;
        if !admins.is_subset(&members) {
            return Err(Invalid::at("/admins", "must be members"));
        }
        if admins.is_empty() && !members.is_empty() {
            return Err(Invalid::at("/admins", "must be someone, while there are members"));
        }
        let mut state =
            Self { id, epoch, name, members, admins, master_key, canonical: Zeroizing::default() };
        state.canonical = Zeroizing::new(canonical(&state.to_value())?);
        Ok(state)
    }

    /// Reads the object of a control, or what [`GroupState::to_value`] wrote. Unknown members are
    /// ignored, and no hash covers them.
    ///
    /// # Errors
    /// [`Invalid`] at the first member that is missing or wrong, and if `members` or `admins` are
    /// not sorted or name somebody twice.
    pub fn parse(value: &Value) -> Result<Self, Invalid> {
        if !has_type(value, "GroupState") {
            return Err(Invalid::at("/type", "must be GroupState"));
        }
        Self::new(
            parsed(value, "id", GroupId::parse)?,
            required(value, "epoch", 1)?,
            parsed(value, "name", |name| Ok(name.to_owned()))?,
            sorted(value, "members")?,
            sorted(value, "admins")?,
            parsed(value, "groupMasterKey", MasterKey::from_base64)?,
        )
    }

    /// Returns the object of a control. It holds the master key.
    pub fn to_value(&self) -> Value {
        json!({
            "type": ["Object", "GroupState"], "id": self.id, "epoch": self.epoch, "name": self.name,
            "members": self.members, "admins": self.admins, "groupMasterKey": self.master_key.to_base64(),
        })
    }

    /// Returns the canonical JSON (RFC 8785) of [`GroupState::to_value`].
    pub fn canonical(&self) -> &[u8] {
        &self.canonical
    }

    /// Returns the SHA-256 of the canonical state as 64 lower-case hex digits. The next control has
    /// it as `eko:previous`.
    pub fn hash(&self) -> String {
        hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &self.canonical))
    }

    /// Returns the group's id.
    pub fn id(&self) -> &GroupId {
        &self.id
    }

    /// Returns the epoch: the number of controls that led to this state, from 1.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the members' actor ids.
    pub fn members(&self) -> &BTreeSet<String> {
        &self.members
    }

    /// Returns the actor ids of the members who may change the group.
    pub fn admins(&self) -> &BTreeSet<String> {
        &self.admins
    }

    /// Returns the master key.
    pub fn master_key(&self) -> &MasterKey {
        &self.master_key
    }
}

/// Leaves out the master key, and the canonical JSON that holds it.
impl fmt::Debug for GroupState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupState")
            .field("id", &self.id)
            .field("epoch", &self.epoch)
            .field("name", &self.name)
            .field("members", &self.members)
            .field("admins", &self.admins)
            .finish_non_exhaustive()
    }
}

/// Reads actor ids that must be sorted and unique, so that a state has one spelling only.
fn sorted(value: &Value, name: &str) -> Result<BTreeSet<String>, Invalid> {
    let items = texts(value, name)?;
    if items.len() > MAX_MEMBERS {
        return Err(Invalid::at(format!("/{name}"), format!("are more than {MAX_MEMBERS}")));
    }
    if !items.is_sorted_by(|one, next| one < next) {
        return Err(Invalid::at(format!("/{name}"), "must be sorted, and name nobody twice"));
    }
    Ok(items.into_iter().map(str::to_owned).collect())
}
