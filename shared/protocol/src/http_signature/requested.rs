//! Signatures that a server asks for (RFC 9421, section 5).
//!
//! ```text
//! Accept-Signature: sig1=("@method" "@target-uri" "content-digest");created;alg="rsa-v1_5-sha256"
//! ```

use sfv::{BareItem, InnerList, Key, ListEntry};

use super::{MAX_COVERED, rfc9421};

/// The header `Accept-Signature` of this server: the signature that it always accepts for a POST.
pub const ACCEPT_SIGNATURE: &str =
    r#"sig1=("@method" "@target-uri" "content-digest");created;alg="rsa-v1_5-sha256""#;

/// The maximum length of an `Accept-Signature` that is read, in bytes.
const MAX_HEADER_BYTES: usize = 2048;

/// The components that this server can cover in every request. With a body, `content-digest` is one
/// as well.
const COMPONENTS: [&str; 9] =
    ["@method", "@target-uri", "@authority", "@scheme", "@request-target", "@path", "@query", "host", "date"];

/// The time for which a signature counts if its server asks for an end, in seconds.
const EXPIRES_AFTER: i64 = 300;

/// A signature that another server asks for, and that this server can make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestedSignature {
    label: String,
    components: Vec<String>,
    expires: bool,
    nonce: Option<String>,
    tag: Option<String>,
}

impl RequestedSignature {
    /// Reads an `Accept-Signature`. Returns the first signature in it that this server can make with
    /// the key `key_id`: RSA with SHA-256, over components that every request has. Returns `None` if
    /// there is none, or if it asks for nothing beyond what this server signs without being asked.
    ///
    /// ```
    /// use eko_protocol::http_signature::RequestedSignature;
    ///
    /// let read = |text: &str| RequestedSignature::read(text, true, "https://a.example/actor#key");
    /// assert!(read(r#"a=("@method" "@authority");created;nonce="n1""#).is_some());
    /// assert_eq!(read(r#"a=("@method");created;alg="ed25519""#), None);
    /// ```
    pub fn read(text: &str, has_body: bool, key_id: &str) -> Option<Self> {
        if text.len() > MAX_HEADER_BYTES {
            return None;
        }
        let requested = rfc9421::dictionary("accept-signature", text).ok()?;
        let mut readable =
            requested.iter().filter_map(|(label, entry)| Self::of(label, entry, has_body, key_id));
        readable.find(Self::asks_for_more)
    }

    /// Returns the signature that this server makes without being asked.
    pub(super) fn least() -> Self {
        Self { label: "sig1".to_owned(), components: Vec::new(), expires: false, nonce: None, tag: None }
    }

    fn of(label: &Key, entry: &ListEntry, has_body: bool, key_id: &str) -> Option<Self> {
        let ListEntry::InnerList(InnerList { items, params }) = entry else { return None };
        let mut components = Vec::new();
        for item in items {
            let name = item.bare_item.as_string()?.as_str();
            let is_known = COMPONENTS.contains(&name) || (has_body && name == "content-digest");
            if !item.params.is_empty() || !is_known || components.iter().any(|other| other == name) {
                return None;
            }
            components.push(name.to_owned());
        }
        if components.len() > MAX_COVERED {
            return None;
        }
        let mut requested = Self { label: label.as_str().to_owned(), components, ..Self::least() };
        for (name, value) in params {
            match (name.as_str(), value) {
                ("created", BareItem::Boolean(true)) => {}
                ("expires", BareItem::Boolean(true)) => requested.expires = true,
                ("alg", BareItem::String(name)) if name.as_str() == rfc9421::ALGORITHM => {}
                ("keyid", BareItem::String(id)) if id.as_str() == key_id => {}
                ("nonce", BareItem::String(nonce)) => requested.nonce = Some(nonce.as_str().to_owned()),
                ("tag", BareItem::String(tag)) => requested.tag = Some(tag.as_str().to_owned()),
                _ => return None,
            }
        }
        Some(requested)
    }

    /// True if the signature has something that this server does not sign without being asked.
    fn asks_for_more(&self) -> bool {
        let always = |name: &str| matches!(name, "@method" | "@target-uri" | "content-digest");
        let parameters = self.expires || self.nonce.is_some() || self.tag.is_some();
        parameters || !self.components().all(always)
    }

    /// Returns the label that the signature is to have.
    pub(super) fn label(&self) -> &str {
        &self.label
    }

    /// Returns the components that the signature is to cover.
    pub(super) fn components(&self) -> impl Iterator<Item = &str> {
        self.components.iter().map(String::as_str)
    }

    /// Returns the parameters that the signature is to have besides the usual ones.
    pub(super) fn parameters(&self, created: i64) -> String {
        let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
        let mut parameters = String::new();
        if self.expires {
            parameters.push_str(&format!(";expires={}", created.saturating_add(EXPIRES_AFTER)));
        }
        for (name, value) in [("nonce", &self.nonce), ("tag", &self.tag)] {
            if let Some(value) = value {
                parameters.push_str(&format!(";{name}=\"{}\"", quoted(value)));
            }
        }
        parameters
    }
}
