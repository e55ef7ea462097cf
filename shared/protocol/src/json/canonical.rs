//! Canonical JSON (RFC 8785).

use serde_json::{Number, Value};

use crate::Invalid;
use crate::invalid::token;
use crate::limits::MAX_SAFE_INTEGER;

/// Writes a value as canonical JSON (RFC 8785), the bytes that are hashed and signed
/// (`docs/protocol.md`, section 1).
///
/// ```text
/// no white space; members sorted by UTF-16 code units; strings with the shortest escapes;
/// numbers as ECMAScript writes them
/// ```
///
/// The parameter is a [`Value`] and not any serialisable type: a value cannot hold NaN or an
/// infinity, which a serialiser would turn into `null` without an error.
///
/// ```
/// use eko_protocol::json::canonical;
/// use serde_json::json;
///
/// assert_eq!(canonical(&json!({"b": 1.0, "a": [true, "ä"]}))?, r#"{"a":[true,"ä"],"b":1}"#.as_bytes());
///
/// let fault = canonical(&json!({"seq": 9_007_199_254_740_992_u64})).unwrap_err();
/// assert_eq!(fault.pointer, "/seq");
/// # Ok::<(), eko_protocol::Invalid>(())
/// ```
///
/// # Errors
/// [`Invalid`] for a number beyond ±(2^53 - 1), which two readers may not read alike (RFC 7493,
/// section 2.2).
pub fn canonical(value: &Value) -> Result<Vec<u8>, Invalid> {
    check_numbers(value)?;
    serde_json_canonicalizer::to_vec(value)
        .map_err(|error| Invalid::whole(format!("cannot be canonical: {error}")))
}

/// Refuses numbers beyond ±(2^53 - 1).
fn check_numbers(value: &Value) -> Result<(), Invalid> {
    match value {
        Value::Number(number) if !is_safe(number) => Err(Invalid::whole("is a number beyond 2^53 - 1")),
        Value::Array(items) => items.iter().enumerate().try_for_each(|(index, item)| {
            check_numbers(item).map_err(|fault| fault.under(format!("/{index}")))
        }),
        Value::Object(members) => members.iter().try_for_each(|(name, member)| {
            check_numbers(member).map_err(|fault| fault.under(format!("/{}", token(name))))
        }),
        _ => Ok(()),
    }
}

fn is_safe(number: &Number) -> bool {
    if let Some(n) = number.as_u64() {
        n <= MAX_SAFE_INTEGER
    } else if let Some(n) = number.as_i64() {
        n.unsigned_abs() <= MAX_SAFE_INTEGER
    } else {
        number.as_f64().is_some_and(|n| n.is_finite() && n.abs() <= MAX_SAFE_INTEGER as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn members_are_sorted_as_utf_16_and_numbers_written_as_ecmascript() {
        let value = json!({"\u{20ac}": 1, "\r": 2, "\u{fb33}": 3, "1": 4.50, "\u{1f600}": 1e2,
        "a": "\u{7f}\u{1}\"/"});
        assert_eq!(
            String::from_utf8(canonical(&value).unwrap()).unwrap(),
            "{\"\\r\":2,\"1\":4.5,\"a\":\"\u{7f}\\u0001\\\"/\",\"\u{20ac}\":1,\"\u{1f600}\":100,\"\u{fb33}\":3}"
        );
    }

    #[test]
    fn unsafe_numbers_are_refused_where_they_stand() {
        assert!(canonical(&json!([MAX_SAFE_INTEGER, -9_007_199_254_740_991_i64, 0.5])).is_ok());
        for (value, pointer) in [
            (json!({"a": [1, 9_007_199_254_740_992_u64]}), "/a/1"),
            (json!({"a": -9_007_199_254_740_992_i64}), "/a"),
            (json!(1e300), ""),
            (json!([u64::MAX]), "/0"),
        ] {
            assert_eq!(canonical(&value).unwrap_err().pointer, pointer, "{value}");
        }
    }

    proptest! {
        #[test]
        fn canonical_is_the_same_document(
            members in proptest::collection::btree_map(".{0,6}", ".{0,12}", 0..8),
            n in -1_000_000_i64..1_000_000,
        ) {
            let value = json!({"members": members, "n": n});
            let bytes = canonical(&value).unwrap();
            let read: Value = serde_json::from_slice(&bytes).unwrap();
            prop_assert_eq!(&read, &value);
            prop_assert_eq!(canonical(&read).unwrap(), bytes);
        }
    }
}
