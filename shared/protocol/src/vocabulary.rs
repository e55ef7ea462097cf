//! The vocabulary of this protocol and the JSON-LD contexts of its documents (`docs/protocol.md`,
//! section 1).
//!
//! Every context is inline and the same on every server. Nobody has to fetch one, except those of
//! ActivityStreams and of the security vocabulary, which readers of linked data have.
//!
//! | Context | Documents |
//! |---|---|
//! | [`context`] | activities, collections, key packages |
//! | [`node_context`] | nodes of a device chain |
//! | [`appended_context`] | the answer to a node that was appended |
//! | [`actor_context`] | actors |
//! | [`content_context`] | activities that clients encrypt |
//!
//! `@vocab` gives a meaning to all types and members of this protocol. Four kinds of members have a
//! definition of their own: links (`@type`), members whose value is always an array (`@container`),
//! JSON that is kept as it is since something signed it (`@json`), and members with the prefix `eko:`,
//! which would lose it when a document is compacted. No term of
//! ActivityStreams or of the security vocabulary is defined again.

use serde_json::{Value, json};

/// The vocabulary of this protocol. It is a name: nothing is served there.
pub const VOCABULARY: &str = "https://eko.network/ns#";

/// The address of the context of ActivityStreams. Followed by `#` it is its vocabulary.
pub const ACTIVITY_STREAMS: &str = "https://www.w3.org/ns/activitystreams";

/// The IRI of everyone, to whom an activity is addressed.
pub const PUBLIC: &str = "https://www.w3.org/ns/activitystreams#Public";

/// The address of the context that defines `publicKey` and its members.
const SECURITY: &str = "https://w3id.org/security/v1";

/// The address of the context that defines `proof` and its members.
const DATA_INTEGRITY: &str = "https://w3id.org/security/data-integrity/v1";

/// The IRI of an actor's `webfinger`, which FEP-2c59 defines.
const WEBFINGER: &str = "https://purl.archive.org/socialweb/webfinger#webfinger";

/// Returns the `@context` of activities, collections and key packages. What is inside of another
/// document has none of its own.
pub fn context() -> Value {
    json!([ACTIVITY_STREAMS, terms()])
}

/// Adds [`context`] to an activity that is sent or answered.
pub fn in_context(mut activity: Value) -> Value {
    if let Some(members) = activity.as_object_mut() {
        members.insert("@context".to_owned(), context());
    }
    activity
}

/// Adds [`context`] to the text of an activity. An activity waits without a context, so that the
/// constant is not stored.
pub fn text_in_context(activity: &str) -> String {
    let members = activity.strip_prefix('{').unwrap_or(activity);
    format!("{{\"@context\":{},{members}", context())
}

/// Returns the `@context` of a node of a device chain. A node is signed with it and listed with it,
/// so it defines no more than a node needs.
pub fn node_context() -> Value {
    let terms = json!({ "@vocab": VOCABULARY, "device": link(), "keyPackage": link() });
    json!([ACTIVITY_STREAMS, DATA_INTEGRITY, terms])
}

/// Returns the `@context` of the answer to a node, which is the node with `eko:deviceSet`.
pub fn appended_context() -> Value {
    json!([ACTIVITY_STREAMS, DATA_INTEGRITY, terms()])
}

/// Returns the `@context` of an actor.
pub fn actor_context() -> Value {
    let moved_to = json!({ "@id": format!("{ACTIVITY_STREAMS}#movedTo"), "@type": "@id" });
    json!([ACTIVITY_STREAMS, SECURITY, terms(), { "webfinger": WEBFINGER, "movedTo": moved_to }])
}

/// Returns the `@context` of an activity that clients encrypt. It defines no member: that would make
/// activities longer, and lengths tell a server what they are. Nobody but clients reads them, as
/// plain JSON.
pub fn content_context() -> Value {
    json!([ACTIVITY_STREAMS, { "@vocab": VOCABULARY, "eko": VOCABULARY }])
}

/// Returns the definitions for [`context`].
fn terms() -> Value {
    json!({
        "@vocab": VOCABULARY,
        "eko": VOCABULARY,
        "device": link(),
        "eko:delivery": {},
        "eko:deviceSet": {},
        "eko:deviceSetOutOfDate": {},
        "eko:devices": link(),
        "eko:entry": link(),
        "eko:evidence": literal(),
        "eko:franking": literal(),
        "eko:fullDevices": links(),
        "eko:keyPackages": link(),
        "eko:kyberPreKeyCount": {},
        "eko:preKeyCount": {},
        "eko:received": {},
        "eko:replacesAll": {},
        "eko:request": {},
        "eko:signature": {},
        "from": link(),
        "keyPackage": link(),
        "kyberPreKeys": list(),
        "messages": list(),
        "missingKeyPackages": links(),
        "node": literal(),
        "oidcIssuer": link(),
        "preKeys": list(),
        "staleDevices": links(),
    })
}

/// Returns the definition of a member whose value is a link.
fn link() -> Value {
    json!({ "@type": "@id" })
}

/// Returns the definition of a member whose value is an array of links.
fn links() -> Value {
    json!({ "@container": "@set", "@type": "@id" })
}

/// Returns the definition of a member whose value is an array of other things.
fn list() -> Value {
    json!({ "@container": "@set" })
}

/// Returns the definition of a member whose value is JSON that is kept as it is (JSON-LD 1.1, section 4.2.2): the
/// members of a commitment are no properties of anything, and a node has a context of its own.
fn literal() -> Value {
    json!({ "@type": "@json" })
}
