//! The strict JSON reader.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::JsonError;
use super::context::check_context;
use super::member::other_spelling;
use crate::Invalid;
use crate::invalid::token;
use crate::limits::MAX_JSON_DEPTH;

/// The mark with which some servers begin a text in UTF-8. It is no part of the text (RFC 8259, section
/// 8.1).
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// The members with which JSON-LD restructures a document. A plain reader and a JSON-LD reader
/// would see different documents.
const RESTRUCTURING: [&str; 3] = ["@graph", "@reverse", "@included"];

/// Reads a body as plain JSON (`docs/protocol.md`, section 1). JSON-LD contexts are never fetched.
///
/// ```
/// use eko_protocol::json::{self, JsonError};
///
/// assert_eq!(json::parse(br#"{"type": "Take"}"#)?["type"], "Take");
///
/// let Err(JsonError::Refused(fault)) = json::parse(br#"{"object": {"id": 1, "id": 2}}"#) else { panic!() };
/// assert_eq!(fault.to_string(), "/object/id: appears twice");
/// # Ok::<(), JsonError>(())
/// ```
///
/// # Errors
/// * [`JsonError::NotJson`] if the bytes are not one JSON text (RFC 8259) in UTF-8. Lone surrogates
///   and trailing text are faults too.
/// * [`JsonError::Refused`] if a member appears twice (`id` beside `@id` is twice), if arrays and objects are nested deeper than
///   [`MAX_JSON_DEPTH`], if `@graph`, `@reverse` or `@included` appears anywhere, or if an inline
///   `@context` gives a keyword another name or redefines a term that this protocol reads.
pub fn parse(bytes: &[u8]) -> Result<Value, JsonError> {
    let refusal = RefCell::new(None);
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let root = StrictReader { path: MemberPath::Root, depth: 0, refusal: &refusal };
    let outcome = root.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    match (outcome, refusal.into_inner()) {
        (_, Some(invalid)) => Err(JsonError::Refused(invalid)),
        (Ok(value), None) => Ok(value),
        (Err(error), None) => Err(JsonError::NotJson(error.to_string())),
    }
}

/// The path from the root to the value that is being read. It is a linked list on the stack, so
/// that a pointer text is built only for a refusal.
#[derive(Clone, Copy)]
enum MemberPath<'a> {
    Root,
    Member(&'a MemberPath<'a>, &'a str),
    Item(&'a MemberPath<'a>, usize),
}

impl MemberPath<'_> {
    /// Returns the path as an RFC 6901 pointer.
    fn pointer(&self) -> String {
        match self {
            MemberPath::Root => String::new(),
            MemberPath::Member(parent, name) => format!("{}/{}", parent.pointer(), token(name)),
            MemberPath::Item(parent, index) => format!("{}/{index}", parent.pointer()),
        }
    }
}

/// The visitor that builds a [`Value`]. It stores the first refusal in `refusal`, because a serde
/// error cannot carry a pointer.
#[derive(Clone, Copy)]
struct StrictReader<'a> {
    path: MemberPath<'a>,
    depth: usize,
    refusal: &'a RefCell<Option<Invalid>>,
}

impl<'a> StrictReader<'a> {
    fn refuse<E: Error>(&self, invalid: Invalid) -> E {
        let error = E::custom(&invalid.detail);
        self.refusal.replace(Some(invalid));
        error
    }

    /// Returns the depth inside an array or object that begins here.
    fn descend<E: Error>(&self) -> Result<usize, E> {
        let depth = self.depth.saturating_add(1);
        if depth > MAX_JSON_DEPTH {
            let detail = format!("is nested deeper than {MAX_JSON_DEPTH} levels");
            return Err(self.refuse(Invalid::at(self.path.pointer(), detail)));
        }
        Ok(depth)
    }
}

impl<'de> DeserializeSeed<'de> for StrictReader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for StrictReader<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let depth = self.descend()?;
        let mut values = Vec::new();
        while let Some(value) = items.next_element_seed(StrictReader {
            path: MemberPath::Item(&self.path, values.len()),
            depth,
            refusal: self.refusal,
        })? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let depth = self.descend()?;
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let path = MemberPath::Member(&self.path, &name);
            // A reader that knows one spelling only would see another document.
            let again = other_spelling(&name).is_some_and(|other| object.contains_key(other));
            if again || object.contains_key(&name) {
                return Err(self.refuse(Invalid::at(path.pointer(), "appears twice")));
            }
            if RESTRUCTURING.contains(&name.as_str()) {
                return Err(
                    self.refuse(Invalid::at(path.pointer(), "is not read here: send plain compacted JSON"))
                );
            }
            let value = members.next_value_seed(StrictReader { path, depth, refusal: self.refusal })?;
            if name == "@context" {
                check_context(&value).map_err(|fault| self.refuse(fault.under(path.pointer())))?;
            }
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn refused(text: &str) -> Invalid {
        match parse(text.as_bytes()) {
            Err(JsonError::Refused(invalid)) => invalid,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn plain_json_is_read() {
        let text = r#"{"a":[1,-2,3.5,true,null,"x\u0041"],"b":{}}"#;
        let value = json!({"a": [1, -2, 3.5, true, null, "xA"], "b": {}});
        assert_eq!(parse(text.as_bytes()), Ok(value.clone()));
        assert_eq!(parse(format!("\u{feff}{text}").as_bytes()), Ok(value));
        assert!(parse(format!("\u{feff}\u{feff}{text}").as_bytes()).is_err());
    }

    #[test]
    fn what_is_not_json_is_said_with_its_place() {
        let cases: [&[u8]; 14] = [
            b"",
            b"{",
            b"{\"a\":1,}",
            b"{} {}",
            b"nul",
            b"'a'",
            b"[01]",
            b"[NaN]",
            b"[1e999]",
            b"\xEF\xBB\xBF",
            b"\"\xFF\"",
            br#""\ud800""#,
            b"\"\n\"",
            b"// no\n{}",
        ];
        for text in cases {
            let Err(JsonError::NotJson(said)) = parse(text) else { panic!("{text:?}") };
            assert!(said.contains("line"), "{said}");
        }
    }

    #[test]
    fn duplicate_members_are_refused() {
        assert_eq!(refused(r#"{"a":{"id":1,"id":1}}"#), Invalid::at("/a/id", "appears twice"));
        assert_eq!(refused(r#"[0,{"x/y":1,"x\/y":2}]"#).pointer, "/1/x~1y");
        assert_eq!(refused(r#"{"actor":1,"\u0061ctor":2}"#).pointer, "/actor");
        assert_eq!(refused(r#"{"object":{"id":1,"@id":1}}"#).pointer, "/object/@id");
        assert_eq!(refused(r#"{"@type":1,"type":1}"#).pointer, "/type");
    }

    #[test]
    fn restructuring_is_refused_anywhere() {
        for name in RESTRUCTURING {
            assert_eq!(refused(&format!(r#"{{"{name}":[]}}"#)).pointer, format!("/{name}"));
            assert_eq!(refused(&format!(r#"{{"o":[{{"{name}":{{}}}}]}}"#)).pointer, format!("/o/0/{name}"));
        }
        assert_eq!(refused(r#"{"@context":{"a":{"@reverse":"b"}}}"#).pointer, "/@context/a/@reverse");
    }

    #[test]
    fn depth_has_a_limit() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(parse(nested(MAX_JSON_DEPTH).as_bytes()).is_ok());
        assert_eq!(refused(&nested(MAX_JSON_DEPTH + 1)).pointer, "/0".repeat(MAX_JSON_DEPTH));
        assert!(parse("{\"a\":".repeat(100_000).as_bytes()).is_err());
    }

    #[test]
    fn aliases_are_refused_with_their_place() {
        let fault =
            refused(r#"{"object":{"@context":["https://www.w3.org/ns/activitystreams",{"kind":"@type"}]}}"#);
        assert_eq!(fault.pointer, "/object/@context/1/kind");
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 48, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::btree_map("[a-z/~:]{0,6}", inner, 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn reads_what_serde_json_writes(value in any_json()) {
            prop_assert_eq!(parse(value.to_string().as_bytes()), Ok(value));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn never_laxer_than_serde_json(text in r#"[\[\]{}",:0-9a@ \\u-]{0,40}"#) {
            if let Ok(value) = parse(text.as_bytes()) {
                prop_assert_eq!(serde_json::from_str::<Value>(&text).ok(), Some(value));
            }
        }
    }
}
