use eko_protocol::Invalid;
use serde_json::{Value, json};

use super::{GroupControl, GroupState, Verdict};
use crate::content::member::parsed;

/// What a device keeps of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its state now.
    pub current: GroupState,
    /// What was before it, which another change may turn out to have the better claim on.
    pub before: Before,
}

/// What was before a group's current state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Before {
    /// Nothing: it is the first.
    Nothing,
    /// This state.
    Seen(GroupState),
    /// A state that this device was not sent, since it joined with the one after.
    Unseen {
        /// Its hash.
        hash: String,
        /// The state that this device joined with. Its key was the key before it too, and its admins were admins.
        joined: GroupState,
    },
}

impl Known {
    /// What the device that creates a group knows of it.
    pub fn created(state: GroupState) -> Self {
        Self { current: state, before: Before::Nothing }
    }

    /// What is known after a control was judged; `None` where that changes nothing.
    pub fn after(known: Option<&Self>, control: &GroupControl, verdict: &Verdict) -> Option<Self> {
        let current = control.state().clone();
        let before = match verdict {
            Verdict::Join => match control.previous() {
                None => Before::Nothing,
                Some(hash) => Before::Unseen { hash: hash.to_owned(), joined: current.clone() },
            },
            Verdict::Apply => Before::Seen(known?.current.clone()),
            Verdict::Overtakes => known?.before.clone(),
            Verdict::Same | Verdict::Overtaken | Verdict::Ahead | Verdict::Refused(_) => return None,
        };
        Some(Self { current, before })
    }

    /// JSON to keep it as. It holds master keys.
    pub fn to_value(&self) -> Value {
        let current = self.current.to_value();
        match &self.before {
            Before::Nothing => json!({ "current": current }),
            Before::Seen(state) => json!({ "current": current, "before": state.to_value() }),
            Before::Unseen { hash, joined } => {
                json!({ "current": current, "beforeHash": hash, "joined": joined.to_value() })
            }
        }
    }

    /// Reads what [`Known::to_value`] made.
    ///
    /// # Errors
    /// A state is missing or breaks a rule.
    pub fn parse(value: &Value) -> Result<Self, Invalid> {
        let state = |name: &str| {
            let state = GroupState::parse(value.get(name).unwrap_or(&Value::Null));
            state.map_err(|fault| fault.under(format!("/{name}")))
        };
        let before = if value.get("joined").is_some() {
            let hash = parsed(value, "beforeHash", |hash| Ok(hash.to_owned()))?;
            Before::Unseen { hash, joined: state("joined")? }
        } else if value.get("before").is_some() {
            Before::Seen(state("before")?)
        } else {
            Before::Nothing
        };
        Ok(Self { current: state("current")?, before })
    }
}
