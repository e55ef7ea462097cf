//! Readings of members that JSON-LD lets be one value or an array of it.

use serde_json::Value;

use crate::Invalid;
use crate::invalid::token;

/// Whether `type` is, or holds, the name: `"SignalEnvelope"` or `["Object","SignalEnvelope"]`.
pub fn has_type(value: &Value, name: &str) -> bool {
    match value.get("type") {
        Some(Value::String(single)) => single == name,
        Some(Value::Array(types)) => types.iter().any(|item| item == name),
        _ => false,
    }
}

/// A member that must be there, be it the value itself or an array of exactly one.
///
/// # Errors
/// The member is missing, null, or an array of none or several.
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

/// A member that must be one text, be it the string itself or an array of exactly one (as `to`).
///
/// # Errors
/// The member is missing or anything else.
pub fn only_text<'a>(object: &'a Value, name: &str) -> Result<&'a str, Invalid> {
    only(object, name)?.as_str().ok_or_else(|| {
        Invalid::at(format!("/{}", token(name)), "must be a string, or an array of one string")
    })
}

/// A member that must be a string, and nothing but a string (as `actor`).
///
/// # Errors
/// The member is missing or anything else.
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
        assert_eq!(text(&json!({"actor": "x"}), "actor"), Ok("x"));
        assert!(text(&json!({"actor": ["x"]}), "actor").is_err());
    }
}
