//! The difference between this machine's clock and a server's, which is in the header `Date` of its answers.
//!
//! A server can lie about the time. So the difference explains what this device refuses by its own clock, and
//! is told to the user. It makes nothing believed.

use std::fmt;
use std::time::UNIX_EPOCH;

use http::header;

use crate::Exchange;
use crate::stored_time::{TOLERANCE_MS, age_ms};

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// The difference from which on a user is told of it. Others do not show the times of a clock that is so
/// far ahead.
pub const CLOCK_TOLD_MS: u64 = 10 * MINUTE_MS;

/// The difference between this machine's clock and that of its server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockDifference {
    /// The host of the server, and the port if there is one.
    pub server: String,
    /// The time by which this machine's clock is ahead, in milliseconds. It is negative if the clock is
    /// behind.
    pub ahead_ms: i64,
}

impl ClockDifference {
    /// True if it is worth a word to the user.
    pub fn is_told(&self) -> bool {
        self.ahead_ms.unsigned_abs() >= CLOCK_TOLD_MS
    }

    /// True if it is a day or more, so that this device misjudges the age of what it knows.
    pub fn misleads(&self) -> bool {
        self.ahead_ms.unsigned_abs() >= DAY_MS
    }
}

impl fmt::Display for ClockDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let apart_ms = self.ahead_ms.unsigned_abs();
        let (unit_ms, unit) = match apart_ms {
            ..HOUR_MS => (MINUTE_MS, "minute"),
            HOUR_MS..DAY_MS => (HOUR_MS, "hour"),
            DAY_MS.. => (DAY_MS, "day"),
        };
        // Half a unit more is one more: the header has whole seconds, and the way takes time.
        let count = apart_ms.saturating_add(unit_ms / 2) / unit_ms;
        let plural = if count == 1 { "" } else { "s" };
        let side = if self.ahead_ms < 0 { "behind" } else { "ahead of" };
        write!(
            f,
            "the clock of this machine is {count} {unit}{plural} {side} that of the server {}",
            self.server
        )
    }
}

/// The comparison of this machine's clock with that of the server that gave an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClockReading {
    /// The time by which this machine's clock is ahead, in milliseconds.
    pub(crate) ahead_ms: i64,
    /// The time of the answer by this machine's clock, in epoch milliseconds.
    read_ms: i64,
}

impl ClockReading {
    /// Returns the comparison by an answer, or `None` if that does not name the time.
    pub(crate) fn of(answer: &Exchange, now_ms: i64) -> Option<Self> {
        let date = httpdate::parse_http_date(answer.headers.get(header::DATE)?.to_str().ok()?).ok()?;
        let date_ms = date.duration_since(UNIX_EPOCH).ok()?.as_millis();
        let ahead_ms = now_ms.saturating_sub(i64::try_from(date_ms).ok()?);
        Some(Self { ahead_ms, read_ms: now_ms })
    }

    /// Returns the earlier time of both clocks. Returns `None` if the answer is a day old by this machine's
    /// clock, which may have been set since.
    pub(crate) fn retention_ms(self, now_ms: i64) -> Option<i64> {
        let age_ms = age_ms(now_ms, self.read_ms, TOLERANCE_MS)?;
        (age_ms.unsigned_abs() < DAY_MS).then(|| now_ms.saturating_sub(self.ahead_ms.max(0)))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue, StatusCode};

    use super::*;

    #[test]
    fn a_difference_is_told_in_the_largest_unit() {
        let told = |ahead_ms: i64| ClockDifference { server: "a.example".to_owned(), ahead_ms }.to_string();
        let (minute, hour, day) = (60_000, 3_600_000, 86_400_000);
        for (ahead_ms, words) in [
            (10 * minute, "10 minutes ahead of"),
            (-hour, "1 hour behind"),
            (40 * day - 900, "40 days ahead of"),
            (-100 * day, "100 days behind"),
        ] {
            let due = format!("the clock of this machine is {words} that of the server a.example");
            assert_eq!(told(ahead_ms), due);
        }
        assert!(told(i64::MIN).contains("behind"));
    }

    #[test]
    fn the_date_of_an_answer_is_compared() {
        let answer = |date: &'static str| {
            let headers = HeaderMap::from_iter([(header::DATE, HeaderValue::from_static(date))]);
            Exchange { status: StatusCode::OK, headers, body: Bytes::new() }
        };
        let ahead = |date, now_ms| ClockReading::of(&answer(date), now_ms).map(|reading| reading.ahead_ms);
        assert_eq!(ahead("Thu, 01 Jan 1970 00:01:00 GMT", 61_500), Some(1_500));
        assert_eq!(ahead("Thu, 01 Jan 1970 00:01:00 GMT", 0), Some(-60_000));
        assert_eq!(ahead("yesterday", 0), None);
        assert_eq!(ahead("Fri, 31 Dec 9999 23:59:59 GMT", i64::MIN), Some(i64::MIN));
    }

    #[test]
    fn what_is_kept_ages_by_the_clock_that_is_behind() {
        let (minute, day) = (60_000, 86_400_000);
        let reading = |ahead_ms| ClockReading { ahead_ms, read_ms: 1_000 * day };
        let aged = |ahead_ms, later_ms| reading(ahead_ms).retention_ms(1_000 * day + later_ms);
        assert_eq!(aged(0, minute), Some(1_000 * day + minute));
        assert_eq!(aged(400 * day, minute), Some(600 * day + minute), "the machine is ahead");
        assert_eq!(aged(-400 * day, minute), Some(1_000 * day + minute), "the server is ahead");
        assert_eq!([aged(0, day), aged(0, -day)], [None, None], "the clock was set since");
    }
}
