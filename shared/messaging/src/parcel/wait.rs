//! The time between two attempts at a parcel.

/// The shortest wait that [`next_ms`] gives, in milliseconds.
pub(super) const SHORTEST_MS: i64 = 5_000;
/// The longest wait that [`next_ms`] gives, in milliseconds: 3 hours.
const LONGEST_MS: i64 = 3 * 3_600_000;
/// The most that chance adds to a wait, in milliseconds. Parcels that failed together are then not
/// tried again together.
const JITTER_MS: i64 = 2_000;

/// Returns the time of the next attempt at a parcel that was first tried at `first_ms`. The next
/// wait is as long as the time since then, so the waits double without a counter. Both times and
/// the result are in epoch milliseconds.
pub(super) fn next_ms(first_ms: i64, now_ms: i64) -> i64 {
    let waited = now_ms.saturating_sub(first_ms).clamp(SHORTEST_MS, LONGEST_MS);
    now_ms.saturating_add(waited)
}

/// Adds up to two seconds to a time, by two random bytes.
pub(super) fn with_jitter(at_ms: i64, random: [u8; 2]) -> i64 {
    let chance = i64::from(u16::from_be_bytes(random));
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
        assert_eq!(attempts.get(..5), Some([0, 5_000, 10_000, 20_000, 40_000].as_slice()));
        let last: Vec<i64> = attempts.windows(2).filter_map(|two| Some(two.get(1)? - two.first()?)).collect();
        assert_eq!(last.last(), Some(&LONGEST_MS));
        assert!((20..40).contains(&attempts.len()), "{} attempts in two days", attempts.len());
    }

    #[test]
    fn chance_adds_less_than_two_seconds() {
        assert_eq!(with_jitter(7, [0, 0]), 7);
        assert_eq!(with_jitter(7, [255, 255]), 7 + JITTER_MS - 1);
    }
}
