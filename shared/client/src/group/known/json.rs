//! The JSON that the record of a group is kept as.

use eko_protocol::Invalid;
use serde_json::{Value, json};

use super::{FORMER, KnownGroup, MAX_FORMER, OwnDeparture, PreviousState};
use crate::content::member::{actor, device, parsed, texts};
use crate::group::{GroupState, MAX_MEMBERS, MasterKey};

impl KnownGroup {
    /// Returns the JSON that the record is kept as. It holds master keys.
    pub fn to_value(&self) -> Value {
        json!({
            "current": self.current.to_value(), "rekeyDue": self.rekey_due,
            "userLeft": self.departure == OwnDeparture::Made, "before": self.before.to_value(),
            "maker": self.maker, "confirmed": self.confirmed, "past": self.past,
            "former": self.former,
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
            rekey_due: flag(value, "rekeyDue")?,
            departure: if flag(value, "userLeft")? { OwnDeparture::Made } else { OwnDeparture::NotMade },
            before: PreviousState::parse(before).map_err(|fault| fault.under("/before"))?,
            maker: parsed(value, "maker", device)?,
            confirmed: list(value, "confirmed", MAX_MEMBERS)?
                .into_iter()
                .map(actor)
                .collect::<Result<_, _>>()
                .map_err(|fault| fault.under("/confirmed"))?,
            past: list(value, "past", MAX_FORMER)?.into_iter().map(str::to_owned).collect(),
            former: list(value, "former", FORMER)?.into_iter().map(str::to_owned).collect(),
        })
    }
}

impl PreviousState {
    fn to_value(&self) -> Value {
        match self {
            Self::Nothing => Value::Null,
            Self::Seen { state, rekey_due } => json!({ "state": state.to_value(), "rekeyDue": rekey_due }),
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
            return Ok(Self::Seen { state: state(value, "state")?, rekey_due: flag(value, "rekeyDue")? });
        }
        let master_key = match value.get("masterKey") {
            None | Some(Value::Null) => None,
            Some(_) => Some(parsed(value, "masterKey", MasterKey::from_base64)?),
        };
        let hash = parsed(value, "hash", |hash| Ok(hash.to_owned()))?;
        Ok(Self::Unseen { hash, joined: state(value, "joined")?, master_key })
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

fn list<'a>(value: &'a Value, name: &str, most: usize) -> Result<Vec<&'a str>, Invalid> {
    let items = texts(value, name)?;
    if items.len() > most {
        return Err(Invalid::at(format!("/{name}"), format!("are more than {most}")));
    }
    Ok(items)
}
