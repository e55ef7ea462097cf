//! The forms of what the messenger and its Signal library keep in the store, which does not know them.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::known::{READ, SETTING, TOLD};
use super::reading::HIDES_READING;
use super::state_keys::{EARLY, EarlyKeys, PASSED_ON, PassedOn};
use super::trust::JOINING_ALARM;
use super::typing::HIDES_TYPING;
use super::upkeep::{StoredPublication, UNPUBLISHED};
use crate::SignalSessions;
use crate::store::{ChainAlarm, StoredForm};

/// True if the messenger, or its Signal library, can read what it has kept in a store
/// ([`DeviceStore::is_sound`]).
///
/// [`DeviceStore::is_sound`]: crate::DeviceStore::is_sound
pub fn is_readable<S: SignalSessions>(sessions: &S, form: StoredForm<'_>) -> bool {
    match form {
        StoredForm::Session(record) => sessions.usable(record, 0).is_ok(),
        StoredForm::Value { name, value } => match name {
            HIDES_READING | HIDES_TYPING => is::<bool>(value),
            READ => is::<i64>(value),
            SETTING => is::<String>(value),
            TOLD => is::<BTreeSet<String>>(value),
            PASSED_ON => is::<Option<PassedOn>>(value),
            EARLY => is::<Option<EarlyKeys>>(value),
            JOINING_ALARM => is::<ChainAlarm>(value),
            UNPUBLISHED => is::<StoredPublication>(value),
            // All others are times and numbers.
            _ => is::<Value>(value),
        },
    }
}

fn is<V: DeserializeOwned>(value: &[u8]) -> bool {
    serde_json::from_slice::<V>(value).is_ok()
}
