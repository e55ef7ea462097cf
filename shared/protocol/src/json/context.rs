//! The check of `@context` members. A JSON-LD reader applies the context, this crate does not; the
//! check refuses a context with which the two would read different documents.

use serde_json::Value;

use crate::Invalid;
use crate::invalid::token;
use crate::vocabulary::{ACTIVITY_STREAMS, VOCABULARY};

/// The terms that authenticity depends on. No context may define them.
const FIXED_TERMS: [&str; 5] = ["id", "type", "actor", "object", "to"];

/// The other terms of ActivityStreams that are read in documents of other servers.
const STANDARD_TERMS: [&str; 12] = [
    "Create",
    "Delete",
    "Object",
    "Reject",
    "Update",
    "content",
    "endpoints",
    "inbox",
    "items",
    "orderedItems",
    "published",
    "summary",
];

/// The vocabulary of which ActivityStreams takes `inbox`.
const LDP: &str = "http://www.w3.org/ns/ldp#";

/// The terms of this protocol that are read in documents of other servers. `expires` and
/// `identityKey` are not here, because Lemmy and Mastodon give these names to members of their own.
const EKO_TERMS: [&str; 24] = [
    "AddDevice",
    "Confirm",
    "Delivered",
    "KeyPackage",
    "PartialDelivery",
    "ResetDevices",
    "RevokeDevice",
    "SignalEnvelope",
    "Take",
    "device",
    "from",
    "keyPackage",
    "kyberPreKey",
    "kyberPreKeyId",
    "kyberPreKeySignature",
    "messages",
    "missingKeyPackages",
    "notify",
    "preKey",
    "preKeyId",
    "signedPreKey",
    "signedPreKeyId",
    "signedPreKeySignature",
    "staleDevices",
];

/// Checks the value of an `@context` member.
///
/// Addresses of contexts are accepted and never fetched. Inline definitions of extension terms are
/// accepted as well, because many servers send them.
///
/// # Errors
/// [`Invalid`] for a definition that gives a keyword another name, that defines one of
/// [`FIXED_TERMS`], that gives one of [`STANDARD_TERMS`] or [`EKO_TERMS`] or a prefix of theirs
/// another meaning, or that holds a context of its own, and for a context that is not an address,
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
    // ActivityStreams itself defines these so.
    if matches!((term, definition.as_str()), ("id", Some("@id")) | ("type", Some("@type"))) {
        return Ok(());
    }
    if FIXED_TERMS.contains(&term) {
        return Err(Invalid::whole("is a term that a context may not define again"));
    }
    check_meaning(term, definition)?;
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

/// Checks that a term which is read here, or a prefix of such terms, keeps its meaning. A definition
/// without an IRI of its own takes that of the vocabulary.
fn check_meaning(term: &str, definition: &Value) -> Result<(), Invalid> {
    let name = term.strip_prefix("eko:").unwrap_or(term);
    let meaning = match definition {
        Value::Object(members) => match members.get("@id") {
            None => return Ok(()),
            Some(meaning) => meaning.as_str(),
        },
        definition => definition.as_str(),
    };
    let keeps = |prefix: &str, vocabulary: &str| {
        let meaning = meaning.unwrap_or_default();
        [prefix, vocabulary].iter().any(|before| meaning.strip_prefix(before) == Some(name))
    };
    let is_kept = match term {
        "as" => meaning.and_then(|meaning| meaning.strip_suffix('#')) == Some(ACTIVITY_STREAMS),
        "eko" => meaning == Some(VOCABULARY),
        "inbox" => keeps("ldp:", LDP),
        term if STANDARD_TERMS.contains(&term) => keeps("as:", &format!("{ACTIVITY_STREAMS}#")),
        _ if term != name || EKO_TERMS.contains(&term) => keeps("eko:", VOCABULARY),
        _ => true,
    };
    if is_kept { Ok(()) } else { Err(Invalid::whole("gives a term that is read here another meaning")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary;
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
            json!({"as": "https://www.w3.org/ns/activitystreams#", "expires": "as:endTime",
                "identityKey": {"@type": "@id", "@id": "toot:identityKey"}, "content": "as:content",
                "SignalEnvelope": "https://eko.network/ns#SignalEnvelope",
                "eko:deviceSet": {"@id": "eko:deviceSet"}, "messages": {"@id": "eko:messages"}}),
            json!({"id": "@id", "type": "@type", "ldp": "http://www.w3.org/ns/ldp#",
                "inbox": {"@id": "ldp:inbox", "@type": "@id"}}),
            vocabulary::context(),
            vocabulary::node_context(),
            vocabulary::actor_context(),
            vocabulary::content_context(),
        ] {
            assert_eq!(check_context(&context), Ok(()), "{context}");
        }
    }

    #[test]
    fn aliases_are_refused() {
        for (context, pointer) in [
            (json!({"kind": "@type"}), "/kind"),
            (json!({"id": "@type"}), "/id"),
            (json!({"inbox": "as:inbox"}), "/inbox"),
            (json!({"kind": {"@id": "@type"}}), "/kind/@id"),
            (json!(["https://a.example", {"everything": "@graph"}]), "/1/everything"),
            (json!({"actor": "https://evil.example/ns#object"}), "/actor"),
            (json!({"object": {"@id": "as:actor"}}), "/object"),
            (json!({"x": {"@id": "ex:x", "@context": {"y": "@id"}}}), "/x/@context"),
            (json!({"eko": "https://evil.example/ns#"}), "/eko"),
            (json!({"as": "https://eko.network/ns#"}), "/as"),
            (json!({"as": null}), "/as"),
            (json!({"messages": "https://evil.example/ns#messages"}), "/messages"),
            (json!({"messages": {"@id": "eko:from"}}), "/messages"),
            (json!({"messages": null}), "/messages"),
            (json!({"messages": {"@id": null}}), "/messages"),
            (json!({"content": "eko:content"}), "/content"),
            (json!({"Delivered": "as:Delete"}), "/Delivered"),
            (json!({"eko:deviceSet": "https://evil.example/ns#deviceSet"}), "/eko:deviceSet"),
            (json!([["https://a.example"]]), "/0"),
            (json!(3), ""),
        ] {
            assert_eq!(check_context(&context).unwrap_err().pointer, pointer, "{context}");
        }
    }
}
