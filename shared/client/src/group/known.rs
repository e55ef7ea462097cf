use eko_protocol::Invalid;
use serde_json::{Value, json};

use super::{ControlVerdict, GroupControl, GroupState};
use crate::content::member::parsed;

/// What a device keeps of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownGroup {
    /// Its state now.
    pub current: GroupState,
    /// What was before it, which another change may turn out to have the better claim on.
    pub before: PreviousState,
}

/// What was before a group's current state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PreviousState {
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

impl KnownGroup {
    /// What the device that creates a group knows of it.
    pub fn created(state: GroupState) -> Self {
        Self { current: state, before: PreviousState::Nothing }
    }

    /// What is known after a control was judged; `None` where that changes nothing.
    pub fn after(known: Option<&Self>, control: &GroupControl, verdict: &ControlVerdict) -> Option<Self> {
        let current = control.state().clone();
        let before = match verdict {
            ControlVerdict::Join => match control.previous() {
                None => PreviousState::Nothing,
                Some(hash) => PreviousState::Unseen { hash: hash.to_owned(), joined: current.clone() },
            },
            ControlVerdict::Apply => PreviousState::Seen(known?.current.clone()),
            ControlVerdict::Overtakes => known?.before.clone(),
            ControlVerdict::Same
            | ControlVerdict::Overtaken
            | ControlVerdict::Ahead
            | ControlVerdict::Refused(_) => return None,
        };
        Some(Self { current, before })
    }

    /// JSON to keep it as. It holds master keys.
    pub fn to_value(&self) -> Value {
        let current = self.current.to_value();
        match &self.before {
            PreviousState::Nothing => json!({ "current": current }),
            PreviousState::Seen(state) => json!({ "current": current, "before": state.to_value() }),
            PreviousState::Unseen { hash, joined } => {
                json!({ "current": current, "beforeHash": hash, "joined": joined.to_value() })
            }
        }
    }

    /// Reads what [`KnownGroup::to_value`] made.
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
            PreviousState::Unseen { hash, joined: state("joined")? }
        } else if value.get("before").is_some() {
            PreviousState::Seen(state("before")?)
        } else {
            PreviousState::Nothing
        };
        Ok(Self { current: state("current")?, before })
    }
}
