//! Readers of single members. JSON-LD lets a member be one value or an array that holds it.

use serde_json::Value;

use crate::Invalid;
use crate::invalid::token;

/// The vocabulary of ActivityStreams.
const ACTIVITY_STREAMS: &str = "https://www.w3.org/ns/activitystreams";

/// True if the member `type` is the name or an array that contains it. The name may be written in
/// the three forms that a JSON-LD context leaves open: `SignalEnvelope`, `eko:SignalEnvelope` (or
/// `as:Create`), and `https://a.example/ns#SignalEnvelope`.
///
/// ```
/// use eko_protocol::json::has_type;
/// use serde_json::json;
///
/// assert!(has_type(&json!({"type": ["Object", "SignalEnvelope"]}), "SignalEnvelope"));
/// assert!(has_type(&json!({"type": "eko:SignalEnvelope"}), "SignalEnvelope"));
/// assert!(!has_type(&json!({"type": "Note"}), "SignalEnvelope"));
/// ```
pub fn has_type(value: &Value, name: &str) -> bool {
    let is_name = |item: &Value| item.as_str().is_some_and(|term| local_name(term) == name);
    match value.get("type") {
        Some(Value::Array(types)) => types.iter().any(is_name),
        Some(single) => is_name(single),
        None => false,
    }
}

/// Returns a term of ActivityStreams or of this protocol without its prefix or vocabulary. Any other
/// text is returned as it is.
pub(crate) fn local_name(term: &str) -> &str {
    let prefixed = || term.strip_prefix("as:").or_else(|| term.strip_prefix("eko:"));
    match term.split_once('#') {
        Some((vocabulary, name)) if vocabulary == ACTIVITY_STREAMS || is_eko_vocabulary(vocabulary) => name,
        _ => prefixed().unwrap_or(term),
    }
}

/// True if a vocabulary is the one of this protocol, of whatever server.
fn is_eko_vocabulary(vocabulary: &str) -> bool {
    vocabulary
        .strip_prefix("https://")
        .is_some_and(|rest| rest.split_once('/').is_some_and(|(_, path)| path == "ns"))
}

/// Returns the one value of a member that is required: the member itself, or the item of an array
/// of one.
///
/// # Errors
/// [`Invalid`] if the member is missing, null, or an array of no or several values.
pub fn only<'a>(object: &'a Value, name: &str) -> Result<&'a Value, Invalid> {
    let fault = |detail: &str| Err(Invalid::at(format!("/{}", token(name)), detail));
    match object.get(name) {
        None | Some(Value::Null) => fault("is missing"),
        Some(Value::Array(items)) => match items.as_slice() {
            [item] if !item.is_array() && !item.is_null() => Ok(item),
            _ => fault("must be one value, or an array of one"),
        },
        Some(value) => Ok(value),
    }
}

/// Returns the text of a member that is required and holds a string or an array of one string, such
/// as `to`.
///
/// # Errors
/// [`Invalid`] if the member is missing or has another shape.
pub fn only_text<'a>(object: &'a Value, name: &str) -> Result<&'a str, Invalid> {
    only(object, name)?.as_str().ok_or_else(|| {
        Invalid::at(format!("/{}", token(name)), "must be a string, or an array of one string")
    })
}

/// Returns the text of a member that is required and must be a string, such as `actor`.
///
/// # Errors
/// [`Invalid`] if the member is missing or is not a string.
pub fn text<'a>(object: &'a Value, name: &str) -> Result<&'a str, Invalid> {
    match object.get(name) {
        Some(Value::String(text)) => Ok(text),
        None => Err(Invalid::at(format!("/{}", token(name)), "is missing")),
        Some(_) => Err(Invalid::at(format!("/{}", token(name)), "must be a string")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn types_are_a_string_or_an_array() {
        assert!(has_type(&json!({"type": "SignalEnvelope"}), "SignalEnvelope"));
        assert!(has_type(&json!({"type": ["Object", "SignalEnvelope"]}), "SignalEnvelope"));
        for term in ["eko:SignalEnvelope", "https://eko.network/ns#SignalEnvelope"] {
            assert!(has_type(&json!({ "type": term }), "SignalEnvelope"), "{term}");
            assert!(has_type(&json!({ "type": ["as:Object", term] }), "SignalEnvelope"), "{term}");
        }
        assert!(has_type(&json!({"type": "https://www.w3.org/ns/activitystreams#Create"}), "Create"));
        for other in [
            json!({"type": "x:SignalEnvelope"}),
            json!({"type": "#SignalEnvelope"}),
            json!({"type": "https://a.example/other#SignalEnvelope"}),
            json!({"type": "https://a.example/ns#eko:SignalEnvelope"}),
            json!({"type": ["Object"]}),
            json!({"type": {"SignalEnvelope": 1}}),
            json!({}),
            json!("SignalEnvelope"),
        ] {
            assert!(!has_type(&other, "SignalEnvelope"), "{other}");
        }
    }

    #[test]
    fn one_value_may_stand_in_an_array() {
        assert_eq!(only_text(&json!({"to": "x"}), "to"), Ok("x"));
        assert_eq!(only_text(&json!({"to": ["x"]}), "to"), Ok("x"));
        for other in [
            json!({}),
            json!({"to": null}),
            json!({"to": []}),
            json!({"to": ["x", "y"]}),
            json!({"to": [["x"]]}),
            json!({"to": 1}),
            json!({"to": {}}),
            json!([]),
            json!("to"),
        ] {
            assert_eq!(only_text(&other, "to").unwrap_err().pointer, "/to", "{other}");
        }
        for other in [json!([null]), json!([[1]]), json!([1, 1]), json!(null), json!([])] {
            assert_eq!(only(&json!({ "to": other }), "to").unwrap_err().pointer, "/to", "{other}");
        }
        for (one, value) in [(json!([false]), json!(false)), (json!([{}]), json!({})), (json!({}), json!({}))]
        {
            assert_eq!(only(&json!({ "to": one }), "to"), Ok(&value), "{one}");
        }
        assert_eq!(text(&json!({"actor": "x"}), "actor"), Ok("x"));
        assert!(text(&json!({"actor": ["x"]}), "actor").is_err());
    }
}
