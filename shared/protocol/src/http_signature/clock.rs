//! The times of a signature.

use std::time::{Duration, SystemTime};

use super::SignatureFault;

/// 9999-12-31T23:59:59Z in epoch milliseconds: HTTP dates have four digits for the year.
const LATEST_MS: i64 = 253_402_300_799_000;

/// The current time, and the accepted difference to a sender's clock, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimeWindow {
    pub(super) now_ms: i64,
    pub(super) window_ms: i64,
}

impl TimeWindow {
    /// Checks a `Date` header (RFC 9110, section 5.6.7).
    pub(super) fn check_date(self, text: &str) -> Result<(), SignatureFault> {
        let fault = || SignatureFault::Unreadable("date".to_owned());
        let date = httpdate::parse_http_date(text).map_err(|_| fault())?;
        let since_epoch = date.duration_since(SystemTime::UNIX_EPOCH).map_err(|_| fault())?;
        self.check_made(i64::try_from(since_epoch.as_millis()).map_err(|_| fault())?)
    }

    /// Checks a `created` parameter, in epoch seconds.
    pub(super) fn check_created(self, epoch_s: i64) -> Result<(), SignatureFault> {
        self.check_made(epoch_s.saturating_mul(1000))
    }

    /// Checks an `expires` parameter, in epoch seconds. The window does not extend it.
    pub(super) fn check_expires(self, epoch_s: i64) -> Result<(), SignatureFault> {
        if epoch_s.saturating_mul(1000) < self.now_ms { Err(SignatureFault::Expired) } else { Ok(()) }
    }

    /// Checks that a signature was made within the window, before or after the current time.
    fn check_made(self, epoch_ms: i64) -> Result<(), SignatureFault> {
        let ahead_ms = epoch_ms.saturating_sub(self.now_ms);
        if ahead_ms > self.window_ms {
            Err(SignatureFault::TooNew)
        } else if ahead_ms < self.window_ms.saturating_neg() {
            Err(SignatureFault::TooOld)
        } else {
            Ok(())
        }
    }
}

/// Returns the value of a `Date` header. A time outside the years 1970 to 9999 becomes the nearest
/// time inside them.
pub(super) fn http_date(epoch_ms: i64) -> String {
    let ms = u64::try_from(epoch_ms.clamp(0, LATEST_MS)).unwrap_or_default();
    let date = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(ms));
    httpdate::fmt_http_date(date.unwrap_or(SystemTime::UNIX_EPOCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_every_age() {
        assert_eq!(http_date(1_388_957_500_999), "Sun, 05 Jan 2014 21:31:40 GMT");
        assert_eq!(http_date(i64::MIN), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(http_date(i64::MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
    }

    #[test]
    fn the_window_reaches_both_ways() {
        let clock = TimeWindow { now_ms: 1_388_957_500_000, window_ms: 300_000 };
        for (text, expected) in [
            ("Sun, 05 Jan 2014 21:31:40 GMT", Ok(())),
            ("Sun, 05 Jan 2014 21:26:40 GMT", Ok(())),
            ("Sun, 05 Jan 2014 21:36:40 GMT", Ok(())),
            ("Sun, 05 Jan 2014 21:26:39 GMT", Err(SignatureFault::TooOld)),
            ("Sun, 05 Jan 2014 21:36:41 GMT", Err(SignatureFault::TooNew)),
            ("Sunday, 05-Jan-14 21:31:40 GMT", Ok(())),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Err(SignatureFault::TooOld)),
            ("2014-01-05T21:31:40Z", Err(SignatureFault::Unreadable("date".to_owned()))),
            ("Sun, 05 Jan 2014 21:31:40 +0100", Err(SignatureFault::Unreadable("date".to_owned()))),
            ("", Err(SignatureFault::Unreadable("date".to_owned()))),
        ] {
            assert_eq!(clock.check_date(text), expected, "{text}");
        }
        for (epoch_s, expected) in [
            (1_388_957_200, Ok(())),
            (1_388_957_199, Err(SignatureFault::TooOld)),
            (1_388_957_801, Err(SignatureFault::TooNew)),
            (i64::MAX, Err(SignatureFault::TooNew)),
            (i64::MIN, Err(SignatureFault::TooOld)),
        ] {
            assert_eq!(clock.check_created(epoch_s), expected, "{epoch_s}");
        }
        assert_eq!(clock.check_expires(1_388_957_500), Ok(()));
        assert_eq!(clock.check_expires(1_388_957_499), Err(SignatureFault::Expired));
    }
}
