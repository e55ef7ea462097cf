//! `Delivered` from a device: the acknowledgement of mailbox entries.

use serde_json::Value;

use crate::Invalid;
use crate::address::check_url;
use crate::json::{has_type, list, optional_text, text_of};
use crate::limits::MAX_DELIVERED;

/// A device's acknowledgement of entries of its mailbox (section 6), sent to the user's outbox.
///
/// ```text
/// {"type": "Delivered", "actor": <URL>, optional, "object": <entry> or [<entry>, …]}
/// ```
///
/// ```
/// use eko_protocol::activity::DeliveredActivity;
/// use serde_json::json;
///
/// let entry = "https://a.example/user/bob/inbox/x";
/// let delivered = DeliveredActivity::parse(&json!({"type": "Delivered", "object": [entry, entry]}))?;
/// assert_eq!(delivered.entries, [entry]);
///
/// let fault = DeliveredActivity::parse(&json!({"type": "Delivered", "object": ["x"]})).unwrap_err();
/// assert_eq!(fault.pointer, "/object/0");
/// # Ok::<(), eko_protocol::Invalid>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveredActivity {
    /// The actor id that the device states, if it states one.
    pub actor: Option<String>,
    /// The addresses of the entries in the order in which they came: 1 to [`MAX_DELIVERED`], none
    /// twice.
    pub entries: Vec<String>,
}

impl DeliveredActivity {
    /// Reads the activity. The caller reads each address with
    /// [`Origin::parse_entry`](crate::address::Origin::parse_entry); an address that is not one of
    /// the caller's own entries is not a fault here.
    ///
    /// # Errors
    /// [`Invalid`] for another type, no entry, more than [`MAX_DELIVERED`] entries, or an entry
    /// that is not an address.
    pub fn parse(value: &Value) -> Result<Self, Invalid> {
        if !has_type(value, "Delivered") {
            return Err(Invalid::at("/type", "must be Delivered"));
        }
        let actor = optional_text(value, "actor")?.map(str::to_owned);
        let given = list(value, "object");
        if given.len() > MAX_DELIVERED {
            return Err(Invalid::at("/object", format!("holds more than {MAX_DELIVERED} entries")));
        }
        if given.is_empty() {
            return Err(Invalid::at("/object", "must be the address of an entry, or an array of them"));
        }
        let mut entries: Vec<String> = Vec::with_capacity(given.len());
        for (index, item) in given.iter().enumerate() {
            let entry = text_of(item).ok_or_else(|| Invalid::whole("must be a string"));
            let entry = entry.and_then(|text| check_url(text).map(|_| text.to_owned()));
            let entry = entry.map_err(|fault| fault.under(format!("/object/{index}")))?;
            if !entries.contains(&entry) {
                entries.push(entry);
            }
        }
        Ok(Self { actor, entries })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const ENTRY: &str = "https://a.example/user/bob/inbox/x";

    #[test]
    fn one_or_many() {
        let one = DeliveredActivity { actor: None, entries: vec![ENTRY.to_owned()] };
        for object in [json!(ENTRY), json!([ENTRY, ENTRY]), json!({"id": ENTRY})] {
            let delivered = json!({"type": ["Delivered"], "actor": null, "object": object});
            assert_eq!(DeliveredActivity::parse(&delivered).as_ref(), Ok(&one), "{delivered}");
        }
    }

    #[test]
    fn other_shapes_are_refused() {
        let many = vec![ENTRY; MAX_DELIVERED + 1];
        for (value, pointer) in [
            (json!({"object": ENTRY}), "/type"),
            (json!({"type": "Delivered"}), "/object"),
            (json!({"type": "Delivered", "object": []}), "/object"),
            (json!({"type": "Delivered", "object": {"id": 1}}), "/object/0"),
            (json!({"type": "Delivered", "object": [[ENTRY]]}), "/object/0"),
            (json!({"type": "Delivered", "object": many}), "/object"),
            (json!({"type": "Delivered", "object": [ENTRY, 1]}), "/object/1"),
            (json!({"type": "Delivered", "object": [ENTRY, "x"]}), "/object/1"),
            (json!({"type": "Delivered", "object": ENTRY, "actor": 1}), "/actor"),
        ] {
            assert_eq!(DeliveredActivity::parse(&value).unwrap_err().pointer, pointer, "{value}");
        }
    }

    proptest! {
        #[test]
        fn round_trip(ns in proptest::collection::btree_set(any::<u32>(), 1..=100)) {
            let entries: Vec<_> = ns.iter().map(|n| format!("https://a.example/user/bob/inbox/{n}")).collect();
            let value = json!({"type": "Delivered", "actor": "https://a.example/user/bob",
            "object": entries});
            prop_assert_eq!(DeliveredActivity::parse(&value),
            Ok(DeliveredActivity { actor: Some("https://a.example/user/bob".into()), entries }));
        }
    }
}
