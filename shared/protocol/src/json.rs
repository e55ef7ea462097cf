//! JSON as this protocol reads and writes it: [`parse`] reads strictly, [`shape`] and [`text`] and
//! its siblings read a member in any form that JSON-LD gives it, [`exact`] reads what is hashed or
//! signed as it stands, and [`canonical()`] writes that.

mod canonical;
mod context;
mod lenient;
mod member;
mod object;
mod strict;

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use crate::Invalid;
use crate::invalid::token;

pub use canonical::canonical;
pub(crate) use member::has_anywhere;
pub use member::{has_type, list, only, optional, optional_text, required_list, text, text_of};
pub(crate) use object::only_as_object;
pub use strict::parse;

/// The reason why a body is refused before it is decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// The body is not JSON (HTTP 400). The text names the fault with its line and column.
    #[error("not JSON: {0}")]
    NotJson(String),
    /// The body is JSON that this protocol refuses (HTTP 422): duplicate members, too deep, or
    /// restructured as JSON-LD.
    #[error(transparent)]
    Refused(#[from] Invalid),
}

/// Decodes a value into `T`. Each member is read in any of its forms (`docs/protocol.md`, section
/// 1): a single value in an array of one, an array of one as a single value, null as absent.
///
/// ```
/// use eko_protocol::json::shape;
/// use serde_json::json;
///
/// #[derive(serde::Deserialize)]
/// struct Parcel { id: String, items: Vec<u8>, note: Option<String> }
///
/// let parcel: Parcel = shape(&json!({"@id": ["p"], "items": 7, "note": null}))?;
/// assert_eq!((parcel.id.as_str(), parcel.items, parcel.note), ("p", vec![7], None));
/// # Ok::<(), eko_protocol::Invalid>(())
/// ```
///
/// # Errors
/// [`Invalid`] for the first member that is missing or has the wrong shape, with its pointer.
pub fn shape<'de, T: Deserialize<'de>>(value: &'de Value) -> Result<T, Invalid> {
    decode(lenient::Lenient::new(value))
}

/// Decodes a value into `T` as it stands. It is for what is hashed or signed byte by byte: another
/// form of a member would be another document.
///
/// # Errors
/// [`Invalid`] for the first member that is missing or has the wrong shape, with its pointer.
pub fn exact<'de, T: Deserialize<'de>>(value: &'de Value) -> Result<T, Invalid> {
    decode(value)
}

fn decode<'de, T: Deserialize<'de>>(
    from: impl Deserializer<'de, Error = serde_json::Error>,
) -> Result<T, Invalid> {
    serde_path_to_error::deserialize(from).map_err(|error| {
        let pointer = pointer(error.path());
        let detail = error.into_inner().to_string();
        match detail.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
            Some(name) => Invalid::at(format!("{pointer}/{}", token(name)), "is missing"),
            None => Invalid::at(pointer, detail),
        }
    })
}

/// Writes a path of `serde_path_to_error` as an RFC 6901 pointer.
fn pointer(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => pointer.push_str(&format!("/{}", token(key))),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;

    #[derive(Debug, Deserialize)]
    struct Outer {
        #[serde(rename = "a/b")]
        #[expect(dead_code, reason = "only the shape matters")]
        inner: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    struct Inner {
        #[expect(dead_code, reason = "only the shape matters")]
        n: u8,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Forms {
        id: String,
        numbers: Vec<u8>,
        flag: Option<bool>,
        whole: Option<Value>,
    }

    #[test]
    fn shape_points_at_the_member() {
        let fault = shape::<Outer>(&json!({"a/b": [{"n": 1}, {"n": "x"}]})).unwrap_err();
        assert_eq!(fault.pointer, "/a~1b/1/n");
        let fault = shape::<Outer>(&json!({"a/b": [{"n": 1}, {}]})).unwrap_err();
        assert_eq!(fault, Invalid::at("/a~1b/1/n", "is missing"));
        assert_eq!(shape::<Outer>(&json!(3)).unwrap_err().pointer, "");
    }

    #[test]
    fn shape_reads_every_form_and_exact_reads_one() {
        let plain = json!({"id": "x", "numbers": [1], "flag": true, "whole": {"@id": [null]}});
        let expected =
            Forms { id: "x".into(), numbers: vec![1], flag: Some(true), whole: Some(plain["whole"].clone()) };
        assert_eq!(shape::<Forms>(&plain).as_ref(), Ok(&expected));
        assert_eq!(exact::<Forms>(&plain).as_ref(), Ok(&expected));
        for (name, forms) in [
            ("id", [json!(["x"]), json!({"@id": "x"}), json!({"type": "Link", "href": "x"})]),
            ("numbers", [json!(1), json!({"@list": [1]}), json!({"@value": 1})]),
            ("flag", [json!([true]), json!({"@value": true}), json!({"@set": [true]})]),
        ] {
            for form in forms {
                let mut other = plain.clone();
                other[name] = form;
                assert_eq!(shape::<Forms>(&other).as_ref(), Ok(&expected), "{other}");
                assert!(exact::<Forms>(&other).is_err(), "{other}");
            }
        }
        let alias = json!([{"@id": "x", "numbers": [1], "flag": [true], "whole": {"@id": [null]}}]);
        assert_eq!(shape::<Forms>(&alias).as_ref(), Ok(&expected));
        for absent in [json!(null), json!([])] {
            let bare = json!({"id": "x", "numbers": [], "flag": absent});
            assert_eq!(shape::<Forms>(&bare).unwrap().flag, None, "{bare}");
        }
        for (name, other) in [
            ("id", json!(["x", "y"])),
            ("id", json!([["x"]])),
            ("id", json!(7)),
            ("id", json!(null)),
            ("numbers", json!("1")),
            ("numbers", json!([[1]])),
            ("numbers", json!([null])),
            ("flag", json!("true")),
            ("flag", json!([true, true])),
        ] {
            let mut wrong = plain.clone();
            wrong[name] = other;
            let fault = shape::<Forms>(&wrong).unwrap_err();
            assert!(fault.pointer.starts_with(&format!("/{name}")), "{wrong}: {fault}");
        }
    }
}
