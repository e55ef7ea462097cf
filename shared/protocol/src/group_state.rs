//! Sealed group states (section 9): what a user's devices keep of their groups at their server, in a
//! form that only these devices can read.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::address::{Origin, UserName};
use crate::collection::start;
use crate::id::GroupStateId;
use crate::json::{has_type, shape};
use crate::limits::{MAX_GROUP_STATE_BYTES, MAX_SAFE_INTEGER};
use crate::vocabulary::in_context;
use crate::{Invalid, key};

/// The type of a sealed group state.
const TYPE: &str = "SealedGroupState";

/// A group state as the server keeps it.
///
/// ```text
/// {"type": ["Object", "SealedGroupState"], "epoch": <number>, "content": <base64>}
/// ```
///
/// ```
/// use eko_protocol::group_state::SealedGroupState;
/// use serde_json::json;
///
/// let state = json!({"type": ["Object", "SealedGroupState"], "epoch": 7, "content": "AQID"});
/// let state = SealedGroupState::parse(&state)?;
/// assert_eq!((state.epoch, state.content), (7, vec![1, 2, 3]));
/// # Ok::<(), eko_protocol::Invalid>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedGroupState {
    /// The number by which states of one group are ordered: 1 to 2^53 - 1. A state replaces those
    /// of lower epochs.
    pub epoch: u64,
    /// The sealed state: 1 to [`MAX_GROUP_STATE_BYTES`] bytes.
    pub content: Vec<u8>,
}

/// The JSON form of a sealed state.
#[derive(Deserialize)]
struct WireState {
    epoch: u64,
    content: String,
}

impl SealedGroupState {
    /// Reads a state. Other members are ignored.
    ///
    /// # Errors
    /// [`Invalid`] for another type, an epoch out of range, or a content that is no base64, empty or
    /// too long.
    pub fn parse(value: &Value) -> Result<Self, Invalid> {
        if !has_type(value, TYPE) {
            return Err(Invalid::at("/type", format!("must be {TYPE}")));
        }
        let wire: WireState = shape(value)?;
        if !(1..=MAX_SAFE_INTEGER).contains(&wire.epoch) {
            return Err(Invalid::at("/epoch", format!("must be 1 to {MAX_SAFE_INTEGER}")));
        }
        let too_long = || Invalid::at("/content", format!("is more than {MAX_GROUP_STATE_BYTES} bytes"));
        // Four characters carry three bytes. A text that is too long is refused without decoding.
        if wire.content.len() > MAX_GROUP_STATE_BYTES.div_ceil(3).saturating_mul(4) {
            return Err(too_long());
        }
        let content = key::decode(&wire.content).map_err(|fault| fault.under("/content"))?;
        match content.len() {
            0 => Err(Invalid::at("/content", "is empty")),
            length if length > MAX_GROUP_STATE_BYTES => Err(too_long()),
            _ => Ok(Self { epoch: wire.epoch, content }),
        }
    }

    /// Writes the state without a context. `id` is its address, where it has one already.
    pub fn to_value(&self, id: Option<&str>) -> Value {
        let mut object = Map::new();
        object.insert("type".to_owned(), json!(["Object", TYPE]));
        if let Some(id) = id {
            object.insert("id".to_owned(), json!(id));
        }
        object.insert("epoch".to_owned(), json!(self.epoch));
        object.insert("content".to_owned(), json!(key::encode(&self.content)));
        Value::Object(object)
    }

    /// Writes the state as a document. `id` is its address, where it has one already.
    pub fn to_document(&self, id: Option<&str>) -> Value {
        in_context(self.to_value(id))
    }
}

/// Writes a page of a user's group states. `after` is the id behind which the page starts, and
/// `next` the one behind which the next page starts, if there may be more.
pub fn page(
    origin: &Origin,
    user: &UserName,
    after: Option<&GroupStateId>,
    states: &[(GroupStateId, SealedGroupState)],
    next: Option<&GroupStateId>,
) -> Value {
    let list = origin.group_states(user);
    let from = |after: &GroupStateId| format!("{list}?after={after}");
    let items = states.iter().map(|(id, state)| state.to_value(Some(&origin.group_state(user, id))));
    let mut body = start("OrderedCollectionPage", &after.map_or_else(|| list.clone(), from));
    body.insert("partOf".to_owned(), json!(list));
    body.insert("orderedItems".to_owned(), items.collect());
    if let Some(next) = next {
        body.insert("next".to_owned(), json!(from(next)));
    }
    Value::Object(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn state(epoch: &Value, content: &str) -> Value {
        json!({"type": ["Object", TYPE], "epoch": epoch, "content": content})
    }

    #[test]
    fn faults_are_named() {
        let long = key::encode(&vec![7; MAX_GROUP_STATE_BYTES + 1]);
        let too_long = "A".repeat(MAX_GROUP_STATE_BYTES * 2);
        for (value, pointer) in [
            (json!([]), "/type"),
            (json!({"type": "Object", "epoch": 1, "content": "AQID"}), "/type"),
            (json!({"type": TYPE, "content": "AQID"}), "/epoch"),
            (state(&json!(0), "AQID"), "/epoch"),
            (state(&json!(-1), "AQID"), "/epoch"),
            (state(&json!(1.5), "AQID"), "/epoch"),
            (state(&json!("1"), "AQID"), "/epoch"),
            (state(&json!(MAX_SAFE_INTEGER + 1), "AQID"), "/epoch"),
            (state(&json!(1), ""), "/content"),
            (state(&json!(1), "AQI"), "/content"),
            (state(&json!(1), &long), "/content"),
            (state(&json!(1), &too_long), "/content"),
        ] {
            assert_eq!(SealedGroupState::parse(&value).unwrap_err().pointer, pointer, "{value:.80}");
        }
        let longest = key::encode(&vec![7; MAX_GROUP_STATE_BYTES]);
        assert!(SealedGroupState::parse(&state(&json!(MAX_SAFE_INTEGER), &longest)).is_ok());
    }

    proptest! {
        #[test]
        fn round_trip(
            epoch in 1..=MAX_SAFE_INTEGER,
            content in proptest::collection::vec(any::<u8>(), 1..200),
        ) {
            let state = SealedGroupState { epoch, content };
            prop_assert_eq!(SealedGroupState::parse(&state.to_value(None)), Ok(state.clone()));
            prop_assert_eq!(SealedGroupState::parse(&state.to_document(Some("https://a.example/1"))), Ok(state));
        }
    }
}
