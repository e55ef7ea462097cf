use serde_json::Value;

use crate::Invalid;
use crate::invalid::token;

/// Terms on which authenticity hangs: no context may give them another meaning than the standard one.
const FIXED_TERMS: [&str; 5] = ["id", "type", "actor", "object", "to"];

/// Judges the value of an `@context` member. Addresses are let through unread (no context is ever fetched),
/// and so are inline definitions of extension terms, which many servers send; those that rename a keyword,
/// define a term that is read here, or hold a context of their own are refused, since a JSON-LD reader and a
/// plain reader would then see two documents.
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
