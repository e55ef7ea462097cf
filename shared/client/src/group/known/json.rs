//! The JSON that the record of a group is kept as.

use std::collections::{BTreeMap, BTreeSet};

use eko_protocol::Invalid;
use serde_json::{Value, json};

use super::{
    FormerState, KnownGroup, MAX_FORMER, MAX_FORMER_MEMBERS, MemberDeparture, Outsiders, OwnAdditions,
    OwnChange, OwnDeparture, OwnRemovals, PreviousState,
};
use crate::content::member::{actor, device, parsed, texts};
use crate::group::{GroupChange, GroupState, MAX_MEMBERS, MasterKey};

impl KnownGroup {
    /// Returns the JSON that the record is kept as. It holds master keys.
    pub fn to_value(&self) -> Value {
        json!({
            "current": self.current.to_value(), "outsiders": self.outsiders.to_value(),
            "userLeft": self.departure == OwnDeparture::Made,
            "removals": OwnChange::to_value(&self.removals.0),
            "additions": OwnChange::to_value(&self.additions.0),
            "before": self.before.to_value(), "change": self.change.as_str(), "maker": self.maker,
            "leader": self.leader, "confirmed": self.confirmed,
            "past": self.past.iter().map(FormerState::to_value).collect::<Vec<_>>(), "former": self.former,
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
            removals: OwnRemovals(OwnChange::parse(value, "removals")?),
            additions: OwnAdditions(OwnChange::parse(value, "additions")?),
            before: PreviousState::parse(before).map_err(|fault| fault.under("/before"))?,
            change: parsed(value, "change", GroupChange::parse)?,
            maker: parsed(value, "maker", device)?,
            leader: parsed(value, "leader", actor)?,
            confirmed: actors(value, "confirmed")?,
            past: items(value, "past", MAX_FORMER, FormerState::parse)?,
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

impl OwnChange {
    fn to_value(changes: &BTreeMap<String, Self>) -> Value {
        let item =
            |(actor, it): (&String, &Self)| json!({ "actor": actor, "epoch": it.epoch, "again": it.again });
        changes.iter().map(item).collect()
    }

    /// Reads the member of a record with this name, which has each actor with a change.
    fn parse(record: &Value, name: &str) -> Result<BTreeMap<String, Self>, Invalid> {
        let read = |value: &Value| {
            let change = Self { epoch: epoch(value)?, again: flag(value, "again")? };
            Ok((parsed(value, "actor", actor)?, change))
        };
        Ok(items(record, name, MAX_MEMBERS, read)?.into_iter().collect())
    }
}

impl FormerState {
    fn to_value(&self) -> Value {
        let mut value = json!({ "epoch": self.epoch, "hash": self.hash });
        if let Some(MemberDeparture { actor, received_ms }) = &self.left {
            value["left"] = json!({ "actor": actor, "at": received_ms });
        }
        value
    }

    fn parse(value: &Value) -> Result<Self, Invalid> {
        let hash = parsed(value, "hash", |hash| Ok(hash.to_owned()))?;
        let left = value.get("left").map(MemberDeparture::parse).transpose();
        Ok(Self { epoch: epoch(value)?, hash, left: left.map_err(|fault| fault.under("/left"))? })
    }
}

impl MemberDeparture {
    fn parse(value: &Value) -> Result<Self, Invalid> {
        let at = value.get("at").and_then(Value::as_i64);
        let received_ms = at.ok_or_else(|| Invalid::at("/at", "must be a number"))?;
        Ok(Self { actor: parsed(value, "actor", actor)?, received_ms })
    }
}

fn epoch(value: &Value) -> Result<u64, Invalid> {
    let epoch = value.get("epoch").and_then(Value::as_u64);
    epoch.ok_or_else(|| Invalid::at("/epoch", "must be a number"))
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

/// Reads an array of at most `most` items.
fn items<R>(
    value: &Value,
    name: &str,
    most: usize,
    read: impl Fn(&Value) -> Result<R, Invalid>,
) -> Result<Vec<R>, Invalid> {
    let at = || format!("/{name}");
    let items = value.get(name).and_then(Value::as_array);
    let items = items.ok_or_else(|| Invalid::at(at(), "must be an array"))?;
    if items.len() > most {
        return Err(Invalid::at(at(), format!("are more than {most}")));
    }
    items.iter().map(read).collect::<Result<_, _>>().map_err(|fault| fault.under(at()))
}

fn list<'a>(value: &'a Value, name: &str, most: usize) -> Result<Vec<&'a str>, Invalid> {
    let items = texts(value, name)?;
    if items.len() > most {
        return Err(Invalid::at(format!("/{name}"), format!("are more than {most}")));
    }
    Ok(items)
}
