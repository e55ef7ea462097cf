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

/// A group at one epoch.
///
/// At most [`MAX_MEMBERS`] members, each an actor id; every admin is a member; there is an admin while there are members.
/// Without members it is a group that the last one has left.
#[derive(Clone, PartialEq, Eq)]
pub struct GroupState {
    id: GroupId,
    epoch: u64,
    name: String,
    members: BTreeSet<String>,
    admins: BTreeSet<String>,
    master_key: MasterKey,
    /// Made with it, so that its hash is always there.
    canonical: Zeroizing<Vec<u8>>,
}

impl GroupState {
    /// A new group at epoch 1: `by` is its admin, and a member beside `members`.
    ///
    /// # Errors
    /// A rule of the state is broken, as [`GroupState::new`] says.
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

    /// Checks the parts.
    ///
    /// # Errors
    /// An epoch that is 0 or beyond 2^53 - 1; a name that is empty, of more than [`MAX_NAME_CHARS`] characters, or with
    /// control characters; too many members; an address that is no actor id; an admin who is no member; members without an
    /// admin.
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

    /// Reads the object of a control, or what [`GroupState::to_value`] made. Members that are not known are ignored, and
    /// are in no hash.
    ///
    /// # Errors
    /// The first member that is missing or wrong; `members` or `admins` that are not sorted, or name someone twice.
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

    /// The object of a control. It holds the master key.
    pub fn to_value(&self) -> Value {
        json!({
            "type": ["Object", "GroupState"], "id": self.id, "epoch": self.epoch, "name": self.name,
            "members": self.members, "admins": self.admins, "groupMasterKey": self.master_key.to_base64(),
        })
    }

    /// The canonical JSON (RFC 8785) of [`GroupState::to_value`].
    pub fn canonical(&self) -> &[u8] {
        &self.canonical
    }

    /// SHA-256 of the canonical state, 64 lower-case hex digits: the next control's `eko:previous`.
    pub fn hash(&self) -> String {
        hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &self.canonical))
    }

    /// The group.
    pub fn id(&self) -> &GroupId {
        &self.id
    }

    /// How many controls made it, from 1.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The members' actor ids.
    pub fn members(&self) -> &BTreeSet<String> {
        &self.members
    }

    /// The members who may change it.
    pub fn admins(&self) -> &BTreeSet<String> {
        &self.admins
    }

    /// The key that its members know.
    pub fn master_key(&self) -> &MasterKey {
        &self.master_key
    }
}

/// Without the master key, and without the JSON that it is in.
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

/// Sorted and without doubles, so that a state has one spelling.
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
