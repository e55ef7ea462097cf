//! The rules that the three batch requests share, and the shape of their answers.

use std::collections::HashSet;

use serde::Serialize;

use super::fault::Fault;

/// Entries in one batch.
const MOST: usize = 10;

/// What makes a batch fail as a whole, before any entry is looked at.
pub(super) fn check<'a>(ids: impl ExactSizeIterator<Item = &'a str>) -> Result<(), Fault> {
    match ids.len() {
        0 => return Err(Fault::EmptyBatchRequest),
        1..=MOST => {}
        more => return Err(Fault::TooManyEntriesInBatchRequest(more)),
    }
    let mut seen = HashSet::new();
    for id in ids {
        let plain = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
        if id.is_empty() || id.len() > 80 || !id.bytes().all(plain) {
            return Err(Fault::InvalidBatchEntryId);
        }
        if !seen.insert(id) {
            return Err(Fault::BatchEntryIdsNotDistinct(id.to_owned()));
        }
    }
    Ok(())
}

/// The answer to a batch: every entry is in one of the lists.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Outcome<S> {
    successful: Vec<S>,
    failed: Vec<Failed>,
}

impl<S> Outcome<S> {
    pub(super) fn new() -> Self {
        Self { successful: Vec::new(), failed: Vec::new() }
    }

    pub(super) fn add(&mut self, id: &str, done: Result<S, Fault>) {
        match done {
            Ok(entry) => self.successful.push(entry),
            Err(fault) => self.failed.push(Failed {
                id: id.to_owned(),
                sender_fault: fault.is_senders(),
                code: fault.code(),
                message: fault.to_string(),
            }),
        }
    }
}

/// One entry that failed by itself.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Failed {
    id: String,
    sender_fault: bool,
    code: &'static str,
    message: String,
}

/// One entry that succeeded and has nothing to add.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Succeeded {
    pub(super) id: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_has_one_to_ten_distinct_plain_ids() {
        let verdict = |ids: &[&str]| check(ids.iter().copied()).map_err(|f| f.code().to_owned());
        assert_eq!(verdict(&["a", "B-2_c"]), Ok(()));
        assert!(verdict(&[]).unwrap_err().ends_with("EmptyBatchRequest"));
        assert!(verdict(&["x"; 11]).unwrap_err().ends_with("TooManyEntriesInBatchRequest"));
        assert!(verdict(&["a", "a"]).unwrap_err().ends_with("BatchEntryIdsNotDistinct"));
        for id in ["", "a b", "ä", &"x".repeat(81)] {
            assert!(verdict(&[id]).unwrap_err().ends_with("InvalidBatchEntryId"), "{id}");
        }
    }
}
