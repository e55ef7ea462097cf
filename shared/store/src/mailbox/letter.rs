//! The attributes of a letter in a mailbox ([`super`]).
//!
//! The ids of a letter are on the origin of its author, which the item has as well:
//!
//! ```text
//! author                        stored   https://a.example/user/alice
//! https://a.example/message/1   stored   /message/1
//! https://A.example/message/1   stored   as it is, like all that does not begin with ORIGIN/
//! urn:uuid:0f3…                 stored   as it is
//! ```

use eko_protocol::address::Origin;
use eko_protocol::device_set::DeviceSetRef;
use eko_protocol::envelope::EnvelopeHeader;
use eko_protocol::franking::Franking;
use eko_protocol::id::{EntryKey, EnvelopeId};
use eko_protocol::key::{FrankingMac, FrankingTag};
use eko_protocol::letter::Letter;

use crate::Result;
use crate::attribute::{Item, ReadItem, b, corrupt, n, s};

/// The attribute of a letter's author, and of the actor whose share a report uses.
pub(crate) const AUTHOR: &str = "a";
/// The attribute of the envelope's id, in the short form.
pub(super) const ENVELOPE: &str = "e";
const FROM: &str = "f";
const ACTIVITY: &str = "t";
const PUBLISHED: &str = "p";
const EXPIRES: &str = "x";
/// The attribute of a letter for which no push is wanted.
pub(crate) const QUIET: &str = "q";
const REQUEST: &str = "r";
const SET_LENGTH: &str = "l";
const SET_HEAD: &str = "h";
const FRANKING_TAG: &str = "g";
const FRANKING_MAC: &str = "m";

/// Writes the letter's attributes. The time of acceptance is in the entry's key.
pub(super) fn write(letter: &Letter, item: &mut Item) {
    let Letter { header, activity, accepted_ms: _, is_request } = letter;
    let EnvelopeHeader { author, id, from, published_ms, expires_ms, notify, device_set, franking } = header;
    let mut set = |name: &str, value| item.insert(name.to_owned(), value);
    set(AUTHOR, s(author));
    if let Some(id) = activity {
        set(ACTIVITY, s(short(author, id)));
    }
    set(ENVELOPE, s(short(author, id.as_str())));
    set(FROM, s(short(author, from)));
    if let Some(at) = published_ms {
        set(PUBLISHED, n(*at));
    }
    if let Some(at) = expires_ms {
        set(EXPIRES, n(*at));
    }
    if !notify {
        set(QUIET, n(1));
    }
    if *is_request {
        set(REQUEST, n(1));
    }
    if let Some(seen) = device_set {
        set(SET_LENGTH, n(seen.length));
        set(SET_HEAD, s(&seen.head));
    }
    if let Some(Franking { tag, mac }) = franking {
        set(FRANKING_TAG, b(tag.as_bytes()));
        if let Some(mac) = mac {
            set(FRANKING_MAC, b(mac.as_bytes()));
        }
    }
}

/// Reads the letter of the entry with this key.
pub(super) fn read(key: &EntryKey, item: &Item) -> Result<Letter> {
    let device_set = match (item.get_n(SET_LENGTH), item.get_s(SET_HEAD)) {
        (Some(length), Some(head)) => {
            Some(DeviceSetRef::new(length.unsigned_abs(), head.to_owned()).map_err(corrupt)?)
        }
        _ => None,
    };
    let mac = item.get_b(FRANKING_MAC).map(FrankingMac::from_bytes).transpose().map_err(corrupt)?;
    let tag = item.get_b(FRANKING_TAG).map(FrankingTag::from_bytes).transpose().map_err(corrupt)?;
    let author = item.need_s(AUTHOR)?;
    Ok(Letter {
        header: EnvelopeHeader {
            author: author.to_owned(),
            id: read_envelope(author, item)?,
            from: whole(author, item.need_s(FROM)?),
            published_ms: item.get_n(PUBLISHED),
            expires_ms: item.get_n(EXPIRES),
            notify: item.get_n(QUIET).is_none(),
            device_set,
            franking: tag.map(|tag| Franking { tag, mac }),
        },
        activity: item.get_s(ACTIVITY).map(|id| whole(author, id)),
        accepted_ms: i64::try_from(key.accepted_ms()).unwrap_or(i64::MAX),
        is_request: item.get_n(REQUEST).is_some(),
    })
}

/// Reads the id of the author's envelope.
pub(super) fn read_envelope(author: &str, item: &Item) -> Result<EnvelopeId> {
    EnvelopeId::parse(&whole(author, item.need_s(ENVELOPE)?)).map_err(corrupt)
}

/// Returns the part of an id after the author's origin, from the slash on; the whole id if it does
/// not begin with that origin and a slash.
pub(super) fn short<'a>(author: &str, id: &'a str) -> &'a str {
    let path = Origin::of(author).and_then(|origin| id.strip_prefix(origin.as_str()));
    path.filter(|path| path.starts_with('/')).unwrap_or(id)
}

/// Returns the id that [`short`] made short. An id itself never begins with a slash.
pub(crate) fn whole(author: &str, short: &str) -> String {
    match Origin::of(author) {
        Some(origin) if short.starts_with('/') => format!("{}{short}", origin.as_str()),
        _ => short.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = "https://a.example/user/alice";

    #[test]
    fn ids_are_kept_without_the_authors_origin() {
        for (id, kept) in [
            ("https://a.example/message/1", "/message/1"),
            ("https://a.example/objects?id=1#x", "/objects?id=1#x"),
            ("https://a.example//b.example/x", "//b.example/x"),
            ("https://a.example/", "/"),
            ("https://a.example", "https://a.example"),
            ("https://a.example?id=1", "https://a.example?id=1"),
            ("https://a.example:443/x", "https://a.example:443/x"),
            ("https://a.example.org/x", "https://a.example.org/x"),
            ("https://A.example/x", "https://A.example/x"),
            (
                "urn:uuid:0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11",
                "urn:uuid:0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11",
            ),
        ] {
            assert_eq!(short(ALICE, id), kept);
            assert_eq!(whole(ALICE, kept), id);
        }
    }
}
