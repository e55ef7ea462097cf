//! How long a message waits for its next attempt.

use eko_service::AppState;

/// The shortest wait, in milliseconds.
const SHORTEST_MS: i64 = 5_000;
/// The longest, in milliseconds: 3 hours.
const LONGEST_MS: i64 = 3 * 3_600_000;
/// Most of what chance adds, in milliseconds, so that what failed together does not come back together.
const JITTER_MS: i64 = 2_000;

/// When a message that was first tried at `first_ms` is tried next: after as long again as it has waited. So
/// the waits double without anyone counting them.
pub(crate) fn next_ms(first_ms: i64, now_ms: i64) -> i64 {
    let waited = now_ms.saturating_sub(first_ms).clamp(SHORTEST_MS, LONGEST_MS);
    now_ms.saturating_add(waited)
}

/// A time, and up to two seconds.
pub(crate) fn with_jitter(state: &AppState, at_ms: i64) -> i64 {
    let [high, low] = state.random::<2>();
    let chance = i64::from(u16::from_be_bytes([high, low]));
    at_ms.saturating_add(chance.saturating_mul(JITTER_MS).div_euclid(65_536))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_three_hours() {
        let mut now = 0;
        let mut attempts = Vec::new();
        while now < 48 * 3_600_000 {
            attempts.push(now);
            now = next_ms(0, now);
        }
        assert_eq!(&attempts[..5], [0, 5_000, 10_000, 20_000, 40_000]);
        let last = attempts.windows(2).last().unwrap();
        assert_eq!(last[1] - last[0], LONGEST_MS);
        assert!((20..40).contains(&attempts.len()), "{} attempts in two days", attempts.len());
    }
}
