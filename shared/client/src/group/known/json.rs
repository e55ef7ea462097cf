//! The JSON that the record of a group is kept as.

use std::collections::BTreeSet;

use eko_protocol::Invalid;
use serde_json::{Value, json};

use super::{KnownGroup, MAX_FORMER, MAX_FORMER_MEMBERS, Outsiders, OwnDeparture, OwnRemoval, PreviousState};
use crate::content::member::{actor, device, parsed, texts};
use crate::group::{GroupChange, GroupState, MAX_MEMBERS, MasterKey};

impl KnownGroup {
    /// Returns the JSON that the record is kept as. It holds master keys.
    pub fn to_value(&self) -> Value {
        json!({
            "current": self.current.to_value(), "outsiders": self.outsiders.to_value(),
            "userLeft": self.departure == OwnDeparture::Made,
            "removal": self.removal.as_ref().map(OwnRemoval::to_value),
            "before": self.before.to_value(), "change": self.change.as_str(), "maker": self.maker,
            "leader": self.leader, "confirmed": self.confirmed, "past": self.past, "former": self.former,
        })
    }

    /// Reads what [`KnownGroup::to_value`] wrote.
    ///
    /// # Errors
    /// [`Invalid`] at the first member that is missing or wrong, or whose state breaks a rule.
    pub fn parse(value: &Value) -> Result<Self, Invalid> {
        let before = value.get("before").unwrap_or(&Value::Null);
        Ok(Self {
            current: state(value, "current")?,
            outsiders: Outsiders::parse(value)?,
            departure: if flag(value, "userLeft")? { OwnDeparture::Made } else { OwnDeparture::NotMade },
            removal: match value.get("removal") {
                None | Some(Value::Null) => None,
                Some(removal) => Some(OwnRemoval::parse(removal).map_err(|fault| fault.under("/removal"))?),
            },
            before: PreviousState::parse(before).map_err(|fault| fault.under("/before"))?,
            change: parsed(value, "change", GroupChange::parse)?,
            maker: parsed(value, "maker", device)?,
            leader: parsed(value, "leader", actor)?,
            confirmed: actors(value, "confirmed")?,
            past: list(value, "past", MAX_FORMER)?.into_iter().map(str::to_owned).collect(),
            former: list(value, "former", MAX_FORMER_MEMBERS)?.into_iter().map(str::to_owned).collect(),
        })
    }
}

impl PreviousState {
    fn to_value(&self) -> Value {
        match self {
            Self::Nothing => Value::Null,
            Self::Seen { state, outsiders } => {
                json!({ "state": state.to_value(), "outsiders": outsiders.to_value() })
            }
            Self::Unseen { hash, joined, master_key } => json!({
                "hash": hash, "joined": joined.to_value(),
                "masterKey": master_key.as_ref().map(MasterKey::to_base64),
            }),
        }
    }

    fn parse(value: &Value) -> Result<Self, Invalid> {
        if value.is_null() {
            return Ok(Self::Nothing);
        }
        if value.get("state").is_some() {
            return Ok(Self::Seen { state: state(value, "state")?, outsiders: Outsiders::parse(value)? });
        }
        let master_key = match value.get("masterKey") {
            None | Some(Value::Null) => None,
            Some(_) => Some(parsed(value, "masterKey", MasterKey::from_base64)?),
        };
        let hash = parsed(value, "hash", |hash| Ok(hash.to_owned()))?;
        Ok(Self::Unseen { hash, joined: state(value, "joined")?, master_key })
    }
}

impl Outsiders {
    fn to_value(&self) -> Value {
        json!({ "departed": self.departed, "revoked": self.revoked })
    }

    /// Reads the member `outsiders` of a record.
    fn parse(record: &Value) -> Result<Self, Invalid> {
        let value = record.get("outsiders").unwrap_or(&Value::Null);
        let parsed = || Ok(Self { departed: actors(value, "departed")?, revoked: flag(value, "revoked")? });
        parsed().map_err(|fault: Invalid| fault.under("/outsiders"))
    }
}

impl OwnRemoval {
    fn to_value(&self) -> Value {
        json!({ "members": self.members, "epoch": self.epoch, "again": self.again })
    }

    fn parse(value: &Value) -> Result<Self, Invalid> {
        let epoch = value.get("epoch").and_then(Value::as_u64);
        Ok(Self {
            members: actors(value, "members")?,
            epoch: epoch.ok_or_else(|| Invalid::at("/epoch", "must be a number"))?,
            again: flag(value, "again")?,
        })
    }
}

fn state(value: &Value, name: &str) -> Result<GroupState, Invalid> {
    let state = GroupState::parse(value.get(name).unwrap_or(&Value::Null));
    state.map_err(|fault| fault.under(format!("/{name}")))
}

fn flag(value: &Value, name: &str) -> Result<bool, Invalid> {
    let member = value.get(name).and_then(Value::as_bool);
    member.ok_or_else(|| Invalid::at(format!("/{name}"), "must be true or false"))
}

/// Reads a list of actor ids, of at most as many as a group has members.
fn actors(value: &Value, name: &str) -> Result<BTreeSet<String>, Invalid> {
    let actors = list(value, name, MAX_MEMBERS)?.into_iter().map(actor).collect::<Result<_, _>>();
    actors.map_err(|fault| fault.under(format!("/{name}")))
}

fn list<'a>(value: &'a Value, name: &str, most: usize) -> Result<Vec<&'a str>, Invalid> {
    let items = texts(value, name)?;
    if items.len() > most {
        return Err(Invalid::at(format!("/{name}"), format!("are more than {most}")));
    }
    Ok(items)
}
