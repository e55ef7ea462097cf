//! The rules that the three batch requests share, and the shape of their answers.

use std::collections::HashSet;

use serde::Serialize;

use super::fault::SqsFault;

/// The largest number of entries in one batch.
const MOST: usize = 10;

/// Checks the ids of a batch's entries, before the entries themselves.
///
/// # Errors
/// `EmptyBatchRequest`, `TooManyEntriesInBatchRequest`, `InvalidBatchEntryId` or
/// `BatchEntryIdsNotDistinct`. The whole batch then fails.
pub(super) fn check<'a>(ids: impl ExactSizeIterator<Item = &'a str>) -> Result<(), SqsFault> {
    match ids.len() {
        0 => return Err(SqsFault::EmptyBatchRequest),
        1..=MOST => {}
        more => return Err(SqsFault::TooManyEntriesInBatchRequest(more)),
    }
    let mut seen = HashSet::new();
    for id in ids {
        let plain = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
        if id.is_empty() || id.len() > 80 || !id.bytes().all(plain) {
            return Err(SqsFault::InvalidBatchEntryId);
        }
        if !seen.insert(id) {
            return Err(SqsFault::BatchEntryIdsNotDistinct(id.to_owned()));
        }
    }
    Ok(())
}

/// The answer to a batch. Every entry is in one of the lists.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct BatchAnswer<S> {
    successful: Vec<S>,
    failed: Vec<FailedEntry>,
}

impl<S> BatchAnswer<S> {
    /// Makes an answer without entries.
    pub(super) fn new() -> Self {
        Self { successful: Vec::new(), failed: Vec::new() }
    }

    /// Adds the result of one entry.
    pub(super) fn add(&mut self, id: &str, result: Result<S, SqsFault>) {
        match result {
            Ok(entry) => self.successful.push(entry),
            Err(fault) => self.failed.push(FailedEntry {
                id: id.to_owned(),
                sender_fault: fault.is_senders(),
                code: fault.code(),
                message: fault.to_string(),
            }),
        }
    }
}

/// An entry that failed while others may have succeeded.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct FailedEntry {
    id: String,
    sender_fault: bool,
    code: &'static str,
    message: String,
}

/// The answer to an entry that was deleted, or whose visibility was changed.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SettledEntry {
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
