//! Readers for one member of a JSON object.

use eko_protocol::Invalid;
use eko_protocol::address::Origin;
use eko_protocol::json::{optional, required_list, text, text_of};
use eko_protocol::limits::MAX_SAFE_INTEGER;
use serde_json::Value;

/// Reads a member that must be a string, by `parse`.
pub(crate) fn parsed<T>(
    object: &Value,
    name: &str,
    parse: impl FnOnce(&str) -> Result<T, Invalid>,
) -> Result<T, Invalid> {
    parse(text(object, name)?).map_err(|fault| fault.under(format!("/{name}")))
}

/// Reads a member that must be a whole number from `least` to 2^53 - 1. Returns `None` if it is
/// absent.
pub(crate) fn number(object: &Value, name: &str, least: u64) -> Result<Option<u64>, Invalid> {
    let Some(member) = optional(object, name)? else { return Ok(None) };
    match member.as_u64() {
        Some(number) if (least..=MAX_SAFE_INTEGER).contains(&number) => Ok(Some(number)),
        _ => Err(Invalid::at(format!("/{name}"), format!("must be a whole number from {least} to 2^53 - 1"))),
    }
}

/// Reads a member that must be a whole number from `least` to 2^53 - 1, and may not be absent.
pub(crate) fn required(object: &Value, name: &str, least: u64) -> Result<u64, Invalid> {
    number(object, name, least)?.ok_or_else(|| Invalid::at(format!("/{name}"), "is missing"))
}

/// Reads a member that must be an array of strings, or one string.
pub(crate) fn texts<'a>(object: &'a Value, name: &str) -> Result<Vec<&'a str>, Invalid> {
    let items = required_list(object, name)?.iter().map(text_of).collect::<Option<Vec<_>>>();
    items.ok_or_else(|| Invalid::at(format!("/{name}"), "must be an array of strings"))
}

/// Checks an actor id of any server.
pub(crate) fn actor(text: &str) -> Result<String, Invalid> {
    let path = Origin::of(text).and_then(|origin| text.strip_prefix(origin.as_str()).map(str::len));
    match path {
        Some(2..) => Ok(text.to_owned()),
        _ => Err(Invalid::whole("must be an actor id: an https URL with a path")),
    }
}

/// Checks the address of a device of any server.
pub(crate) fn device(text: &str) -> Result<String, Invalid> {
    let fits = Origin::of(text).is_some_and(|origin| origin.parse_device(text).is_some());
    if fits { Ok(text.to_owned()) } else { Err(Invalid::whole("must be the address of a device")) }
}
