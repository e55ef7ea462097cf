//! JSON as this protocol reads and writes it: [`parse`] reads strictly, [`shape`] decodes into a
//! type, and [`canonical()`] writes what is hashed and signed.

mod canonical;
mod context;
mod member;
mod object;
mod strict;

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use crate::Invalid;
use crate::invalid::token;

pub use canonical::canonical;
pub(crate) use member::local_name;
pub use member::{has_type, only, only_text, text};
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

/// Decodes a value into `T`.
///
/// # Errors
/// [`Invalid`] for the first member that is missing or has the wrong shape, with its pointer.
pub fn shape<T: DeserializeOwned>(value: &Value) -> Result<T, Invalid> {
    serde_path_to_error::deserialize(value).map_err(|error| {
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

    #[test]
    fn shape_points_at_the_member() {
        let fault = shape::<Outer>(&json!({"a/b": [{"n": 1}, {"n": "x"}]})).unwrap_err();
        assert_eq!(fault.pointer, "/a~1b/1/n");
        let fault = shape::<Outer>(&json!({"a/b": [{"n": 1}, {}]})).unwrap_err();
        assert_eq!(fault, Invalid::at("/a~1b/1/n", "is missing"));
        assert_eq!(shape::<Outer>(&json!(3)).unwrap_err().pointer, "");
    }
}
