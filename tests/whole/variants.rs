//! Copies of a JSON document with one thing changed, for tables of documents that are wrong in one
//! way each.

use serde_json::Value;

/// Returns the document with another value at a JSON pointer, where it must have one already.
pub(crate) fn changed(document: &Value, pointer: &str, value: Value) -> Value {
    let mut copy = document.clone();
    *copy.pointer_mut(pointer).unwrap_or_else(|| panic!("nothing is at {pointer}")) = value;
    copy
}

/// Returns the document with a member of this name at its top, replaced where it has one already.
pub(crate) fn with(document: &Value, name: &str, value: Value) -> Value {
    let mut copy = document.clone();
    copy.as_object_mut().unwrap().insert(name.to_owned(), value);
    copy
}

/// Returns the document without the member of this name in the object at a JSON pointer.
pub(crate) fn without(document: &Value, parent: &str, name: &str) -> Value {
    let mut copy = document.clone();
    copy.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name);
    copy
}
