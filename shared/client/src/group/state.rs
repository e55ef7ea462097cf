//! The state of a group at one epoch.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use eko_protocol::Invalid;
use eko_protocol::json::{canonical, has_type, required_list};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::grant::{lead_to_creator, needed};
use super::{GroupGrant, GroupId, MAX_EPOCH, MAX_GRANTS, MAX_MEMBERS, MAX_NAME_CHARS, MasterKey};
use crate::Environment;
use crate::content::member::{actor, parsed, required, texts};
use crate::secret::decode_32;

/// The beginning of a group, to which the group's id commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupOrigin {
    /// The actor id of the user who created the group.
    pub creator: String,
    /// The random bytes that the creator drew.
    pub nonce: [u8; 32],
}

impl GroupOrigin {
    /// Returns a fresh beginning by this creator.
    pub fn generate(creator: &str, environment: &Environment) -> Self {
        Self { creator: creator.to_owned(), nonce: environment.bytes() }
    }
}

/// The parts of a group's state, before they are checked.
#[derive(Clone)]
pub struct GroupParts {
    /// The beginning of the group.
    pub origin: GroupOrigin,
    /// The epoch: the number of controls that led to this state, from 1.
    pub epoch: u64,
    /// The name.
    pub name: String,
    /// The members' actor ids.
    pub members: BTreeSet<String>,
    /// The actor ids of the members who may change the group.
    pub admins: BTreeSet<String>,
    /// The grants that lead from each admin to the creator, by the admin that each of them makes.
    pub grants: BTreeMap<String, GroupGrant>,
    /// The master key.
    pub master_key: MasterKey,
}

/// The state of a group at one epoch.
///
/// A group has at most [`MAX_MEMBERS`] members, each an actor id. Every admin is a member. As long
/// as there are members there is an admin. From each admin a chain of [grants](GroupGrant) leads to
/// the creator. A group without members is one that the last member has left.
#[derive(Clone)]
pub struct GroupState {
    id: GroupId,
    parts: GroupParts,
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
        Self::new(GroupParts {
            origin: GroupOrigin::generate(by, environment),
            epoch: 1,
            name: name.to_owned(),
            members,
            admins: BTreeSet::from([by.to_owned()]),
            grants: BTreeMap::new(),
            master_key: MasterKey::generate(environment),
        })
    }

    /// Makes a state of its parts, and checks them. The id follows from the origin.
    ///
    /// # Errors
    /// [`Invalid`] if the epoch is 0 or beyond [`MAX_EPOCH`]; if the name is empty, has more than
    /// [`MAX_NAME_CHARS`] characters or a control character; if there are too many members, or one
    /// is no actor id; if an admin is no member; if there are members but no admin; if there are
    /// more than [`MAX_GRANTS`] grants, if they do not lead from each admin to the creator, or if
    /// there is one that no admin needs.
    pub fn new(parts: GroupParts) -> Result<Self, Invalid> {
        if !(1..=MAX_EPOCH).contains(&parts.epoch) {
            return Err(Invalid::at("/epoch", "must be a whole number from 1 to 2^32"));
        }
        let name = &parts.name;
        if !(1..=MAX_NAME_CHARS).contains(&name.chars().count()) || name.contains(char::is_control) {
            let detail =
                format!("must be 1 to {MAX_NAME_CHARS} characters, none of them a control character");
            return Err(Invalid::at("/name", detail));
        }
        if parts.members.len() > MAX_MEMBERS {
            return Err(Invalid::at("/members", format!("are more than {MAX_MEMBERS}")));
        }
        let check = parts.members.iter().try_for_each(|id| actor(id).map(drop));
        check.map_err(|fault| fault.under("/members"))?;
        if !parts.admins.is_subset(&parts.members) {
            return Err(Invalid::at("/admins", "must be members"));
        }
        if parts.admins.is_empty() && !parts.members.is_empty() {
            return Err(Invalid::at("/admins", "must be someone, while there are members"));
        }
        if parts.grants.len() > MAX_GRANTS {
            return Err(Invalid::at("/grants", format!("are more than {MAX_GRANTS}")));
        }
        lead_to_creator(&parts.grants, &parts.admins, &parts.origin.creator)?;
        let id = GroupId::of(&parts.origin)?;
        let mut state = Self { id, parts, canonical: Zeroizing::default() };
        state.canonical = Zeroizing::new(canonical(&state.to_value())?);
        Ok(state)
    }

    /// Reads the object of a control, or what [`GroupState::to_value`] wrote. Unknown members are
    /// ignored, and no hash covers them.
    ///
    /// # Errors
    /// [`Invalid`] at the first member that is missing or wrong, if `members`, `admins` or `grants`
    /// are not sorted or name somebody twice, or if the id does not follow from `creator` and
    /// `nonce`.
    pub fn parse(value: &Value) -> Result<Self, Invalid> {
        if !has_type(value, "GroupState") {
            return Err(Invalid::at("/type", "must be GroupState"));
        }
        let id = parsed(value, "id", GroupId::parse)?;
        let origin = GroupOrigin {
            creator: parsed(value, "creator", actor)?,
            nonce: parsed(value, "nonce", decode_32)?,
        };
        let state = Self::new(GroupParts {
            origin,
            epoch: required(value, "epoch", 1)?,
            name: parsed(value, "name", |name| Ok(name.to_owned()))?,
            members: sorted(value, "members")?,
            admins: sorted(value, "admins")?,
            grants: grants(value).map_err(|fault| fault.under("/grants"))?,
            master_key: parsed(value, "groupMasterKey", MasterKey::from_base64)?,
        })?;
        if state.id != id {
            return Err(Invalid::at("/id", "does not follow from creator and nonce"));
        }
        Ok(state)
    }

    /// Returns the object of a control. It holds the master key.
    pub fn to_value(&self) -> Value {
        let parts = &self.parts;
        let grants: Vec<Value> = self.grants().map(GroupGrant::to_value).collect();
        json!({
            "type": ["Object", "GroupState"], "id": self.id, "creator": parts.origin.creator,
            "nonce": STANDARD.encode(parts.origin.nonce), "epoch": parts.epoch, "name": parts.name,
            "members": parts.members, "admins": parts.admins, "grants": grants,
            "groupMasterKey": parts.master_key.to_base64(),
        })
    }

    /// Returns the parts, of which another state can be made.
    pub fn parts(&self) -> &GroupParts {
        &self.parts
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

    /// Returns the actor id of the user who created the group, who may have left it since.
    pub fn creator(&self) -> &str {
        &self.parts.origin.creator
    }

    /// Returns the epoch: the number of controls that led to this state, from 1.
    pub fn epoch(&self) -> u64 {
        self.parts.epoch
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.parts.name
    }

    /// Returns the members' actor ids.
    pub fn members(&self) -> &BTreeSet<String> {
        &self.parts.members
    }

    /// Returns the actor ids of the members who may change the group.
    pub fn admins(&self) -> &BTreeSet<String> {
        &self.parts.admins
    }

    /// Returns the grants, sorted by the admin that each of them makes.
    pub fn grants(&self) -> impl Iterator<Item = &GroupGrant> {
        self.parts.grants.values()
    }

    /// Returns the grants that lead from an admin to the creator, or from all admins if `actor` is none.
    pub fn grants_of(&self, actor: &str) -> BTreeMap<String, GroupGrant> {
        let own = BTreeSet::from([actor.to_owned()]);
        let admins = if self.admins().contains(actor) { &own } else { self.admins() };
        needed(&self.parts.grants, admins, self.creator())
    }

    /// Returns the master key.
    pub fn master_key(&self) -> &MasterKey {
        &self.parts.master_key
    }
}

/// Compares states by their canonical JSON, which holds every part.
impl PartialEq for GroupState {
    fn eq(&self, other: &Self) -> bool {
        self.canonical == other.canonical
    }
}

impl Eq for GroupState {}

/// Leaves out the master key, and the canonical JSON that holds it.
impl fmt::Debug for GroupState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupState")
            .field("id", &self.id)
            .field("creator", &self.parts.origin.creator)
            .field("epoch", &self.parts.epoch)
            .field("name", &self.parts.name)
            .field("members", &self.parts.members)
            .field("admins", &self.parts.admins)
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

/// Reads the grants, which must be sorted and unique by their admins.
fn grants(value: &Value) -> Result<BTreeMap<String, GroupGrant>, Invalid> {
    let items = required_list(value, "grants").map_err(|fault| Invalid::whole(fault.detail))?;
    if items.len() > MAX_GRANTS {
        return Err(Invalid::whole(format!("are more than {MAX_GRANTS}")));
    }
    let item = |(index, item)| GroupGrant::parse(item).map_err(|fault| fault.under(format!("/{index}")));
    let grants = items.iter().enumerate().map(item).collect::<Result<Vec<_>, _>>()?;
    if !grants.is_sorted_by(|one, next| one.admin < next.admin) {
        return Err(Invalid::whole("must be sorted by admin, and name nobody twice"));
    }
    Ok(grants.into_iter().map(|grant| (grant.admin.clone(), grant)).collect())
}
