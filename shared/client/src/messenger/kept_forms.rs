//! The forms of what the messenger and its Signal library keep in the store, which does not know them.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::announced_moves::{AnnouncedMove, MoveTeller};
use super::known::ToldFellow;
use super::reading::{HIDES_READING, READ_UP_TO};
use super::state_keys::{EARLY, EarlyKeys, PASSED_ON, PassedOn};
use super::trust::JOINING_ALARM;
use super::typing::HIDES_TYPING;
use super::upkeep::{REPLACED, StoredPublication, UNPUBLISHED};
use super::{
    announced_moves, decisions, devices, incoming, keeping, known, known_at_server, state_keys, states,
    stray_records, tokens,
};
use crate::SignalSessions;
use crate::store::{ChainAlarm, StoredForm};

/// Tells whether a stored value can be read.
type Reader = fn(&[u8]) -> bool;

/// The values of an account that the messenger keeps, each by its name or the beginning of its name, and with its
/// reader.
const FORMS: [(&str, Reader); 27] = [
    (HIDES_READING, is::<bool>),
    (HIDES_TYPING, is::<bool>),
    (announced_moves::TELLERS, is::<BTreeMap<String, MoveTeller>>),
    (announced_moves::ANNOUNCED, is::<AnnouncedMove>),
    (announced_moves::AWAITED, is::<BTreeSet<String>>),
    (known::SETTING, is::<String>),
    (known::READ, is::<i64>),
    (known::TOLD, is::<BTreeSet<String>>),
    (known::FELLOWS, is::<BTreeMap<String, ToldFellow>>),
    (known::REFUSED, is::<BTreeMap<String, i64>>),
    (known::UNTOLD_SAID, is::<i64>),
    (known_at_server::COMPARED, is::<i64>),
    (PASSED_ON, is::<PassedOn>),
    (EARLY, is::<Option<EarlyKeys>>),
    (state_keys::TOLD, is::<i64>),
    (JOINING_ALARM, is::<ChainAlarm>),
    (UNPUBLISHED, is::<StoredPublication>),
    (REPLACED, is::<i64>),
    (decisions::TOLD, is::<i64>),
    (devices::CHANGED, is::<i64>),
    (states::READ, is::<i64>),
    (stray_records::STRAYS, is::<BTreeMap<String, stray_records::StrayRecord>>),
    (stray_records::FULL, is::<bool>),
    (stray_records::FULL_SAID, is::<i64>),
    (tokens::REFRESH_LEASE, is::<i64>),
    (READ_UP_TO, is::<i64>),
    (incoming::SEEN_UP_TO, is::<i64>),
];

/// The beginnings among them.
const MARKS: [&str; 2] = [READ_UP_TO, incoming::SEEN_UP_TO];

/// True if the messenger, or its Signal library, can read what it has kept in a store
/// ([`DeviceStore::is_sound`]). A value that it does not know must be JSON.
///
/// [`DeviceStore::is_sound`]: crate::DeviceStore::is_sound
pub fn is_readable<S: SignalSessions>(sessions: &S, form: StoredForm<'_>) -> bool {
    match form {
        StoredForm::Session(record) => sessions.usable(record, 0).is_ok(),
        StoredForm::Notice(notice) => keeping::is_readable(notice),
        StoredForm::Value { name, value } => reader(name).unwrap_or(is::<Value>)(value),
    }
}

/// Returns the reader of a value.
fn reader(name: &str) -> Option<Reader> {
    let is_its = |known: &str| match name.strip_prefix(known) {
        Some(rest) => rest.is_empty() || (MARKS.contains(&known) && rest.starts_with(' ')),
        None => false,
    };
    FORMS.iter().find(|(known, _)| is_its(known)).map(|(_, reads)| *reads)
}

fn is<V: DeserializeOwned>(value: &[u8]) -> bool {
    serde_json::from_slice::<V>(value).is_ok()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::store::knows;

    /// The methods that keep a value, with the name first.
    const KEEP: [&str; 5] = [".put(", ".put_json(", ".put_moment(", ".pass_mark(", ".take_lease("];

    fn sources(folder: &Path, found: &mut Vec<String>) {
        for entry in folder.read_dir().unwrap().map(Result::unwrap) {
            let path = entry.path();
            match path.is_dir() {
                true if entry.file_name() != "tests" => sources(&path, found),
                false if entry.file_name() != "tests.rs" => {
                    let source = std::fs::read_to_string(path).unwrap();
                    found.push(source.split("mod tests {").next().unwrap().to_owned());
                }
                _ => {}
            }
        }
    }

    /// Returns the name, or its beginning, that the code of an argument stands for: a text, or a constant
    /// of the same file. Of a variable nothing is known.
    fn name_of(argument: &str, source: &str) -> Option<String> {
        let argument = argument.trim_start().trim_start_matches("&format!(").trim_start();
        if let Some(text) = argument.strip_prefix('"').filter(|text| !text.starts_with('{')) {
            return text.split('"').next().map(str::to_owned);
        }
        let argument = argument.trim_start_matches("\"{");
        let constant: String = argument.chars().take_while(|c| c.is_ascii_uppercase() || *c == '_').collect();
        let is_constant = constant.len() > 1;
        let (_, value) =
            source.split_once(&format!("const {constant}: &str = \"")).filter(|_| is_constant)?;
        value.split('"').next().map(str::to_owned)
    }

    /// `eko recover` would call a store sound that the next command cannot read.
    #[test]
    fn whatever_is_kept_under_a_name_has_a_reader() {
        let mut found = Vec::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
        let mut names = BTreeSet::new();
        for source in &found {
            for call in KEEP.iter().flat_map(|method| source.split(method).skip(1)) {
                names.extend(name_of(call, source));
            }
        }
        let (least, marks) = (["moves", "lost_blocks", "unpublished", "origin"], "read_up_to");
        assert!(least.iter().all(|name| names.contains(*name)) && names.contains(marks), "{names:?}");
        let unread: Vec<_> = names.iter().filter(|name| !knows(name) && reader(name).is_none()).collect();
        assert!(unread.is_empty(), "{unread:?}");
    }
}
