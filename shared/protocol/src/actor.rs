//! Actors on other servers, as far as this protocol reads them: addresses and public keys
//! (ActivityPub, section 4.1; `docs/protocol.md`, section 7).
//!
//! ```text
//! {"type": "Person" | "Service" | "Application" | "Organization" | "Group",
//!  "id": <URL>, "inbox": <URL>, "eko:keyPackages": <URL>, optional, "webfinger": <handle>, optional,
//!  "publicKey": {"id": <URL#fragment>, "owner": <the actor's id>, "publicKeyPem": <PEM>}, the URL of
//!               such a document, or an array of either}
//! ```

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::Invalid;
use crate::address::{Handle, Origin, check_url};
use crate::json::{has_type, list, optional_text, text, text_of};
use crate::profile::claimed_handle;

/// The types of an actor (ActivityStreams 2.0 Vocabulary, section 3.2).
const TYPES: [&str; 5] = ["Person", "Service", "Application", "Organization", "Group"];
/// The maximum number of keys that are read of one actor.
const MAX_KEYS: usize = 8;
/// The maximum length of a key in PEM, in bytes. A key of 8,192 bits has about 1,400.
const MAX_PEM_BYTES: usize = 2 * 1024;
/// The maximum length of all keys of one actor with their ids, in bytes.
const MAX_KEYS_BYTES: usize = 12 * 1024;

/// An actor on another server. Every address is on the actor's own origin (FEP-fe34), so that an
/// actor cannot direct this server's requests to somebody else's server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteActor {
    /// The actor's id.
    pub id: String,
    /// The address to which activities for the actor are posted.
    pub inbox: String,
    /// The address of the actor's collection of key packages, or `None` for an actor without Eko
    /// devices.
    pub key_packages: Option<String>,
    /// The handle that the actor claims as `webfinger` (FEP-2c59), on any domain. It counts once the
    /// handle's domain names the actor.
    pub handle: Option<Handle>,
    /// The actor's public keys by their ids, in PEM. The PEM is not parsed here.
    pub keys: BTreeMap<String, String>,
    /// The addresses of further keys, which the document links instead of holding them: on the
    /// actor's origin, in the document's order. A key that was fetched, or is not there, is no longer
    /// among them.
    pub key_links: Vec<String>,
}

impl RemoteActor {
    /// Reads an actor document. `url` is the URL that the document came from, after redirects.
    ///
    /// A key is left out if it names another owner, is on another origin, or is too long, alone or
    /// with the keys before it; so is the link to one. What is read of a document has at most 14 KB.
    ///
    /// ```
    /// use eko_protocol::actor::RemoteActor;
    /// use serde_json::json;
    ///
    /// let bob = "https://b.example/user/bob";
    /// let document = json!({"type": "Person", "id": bob, "inbox": "https://b.example/user/bob/inbox"});
    /// assert_eq!(RemoteActor::parse(&document, bob)?.inbox, "https://b.example/user/bob/inbox");
    ///
    /// let elsewhere = RemoteActor::parse(&document, "https://c.example/user/bob");
    /// assert_eq!(elsewhere.unwrap_err().pointer, "/id");
    /// # Ok::<(), eko_protocol::Invalid>(())
    /// ```
    ///
    /// # Errors
    /// [`Invalid`] if the type is not an actor's, if `id` is on another origin than `url`, if
    /// `inbox` or `eko:keyPackages` is on another origin than `id`, or if one of them is not in its
    /// normal form.
    pub fn parse(value: &Value, url: &str) -> Result<Self, Invalid> {
        if !TYPES.iter().any(|kind| has_type(value, kind)) {
            return Err(Invalid::at("/type", "is no type of an actor"));
        }
        let id = text(value, "id")?;
        let origin = Origin::of(id).ok_or_else(|| Invalid::at("/id", "is no address on a server"))?;
        if Origin::of_opaque(url).as_ref() != Some(&origin) {
            return Err(Invalid::at("/id", "is on another server than it was fetched from"));
        }
        let own = |name: &str, address: &str| {
            check_url(address).map_err(|fault| fault.under(format!("/{name}")))?;
            if origin.owns(address) {
                Ok(address.to_owned())
            } else {
                Err(Invalid::at(format!("/{name}"), "is on another server than the actor"))
            }
        };
        let key_packages = optional_text(value, "eko:keyPackages")?;
        let key_packages = key_packages.map(|address| own("eko:keyPackages", address)).transpose()?;
        let keys = keys(value, id, &origin, MAX_KEYS_BYTES);
        let mut left = left(&keys);
        let links = list(value, "publicKey").iter().take(MAX_KEYS).filter_map(text_of);
        let links = links.filter(|link| is_key_link(link, id, &origin) && takes(&mut left, link.len()));
        let key_links = links.map(str::to_owned).collect();
        let inbox = own("inbox", text(value, "inbox")?)?;
        let handle = claimed_handle(value);
        Ok(Self { id: id.to_owned(), inbox, key_packages, handle, keys, key_links })
    }

    /// Returns the link to fetch so that the actor has the key `wanted`. If no key is wanted, it is the
    /// first link of an actor who has no key yet. [`add_linked_key`](Self::add_linked_key) reads the
    /// document behind it.
    pub fn key_link(&self, wanted: Option<&str>) -> Option<&str> {
        let mut links = self.key_links.iter().map(String::as_str);
        match wanted {
            Some(key) => links.find(|link| *link == key),
            None => links.next().filter(|_| self.keys.is_empty()),
        }
    }

    /// Adds the key `link` out of the document that it names. The document is the key, or holds it
    /// as `publicKey`. It adds nothing if it came from another origin, has another id, names another
    /// owner, or is too long beside the keys that the actor has. `url` is the URL that the document
    /// came from, after redirects.
    pub fn add_linked_key(&mut self, link: &str, document: &Value, url: &str) {
        let Some(origin) = self.origin().filter(|origin| Origin::of_opaque(url).as_ref() == Some(origin))
        else {
            return;
        };
        let most = left(&self.keys);
        let mut found = keys(&json!({ "publicKey": document }), &self.id, &origin, most);
        found.extend(keys(document, &self.id, &origin, most));
        found.retain(|id, _| id == link);
        self.keys.extend(found);
    }

    /// Returns the origin of the actor's server.
    pub fn origin(&self) -> Option<Origin> {
        Origin::of(&self.id)
    }
}

/// True if a text is the address of a key's document of an actor: on the actor's origin, and not the
/// actor's own document.
fn is_key_link(link: &str, actor: &str, origin: &Origin) -> bool {
    let document = link.split('#').next().unwrap_or_default();
    let fits = link.len() <= crate::limits::MAX_ID_BYTES && check_url(document).is_ok();
    document != actor && fits && origin.owns(document)
}

/// Returns the usable keys of `publicKey`, which holds one key or an array of keys, of at most `most`
/// bytes together.
fn keys(value: &Value, actor: &str, origin: &Origin, most: usize) -> BTreeMap<String, String> {
    let read = |key: &Value| {
        let member = |name: &str| text(key, name).ok();
        let (id, pem) = (member("id")?, member("publicKeyPem")?);
        let document = id.split('#').next().unwrap_or_default();
        let own = member("owner") == Some(actor) && check_url(document).is_ok() && origin.owns(document);
        (own && pem.len() <= MAX_PEM_BYTES && id.len() <= crate::limits::MAX_ID_BYTES)
            .then(|| (id.to_owned(), pem.to_owned()))
    };
    let mut left = most;
    let fits = |(id, pem): &(String, String)| takes(&mut left, id.len().saturating_add(pem.len()));
    list(value, "publicKey").iter().take(MAX_KEYS).filter_map(read).filter(fits).collect()
}

/// Returns the bytes that an actor with these keys may still have of keys.
fn left(keys: &BTreeMap<String, String>) -> usize {
    let bytes = keys.iter().map(|(id, pem)| id.len().saturating_add(pem.len()));
    bytes.fold(MAX_KEYS_BYTES, usize::saturating_sub)
}

/// Takes some of the bytes that are `left`. Returns false, and takes none, if they are fewer.
fn takes(left: &mut usize, bytes: usize) -> bool {
    let rest = left.checked_sub(bytes);
    *left = rest.unwrap_or(*left);
    rest.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const BOB: &str = "https://b.example/user/bob";

    fn bob() -> Value {
        json!({
            "type": "Person", "id": BOB, "inbox": "https://b.example/user/bob/inbox",
            "eko:keyPackages": "https://b.example/user/bob/keyPackages",
            "publicKey": {"id": "https://b.example/user/bob#main-key", "owner": BOB, "publicKeyPem": "PEM"},
        })
    }

    fn with(pointer: &str, value: Value) -> Value {
        let mut actor = bob();
        actor[pointer] = value;
        actor
    }

    #[test]
    fn an_actor_is_read() {
        let read = RemoteActor::parse(&bob(), BOB).unwrap();
        assert_eq!(read.inbox, "https://b.example/user/bob/inbox");
        assert_eq!(read.key_packages.as_deref(), Some("https://b.example/user/bob/keyPackages"));
        assert_eq!(read.keys["https://b.example/user/bob#main-key"], "PEM");
        let moved = RemoteActor::parse(&bob(), "https://b.example/actors/7").unwrap();
        assert_eq!(moved.id, BOB);
        assert!(RemoteActor::parse(&with("type", json!(["Application", "x"])), BOB).is_ok());
        assert_eq!(
            RemoteActor::parse(&with("eko:keyPackages", json!(null)), BOB).unwrap().key_packages,
            None
        );
    }

    #[test]
    fn what_is_on_another_origin_is_refused() {
        assert_eq!(RemoteActor::parse(&bob(), "https://c.example/user/bob").unwrap_err().pointer, "/id");
        for (name, value) in [
            ("id", "https://c.example/user/bob"),
            ("id", "https://b.example.c.example/user/bob"),
            ("id", "https://b.example@c.example/user/bob"),
            ("id", "http://b.example/user/bob"),
            ("id", "https://127.0.0.1/user/bob"),
            ("inbox", "https://c.example/inbox"),
            ("inbox", "http://b.example/inbox"),
            ("inbox", "https://b.example:8443/inbox"),
            ("inbox", "https://169.254.169.254/latest"),
            ("inbox", "https://b.example@169.254.169.254/latest"),
            ("eko:keyPackages", "https://c.example/keyPackages"),
            ("eko:keyPackages", "https://[::1]/keyPackages"),
            ("type", "Note"),
        ] {
            let fault = RemoteActor::parse(&with(name, json!(value)), BOB).unwrap_err();
            assert_eq!(fault.pointer, format!("/{name}"), "{name} {value}");
        }
        for name in ["id", "inbox", "type"] {
            assert!(RemoteActor::parse(&with(name, json!(null)), BOB).is_err());
            assert!(RemoteActor::parse(&with(name, json!(7)), BOB).is_err());
        }
    }

    #[test]
    fn only_its_own_keys_are_read() {
        let key = |id: &str, owner: &str| json!({"id": id, "owner": owner, "publicKeyPem": "PEM"});
        let own = "https://b.example/keys/1";
        for (keys, expected) in [
            (json!([key(own, BOB), key("https://b.example/keys/2", BOB)]), 2),
            (json!(key(own, "https://b.example/user/eve")), 0),
            (json!(key("https://c.example/keys/1", BOB)), 0),
            (json!(key("http://b.example/keys/1", BOB)), 0),
            (json!([key(own, BOB), "https://b.example/keys/2", null, 7]), 1),
            (json!({"id": own, "owner": BOB}), 0),
            (json!({"id": own, "owner": BOB, "publicKeyPem": "x".repeat(MAX_PEM_BYTES)}), 1),
            (json!({"id": own, "owner": BOB, "publicKeyPem": "x".repeat(MAX_PEM_BYTES + 1)}), 0),
            (
                (0..8)
                    .map(|n| json!({"id": format!("{own}{n}"), "owner": BOB, "publicKeyPem": "x".repeat(2_000)}))
                    .collect(),
                6,
            ),
            (json!((0..20).map(|n| key(&format!("{own}{n}"), BOB)).collect::<Vec<_>>()), MAX_KEYS),
            (json!(null), 0),
        ] {
            let actor = RemoteActor::parse(&with("publicKey", keys.clone()), BOB).unwrap();
            assert_eq!(actor.keys.len(), expected, "{keys}");
        }
    }

    /// Static hosts and frameworks write single values as arrays of one.
    #[test]
    fn a_value_may_stand_in_an_array_of_one() {
        let mut listed = bob();
        for name in ["id", "inbox", "eko:keyPackages"] {
            listed[name] = json!([listed[name]]);
        }
        for name in ["id", "owner", "publicKeyPem"] {
            listed["publicKey"][name] = json!([listed["publicKey"][name]]);
        }
        listed["publicKey"] = json!([listed["publicKey"]]);
        assert_eq!(RemoteActor::parse(&listed, BOB), RemoteActor::parse(&bob(), BOB));
    }

    #[test]
    fn a_linked_key_is_read_from_its_own_document() {
        let link = "https://b.example/user/bob/main-key";
        let linking = with("publicKey", json!(link));
        let actor = RemoteActor::parse(&linking, BOB).unwrap();
        assert_eq!(actor.key_link(None), Some(link));
        let key = json!({"id": link, "owner": BOB, "publicKeyPem": "PEM"});
        let added = |document: &Value, url: &str| {
            let mut actor = actor.clone();
            actor.add_linked_key(link, document, url);
            actor.keys.len()
        };
        assert_eq!(added(&key, link), 1);
        // Some servers answer with a part of the actor that holds the key.
        assert_eq!(added(&json!({"id": BOB, "publicKey": key}), link), 1);
        assert_eq!(added(&key, "https://c.example/key"), 0);
        for (member, value) in
            [("id", "https://b.example/user/eve/main-key"), ("owner", "https://b.example/user/eve")]
        {
            let mut other = key.clone();
            other[member] = json!(value);
            assert_eq!(added(&other, link), 0, "{member}");
        }
        // A link leads nowhere else.
        for link in
            ["https://c.example/key", "https://b.example/user/bob#main-key", "key", "http://b.example/key"]
        {
            let linking = RemoteActor::parse(&with("publicKey", json!([link])), BOB).unwrap();
            assert_eq!(linking.key_link(None), None, "{link}");
        }
    }

    #[test]
    fn the_link_of_the_wanted_key_is_chosen() {
        let links = ["https://b.example/keys/1", "https://b.example/keys/2"];
        let linking = RemoteActor::parse(&with("publicKey", json!(links)), BOB).unwrap();
        assert_eq!(linking.key_link(None), Some(links[0]));
        assert_eq!(linking.key_link(Some(links[1])), Some(links[1]));
        assert_eq!(linking.key_link(Some("https://b.example/keys/3")), None);
        // A key in the document itself needs no link, and hides none.
        let both = json!([bob()["publicKey"], links[1]]);
        let both = RemoteActor::parse(&with("publicKey", both), BOB).unwrap();
        assert_eq!(both.key_link(None), None);
        assert_eq!(both.key_link(Some("https://b.example/user/bob#main-key")), None);
        assert_eq!(both.key_link(Some(links[1])), Some(links[1]));
        // All of it has a length.
        let long = |n: usize| format!("https://b.example/{n}{}", "x".repeat(490));
        let many = json!((0..20).map(long).collect::<Vec<_>>());
        assert_eq!(RemoteActor::parse(&with("publicKey", many), BOB).unwrap().key_links.len(), MAX_KEYS);
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_on_one_origin(id in "https://[bc]\\.example/[a-z]{1,5}", inbox in
            "https?://[bc]\\.example(:[0-9]{1,4})?/[a-z]{1,5}", url in "https://[bc]\\.example/[a-z]{1,5}") {
            if let Ok(actor) = RemoteActor::parse(&json!({"type": "Person", "id": id, "inbox": inbox}), &url) {
                prop_assert_eq!(actor.origin(), Origin::of(&url));
                prop_assert_eq!(Origin::of(&actor.inbox), Origin::of(&url));
            }
        }
    }
}
