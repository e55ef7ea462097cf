//! Cursors: where a page of an export begins.
//!
//! A cursor is text that only this server reads: base64url without padding of
//!
//! ```text
//! {user} {part} {device or -} {sort key or -}
//! ```
//!
//! It is not secret and not signed. Whoever makes one up reads own items, from another place on.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use eko_protocol::address::UserName;
use eko_protocol::id::DeviceId;

/// The most bytes of a cursor's text.
const MAX_BYTES: usize = 512;
/// The stand-in for a part of the text that is not there.
const NONE: &str = "-";
/// The beginning of the sort keys that are secret: those of refresh tokens.
const SECRET_PREFIX: &str = "S#";
/// The bytes of a secret sort key that a cursor shows. They order it among the others.
const SHOWN_BYTES: usize = SECRET_PREFIX.len() + 16;
/// A character that sorts behind all of a secret sort key.
const BEHIND: char = '~';

/// A part of an account, which is one partition of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExportPart {
    /// The items of the user.
    Account,
    /// The counters and lists of the user.
    Counters,
    /// The counters of the messages that the user has reported.
    Reports,
    /// The list of the devices. A page of it names one device, and its items follow.
    Devices,
    /// The items of one device.
    Device(DeviceId),
    /// The group states.
    GroupStates,
}

/// The place at which a page of an export begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportCursor {
    /// The part.
    pub part: ExportPart,
    /// The sort key after which the page begins; `None` at the beginning of the part.
    pub(super) after: Option<String>,
}

impl ExportPart {
    /// Returns the place after the last item of the part; `None` if nothing follows.
    pub(super) fn next(&self) -> Option<ExportCursor> {
        let part = match self {
            Self::Account => Self::Counters,
            Self::Counters => Self::Reports,
            Self::Reports => Self::Devices,
            Self::Device(device) => {
                return Some(ExportCursor { part: Self::Devices, after: Some(device.as_str().to_owned()) });
            }
            Self::Devices => Self::GroupStates,
            Self::GroupStates => return None,
        };
        Some(ExportCursor::start(part))
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Counters => "counters",
            Self::Reports => "reports",
            Self::Devices => "devices",
            Self::Device(_) => "device",
            Self::GroupStates => "groups",
        }
    }
}

impl ExportCursor {
    /// Returns the place at which an export begins.
    pub fn first() -> Self {
        Self::start(ExportPart::Account)
    }

    /// Returns the beginning of a part.
    pub(super) fn start(part: ExportPart) -> Self {
        Self { part, after: None }
    }

    /// Returns the place after an item of a part.
    pub(super) fn after(part: ExportPart, sort: String) -> Self {
        let after = match sort.get(..SHOWN_BYTES) {
            Some(shown) if sort.starts_with(SECRET_PREFIX) => format!("{shown}{BEHIND}"),
            _ => sort,
        };
        Self { part, after: Some(after) }
    }

    /// Returns the text of a cursor of this user.
    pub fn to_text(&self, user: &UserName) -> String {
        let device = match &self.part {
            ExportPart::Device(device) => device.as_str(),
            _ => NONE,
        };
        let after = self.after.as_deref().unwrap_or(NONE);
        URL_SAFE_NO_PAD.encode(format!("{user} {} {device} {after}", self.part.name()))
    }

    /// Reads a cursor of this user; `None` for any other text, and for a cursor of another user.
    pub fn parse(text: &str, user: &UserName) -> Option<Self> {
        if text.len() > MAX_BYTES {
            return None;
        }
        let plain = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let mut words = plain.split(' ');
        let [owner, part, device, after] = [words.next()?, words.next()?, words.next()?, words.next()?];
        if words.next().is_some() || owner != user.as_str() || after.is_empty() {
            return None;
        }
        let part = match (part, device) {
            ("device", device) => ExportPart::Device(DeviceId::parse(device).ok()?),
            ("account", NONE) => ExportPart::Account,
            ("counters", NONE) => ExportPart::Counters,
            ("reports", NONE) => ExportPart::Reports,
            ("devices", NONE) => ExportPart::Devices,
            ("groups", NONE) => ExportPart::GroupStates,
            _ => return None,
        };
        Some(Self { part, after: (after != NONE).then(|| after.to_owned()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> UserName {
        UserName::parse(name).unwrap()
    }

    #[test]
    fn a_cursor_is_of_one_user() {
        let device = DeviceId::parse("5cd5914c-7b80-4682-b1e9-9059f52bd971").unwrap();
        let mut cursor = ExportCursor::first();
        let mut parts = Vec::new();
        loop {
            let text = cursor.to_text(&user("alice"));
            assert_eq!(ExportCursor::parse(&text, &user("alice")), Some(cursor.clone()));
            assert_eq!(ExportCursor::parse(&text, &user("bob")), None);
            parts.push(cursor.part.name());
            if cursor.part == ExportPart::Devices && cursor.after.is_none() {
                cursor = ExportCursor::start(ExportPart::Device(device.clone()));
                continue;
            }
            match cursor.part.next() {
                Some(next) => cursor = next,
                None => break,
            }
        }
        assert_eq!(parts, ["account", "counters", "reports", "devices", "device", "devices", "groups"]);
    }

    #[test]
    fn other_texts_are_no_cursors() {
        let alice = user("alice");
        for plain in [
            "",
            "alice",
            "alice account - ",
            "alice account - - -",
            "alice account 5cd5914c-7b80-4682-b1e9-9059f52bd971 -",
            "alice device - -",
            "alice device ../../bob -",
            "alice other - -",
            "bob account - -",
        ] {
            assert_eq!(ExportCursor::parse(&URL_SAFE_NO_PAD.encode(plain), &alice), None, "{plain}");
        }
        let long = URL_SAFE_NO_PAD.encode(format!("alice account - {}", "x".repeat(MAX_BYTES)));
        assert_eq!(ExportCursor::parse(&long, &alice), None);
        assert_eq!(ExportCursor::parse("alice account - -", &alice), None);
    }

    #[test]
    fn a_cursor_shows_no_hash_of_a_token() {
        let sort = format!("S#{}", "0123456789abcdef".repeat(4));
        let cursor = ExportCursor::after(ExportPart::Account, sort.clone());
        assert_eq!(cursor.after.as_deref(), Some("S#0123456789abcdef~"));
        assert!(cursor.after.unwrap() > sort);
    }
}
