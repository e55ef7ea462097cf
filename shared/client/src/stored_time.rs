//! Times that this device has stored, or remembers, by a clock that may have been wrong.
//!
//! A clock that was ahead once leaves times that are yet to come: the beginning of a pause, or the end of
//! a lease. Nothing that waits for them would happen until the true time has caught up. So there is one
//! rule: **a stored time that lies further ahead than it can have been put says nothing, and what waits
//! for it is due.** The beginning of anything cannot lie ahead, but for the minute by which two processes
//! may disagree: one may have read the clock before it waited for the other's transaction.

/// The time by which a stored beginning may lie ahead.
pub(crate) const TOLERANCE_MS: i64 = 60_000;

/// Returns the age of a stored time, or `None` if it lies ahead by more than `tolerance_ms`.
pub(crate) fn age_ms(now_ms: i64, stored_ms: i64, tolerance_ms: i64) -> Option<i64> {
    let age_ms = now_ms.saturating_sub(stored_ms);
    (age_ms >= tolerance_ms.saturating_neg()).then(|| age_ms.max(0))
}

/// True if a pause that began at a stored time is over.
pub(crate) fn is_over(now_ms: i64, since_ms: i64, pause_ms: i64) -> bool {
    age_ms(now_ms, since_ms, TOLERANCE_MS).is_none_or(|age_ms| age_ms >= pause_ms)
}

/// True if a term that ends at a stored time goes on. It was put for `longest_ms` at most.
pub(crate) fn lasts(now_ms: i64, until_ms: i64, longest_ms: i64) -> bool {
    !is_over(now_ms, until_ms.saturating_sub(longest_ms), longest_ms)
}

#[cfg(test)]
mod tests {
    use super::{age_ms, is_over, lasts};

    #[test]
    fn what_lies_further_ahead_than_it_can_have_been_put_says_nothing() {
        assert_eq!([90, 100, 101].map(|stored| age_ms(100, stored, 0)), [Some(10), Some(0), None]);
        assert_eq!([105, 106].map(|stored| age_ms(100, stored, 5)), [Some(0), None]);
        assert_eq!(
            [50, 90, 91, 100, 60_100, 60_101].map(|since| is_over(100, since, 10)),
            [true, true, false, false, false, true]
        );
        assert_eq!([100, 101, 60_110, 60_111].map(|until| lasts(100, until, 10)), [false, true, true, false]);
        assert!(is_over(0, i64::MAX, 10) && is_over(0, i64::MIN, 10) && !lasts(0, i64::MAX, 10));
        assert!(!lasts(0, i64::MIN, 10));
    }
}
