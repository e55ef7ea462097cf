//! The values of the account in a store that this library cannot read.

use eko_protocol::key::NonceRandom;
use eko_protocol::key_package::{KyberPreKey, PublishedKeys, SignedPreKey};

use super::super::{DeviceStoreError, Transaction};
use super::StoredForm;

/// A value of the account whose form the store knows.
struct ReadValue {
    /// The name of the value, or the beginning of the names of several.
    name: &'static str,
    /// True if the name goes on.
    is_beginning: bool,
    /// Reads it as the store does. The text is the rest of its name.
    read: fn(&Transaction<'_>, &str) -> Result<(), DeviceStoreError>,
}

impl ReadValue {
    const fn of(
        name: &'static str,
        read: fn(&Transaction<'_>, &str) -> Result<(), DeviceStoreError>,
    ) -> Self {
        Self { name, is_beginning: false, read }
    }

    const fn of_all(
        name: &'static str,
        read: fn(&Transaction<'_>, &str) -> Result<(), DeviceStoreError>,
    ) -> Self {
        Self { name, is_beginning: true, read }
    }

    /// Returns the rest of a name, if this is its value.
    fn rest<'a>(&self, name: &'a str) -> Option<&'a str> {
        name.strip_prefix(self.name).filter(|rest| self.is_beginning || rest.is_empty())
    }
}

const VALUES: [ReadValue; 26] = [
    ReadValue::of("first", |tx, _| tx.json::<PublishedKeys>("first").map(drop)),
    ReadValue::of("signed_pre_key", |tx, _| tx.json::<SignedPreKey>("signed_pre_key").map(drop)),
    ReadValue::of("last_resort", |tx, _| tx.json::<KyberPreKey>("last_resort").map(drop)),
    ReadValue::of("last_resorts", |tx, _| tx.last_resorts().map(drop)),
    ReadValue::of("keys_published", |tx, _| tx.newest_published().map(drop)),
    ReadValue::of("key_counts", |tx, _| tx.key_counts().map(drop)),
    ReadValue::of("joining_code", |tx, _| tx.joining_code().map(drop)),
    ReadValue::of("nonce_random", |tx, _| tx.json::<NonceRandom>("nonce_random").map(drop)),
    ReadValue::of("blocks", |tx, _| tx.blocks().map(drop)),
    ReadValue::of("device_names", |tx, _| tx.device_names().map(drop)),
    ReadValue::of("device_names_told", |tx, _| tx.told_names().map(drop)),
    ReadValue::of("unreached", |tx, _| tx.has_unreached().map(drop)),
    ReadValue::of("carried_unsent", |tx, _| tx.unsent().map(drop)),
    ReadValue::of("former_devices", |tx, _| tx.former_devices().map(drop)),
    ReadValue::of("ended_groups", |tx, _| tx.ended_groups().map(drop)),
    ReadValue::of("carried_who_may_write", |tx, _| tx.carried_setting().map(drop)),
    ReadValue::of("moves", |tx, _| tx.read_moves()),
    ReadValue::of("own_move", |tx, _| tx.own_move().map(drop)),
    ReadValue::of("own_root", |tx, _| tx.json::<String>("own_root").map(drop)),
    ReadValue::of("former_self", |tx, _| tx.former_self().map(drop)),
    ReadValue::of("awaited_move", |tx, _| tx.awaited_move().map(drop)),
    ReadValue::of("untold_controls", |tx, _| {
        tx.untold_controls()?.iter().try_for_each(|untold| untold.plaintext().map(drop))
    }),
    ReadValue::of("lost_blocks", |tx, _| tx.lost_blocks().map(drop)),
    ReadValue::of("state_keys", |tx, _| tx.state_keys().map(drop)),
    ReadValue::of_all("state ", |tx, group| tx.saved_record(group).map(drop)),
    ReadValue::of_all("profile/", |tx, actor| tx.profile(actor).map(drop)),
];

/// The values that are times or numbers.
const NUMBERS: [&str; 14] = [
    "decisions_repeated",
    "keys_checked",
    "keys_lost",
    "keys_renewed",
    "last_position",
    "made_kyber",
    "made_one_time",
    "made_signed",
    "own_account_deleted",
    "own_device_forgotten",
    "own_end_said",
    "own_revocation",
    "token_expires",
    "registration_id",
];
/// The beginnings of the names of times.
const TIMES_OF: [&str; 2] = ["deleted ", "unstored "];
/// The values that are no JSON. Of the device itself they are read with it.
const OTHERS: [&str; 8] =
    ["access_token", "device", "device_name", "identity", "origin", "possession", "refresh_token", "user"];
/// Those among them that must be texts, so that the others can be read.
const TEXTS: [&str; 3] = ["access_token", "device_name", "refresh_token"];

impl Transaction<'_> {
    /// Returns the names of the values of the account that cannot be read.
    pub(super) fn unreadable_values(
        &self,
        is_readable: &dyn Fn(StoredForm<'_>) -> bool,
    ) -> Result<Vec<String>, DeviceStoreError> {
        let mut unreadable = self.names("")?;
        unreadable.retain(|name| !self.reads_value(name, is_readable));
        Ok(unreadable)
    }

    fn reads_value(&self, name: &str, is_readable: &dyn Fn(StoredForm<'_>) -> bool) -> bool {
        let Ok(Some(value)) = self.bytes(name) else { return false };
        let known = VALUES.iter().find_map(|known| Some((known, known.rest(name)?)));
        match known {
            Some((known, rest)) => (known.read)(self, rest).is_ok(),
            None if TEXTS.contains(&name) => str::from_utf8(&value).is_ok(),
            None if is_number(name) => serde_json::from_slice::<i64>(&value).is_ok(),
            None => OTHERS.contains(&name) || is_readable(StoredForm::Value { name, value: &value }),
        }
    }
}

fn is_number(name: &str) -> bool {
    NUMBERS.contains(&name) || TIMES_OF.iter().any(|beginning| name.starts_with(beginning))
}

/// True if the store knows the form of the value with this name.
#[cfg(test)]
pub(crate) fn knows(name: &str) -> bool {
    VALUES.iter().any(|known| known.rest(name).is_some()) || OTHERS.contains(&name) || is_number(name)
}
