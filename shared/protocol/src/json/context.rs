//! The check of `@context` members. A JSON-LD reader applies the context, this crate does not; the
//! check refuses a context with which the two would read different documents.

use serde_json::Value;

use crate::Invalid;
use crate::invalid::token;

/// The terms that authenticity depends on. No context may define them.
const FIXED_TERMS: [&str; 5] = ["id", "type", "actor", "object", "to"];

/// Checks the value of an `@context` member.
///
/// Addresses of contexts are accepted and never fetched. Inline definitions of extension terms are
/// accepted as well, because many servers send them.
///
/// # Errors
/// [`Invalid`] for a definition that gives a keyword another name, that defines one of
/// [`FIXED_TERMS`], or that holds a context of its own, and for a context that is not an address,
/// an object or an array of these.
pub(super) fn check_context(context: &Value) -> Result<(), Invalid> {
    match context {
        Value::Array(entries) => entries.iter().enumerate().try_for_each(|(index, entry)| {
            check_entry(entry).map_err(|fault| fault.under(format!("/{index}")))
        }),
        entry => check_entry(entry),
    }
}

fn check_entry(entry: &Value) -> Result<(), Invalid> {
    match entry {
        Value::String(_) | Value::Null => Ok(()),
        Value::Object(terms) => terms.iter().try_for_each(|(term, definition)| {
            check_term(term, definition).map_err(|fault| fault.under(format!("/{}", token(term))))
        }),
        _ => Err(Invalid::whole("must be an address, an object, or an array of them")),
    }
}

fn check_term(term: &str, definition: &Value) -> Result<(), Invalid> {
    if FIXED_TERMS.contains(&term) {
        return Err(Invalid::whole("is a term that a context may not define again"));
    }
    match definition {
        Value::String(meaning) if meaning.starts_with('@') => {
            Err(Invalid::whole("gives a keyword another name"))
        }
        Value::Object(members) if members.contains_key("@context") => {
            Err(Invalid::at("/@context", "is a context inside a term's definition, which is not read here"))
        }
        Value::Object(members) => match members.get("@id") {
            Some(Value::String(meaning)) if meaning.starts_with('@') => {
                Err(Invalid::at("/@id", "gives a keyword another name"))
            }
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_other_servers_send_is_let_through() {
        for context in [
            json!("https://www.w3.org/ns/activitystreams"),
            json!(null),
            json!(["https://www.w3.org/ns/activitystreams", "https://w3id.org/security/v1", {
                "@language": "und", "toot": "http://joinmastodon.org/ns#", "sensitive": "as:sensitive",
                "featured": {"@id": "toot:featured", "@type": "@id"},
                "orderedThings": {"@id": "ex:things", "@type": "@id", "@container": "@list"},
            }]),
        ] {
            assert_eq!(check_context(&context), Ok(()), "{context}");
        }
    }

    #[test]
    fn aliases_are_refused() {
        for (context, pointer) in [
            (json!({"kind": "@type"}), "/kind"),
            (json!({"kind": {"@id": "@type"}}), "/kind/@id"),
            (json!(["https://a.example", {"everything": "@graph"}]), "/1/everything"),
            (json!({"actor": "https://evil.example/ns#object"}), "/actor"),
            (json!({"object": {"@id": "as:actor"}}), "/object"),
            (json!({"x": {"@id": "ex:x", "@context": {"y": "@id"}}}), "/x/@context"),
            (json!([["https://a.example"]]), "/0"),
            (json!(3), ""),
        ] {
            assert_eq!(check_context(&context).unwrap_err().pointer, pointer, "{context}");
        }
    }
}
