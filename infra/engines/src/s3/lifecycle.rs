//! Lifecycles of buckets: objects expire, and uploads that nobody completes are aborted.

use std::sync::PoisonError;

use super::ObjectEngine;
use crate::error::Error;

/// A day in milliseconds.
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// The days that a bucket keeps objects and incomplete uploads.
#[derive(Clone, Copy, Debug)]
pub struct Lifecycle {
    /// The days until an object expires.
    pub object_days: i64,
    /// The days until an upload in parts that is not completed is aborted.
    pub upload_days: i64,
}

impl Lifecycle {
    /// Returns the latest beginning of what `days` have passed for. S3 adds the days to the beginning
    /// and rounds up to the next midnight, in UTC.
    fn latest(days: i64, now_ms: i64) -> i64 {
        now_ms.div_euclid(DAY_MS).saturating_sub(days).saturating_mul(DAY_MS)
    }
}

impl ObjectEngine {
    /// Removes what the lifecycles of the buckets end. Returns its number.
    pub(crate) fn sweep(&self) -> Result<usize, Error> {
        let shared = &self.shared;
        let buckets = shared.buckets.read().unwrap_or_else(PoisonError::into_inner).clone();
        let now_ms = (shared.clock)();
        let mut removed = 0_usize;
        for (bucket, lifecycle) in buckets {
            let objects = Lifecycle::latest(lifecycle.object_days, now_ms);
            let uploads = Lifecycle::latest(lifecycle.upload_days, now_ms);
            let (count, files) = shared.store.expire(&bucket, objects, uploads)?;
            shared.files.remove(&files);
            removed = removed.saturating_add(count);
        }
        Ok(removed)
    }
}
