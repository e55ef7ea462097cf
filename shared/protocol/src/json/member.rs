//! Readers of single members. JSON-LD lets a member be one value or an array that holds it.

use serde_json::Value;

use crate::Invalid;
use crate::invalid::token;

/// True if the member `type` is the name or an array that contains it.
///
/// ```
/// use eko_protocol::json::has_type;
/// use serde_json::json;
///
/// assert!(has_type(&json!({"type": ["Object", "SignalEnvelope"]}), "SignalEnvelope"));
/// assert!(!has_type(&json!({"type": "Note"}), "SignalEnvelope"));
/// ```
pub fn has_type(value: &Value, name: &str) -> bool {
    match value.get("type") {
        Some(Value::String(single)) => single == name,
        Some(Value::Array(types)) => types.iter().any(|item| item == name),
        _ => false,
    }
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
        for other in [
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
