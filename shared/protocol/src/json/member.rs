//! Readers of single members. JSON-LD writes one thing in several forms, and this file is the one
//! place that decides which of them are read (`docs/protocol.md`, section 1).
//!
//! ```text
//! one value     x | [x] | {"@set": [x]} | {"@list": [x]}
//! a list        [x, y] | x | {"@set": […]} | {"@list": […]}
//! absent        no member | null | []
//! a literal     "t" | {"@value": "t"}, and so a number or a boolean
//! a link        "t" | {"id": "t"} | {"type": "Link", "href": "t"}
//! id, type      id | @id, type | @type
//! a type        "Create" | "as:Create" | "https://www.w3.org/ns/activitystreams#Create"
//! ```
//!
//! Whoever reads a document of another server uses these functions or [`shape`](super::shape), which
//! is made of them, and never looks into a [`Value`] itself.

use serde_json::{Map, Value};

use crate::Invalid;
use crate::invalid::token;
use crate::vocabulary::{ACTIVITY_STREAMS, VOCABULARY};

/// The keywords of JSON-LD that a member may have as its name, with the name that is read here.
const ALIASES: [(&str, &str); 2] = [("@id", "id"), ("@type", "type")];

/// Returns the name of a member as it is read here: `id` for `@id`.
pub(super) fn plain_name(name: &str) -> &str {
    ALIASES.into_iter().find(|(keyword, _)| *keyword == name).map_or(name, |(_, plain)| plain)
}

/// Returns the other spelling of a member's name, if it has one.
pub(super) fn other_spelling(name: &str) -> Option<&'static str> {
    ALIASES.into_iter().find_map(|(keyword, plain)| match name {
        _ if name == keyword => Some(plain),
        _ if name == plain => Some(keyword),
        _ => None,
    })
}

/// Returns a member under either spelling of its name. Null is absent.
pub(super) fn find<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let other = || other_spelling(name).and_then(|name| members.get(name));
    members.get(name).or_else(other).filter(|value| !value.is_null())
}

/// Returns the values of a list, a set or an array. A single value is a list of one.
pub(super) fn items_of(value: &Value) -> &[Value] {
    match value {
        Value::Array(items) => items,
        Value::Object(members) => match members.get("@set").or_else(|| members.get("@list")) {
            Some(Value::Array(items)) => items,
            Some(one) => std::slice::from_ref(one),
            None => std::slice::from_ref(value),
        },
        one => std::slice::from_ref(one),
    }
}

/// Returns the text that a single value stands for: a string, the `@value` of a literal, or the id
/// of a link. An item of a list is read with this.
///
/// ```
/// use eko_protocol::json::text_of;
/// use serde_json::json;
///
/// assert_eq!(text_of(&json!({"type": "Link", "href": "https://a.example/x"})), Some("https://a.example/x"));
/// assert_eq!(text_of(&json!(["https://a.example/x"])), None);
/// ```
pub fn text_of(value: &Value) -> Option<&str> {
    let members = match value {
        Value::String(text) => return Some(text),
        Value::Object(members) => members,
        _ => return None,
    };
    let href = || find(members, "href").filter(|_| has_type(value, "Link"));
    find(members, "id").or_else(|| members.get("@value")).or_else(href)?.as_str()
}

/// True if the member `type` is the name or an array that contains it. The name may be written in
/// the three forms that a JSON-LD context leaves open: `SignalEnvelope`, `eko:SignalEnvelope` (or
/// `as:Create`), and `https://eko.network/ns#SignalEnvelope`.
///
/// ```
/// use eko_protocol::json::has_type;
/// use serde_json::json;
///
/// assert!(has_type(&json!({"type": ["Object", "SignalEnvelope"]}), "SignalEnvelope"));
/// assert!(has_type(&json!({"@type": "eko:SignalEnvelope"}), "SignalEnvelope"));
/// assert!(!has_type(&json!({"type": "Note"}), "SignalEnvelope"));
/// ```
pub fn has_type(value: &Value, name: &str) -> bool {
    list(value, "type").iter().any(|item| item.as_str().is_some_and(|term| local_name(term) == name))
}

/// Returns a term of ActivityStreams or of this protocol without its prefix or vocabulary. Any other
/// text is returned as it is.
fn local_name(term: &str) -> &str {
    let prefixed = || term.strip_prefix("as:").or_else(|| term.strip_prefix("eko:"));
    match term.split_once('#') {
        Some((vocabulary, name)) if vocabulary == ACTIVITY_STREAMS => name,
        _ => term.strip_prefix(VOCABULARY).or_else(prefixed).unwrap_or(term),
    }
}

/// True if a value has a member of this name at any place, after whatever prefix or vocabulary.
pub(crate) fn has_anywhere(value: &Value, name: &str) -> bool {
    let is_it = |other: &String| other.rsplit([':', '#', '/']).next() == Some(name);
    match value {
        Value::Object(members) => {
            members.iter().any(|(other, value)| is_it(other) || has_anywhere(value, name))
        }
        Value::Array(items) => items.iter().any(|item| has_anywhere(item, name)),
        _ => false,
    }
}

/// Returns the values of a member: those of its array, the one value that it holds, or none if it is
/// absent.
///
/// ```
/// use eko_protocol::json::list;
/// use serde_json::json;
///
/// let object = json!({"one": 1, "two": [1, 2], "none": null});
/// assert_eq!([list(&object, "one"), list(&object, "two")], [&[json!(1)][..], &[json!(1), json!(2)]]);
/// assert!(list(&object, "none").is_empty() && list(&object, "other").is_empty());
/// ```
pub fn list<'a>(object: &'a Value, name: &str) -> &'a [Value] {
    required_list(object, name).unwrap_or_default()
}

/// Returns the values of a member that is required. It may be an empty array.
///
/// # Errors
/// [`Invalid`] if the member is missing or null.
pub fn required_list<'a>(object: &'a Value, name: &str) -> Result<&'a [Value], Invalid> {
    let found = object.as_object().and_then(|members| find(members, name)).map(items_of);
    found.ok_or_else(|| Invalid::at(format!("/{}", token(name)), "is missing"))
}

/// Returns the one value of a member, or `None` if the member is absent.
///
/// # Errors
/// [`Invalid`] if the member holds several values.
pub fn optional<'a>(object: &'a Value, name: &str) -> Result<Option<&'a Value>, Invalid> {
    match list(object, name) {
        [] => Ok(None),
        [item] if !item.is_array() && !item.is_null() => Ok(Some(item.get("@value").unwrap_or(item))),
        _ => Err(Invalid::at(format!("/{}", token(name)), "must be one value, or an array of one")),
    }
}

/// Returns the one value of a member that is required.
///
/// # Errors
/// [`Invalid`] if the member is absent or holds several values.
pub fn only<'a>(object: &'a Value, name: &str) -> Result<&'a Value, Invalid> {
    optional(object, name)?.ok_or_else(|| Invalid::at(format!("/{}", token(name)), "is missing"))
}

/// Returns the text of a member, such as `summary`, or `None` if the member is absent.
///
/// # Errors
/// [`Invalid`] if the member holds anything but one text or link.
pub fn optional_text<'a>(object: &'a Value, name: &str) -> Result<Option<&'a str>, Invalid> {
    let wrong = || Invalid::at(format!("/{}", token(name)), "must be a string");
    optional(object, name)?.map(|value| text_of(value).ok_or_else(wrong)).transpose()
}

/// Returns the text of a member that is required, such as `actor`.
///
/// ```
/// use eko_protocol::json::text;
/// use serde_json::json;
///
/// assert_eq!(text(&json!({"to": ["https://a.example/x"]}), "to")?, "https://a.example/x");
/// assert_eq!(text(&json!({"to": ["x", "y"]}), "to").unwrap_err().pointer, "/to");
/// # Ok::<(), eko_protocol::Invalid>(())
/// ```
///
/// # Errors
/// [`Invalid`] if the member is absent, or holds anything but one text or link.
pub fn text<'a>(object: &'a Value, name: &str) -> Result<&'a str, Invalid> {
    optional_text(object, name)?.ok_or_else(|| Invalid::at(format!("/{}", token(name)), "is missing"))
}

#[cfg(test)]
mod tests;
