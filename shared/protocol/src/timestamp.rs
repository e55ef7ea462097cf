//! RFC 3339 timestamps, read into and written from epoch milliseconds (`docs/protocol.md`, section
//! 1).
//!
//! ```text
//! 2026-01-29T19:30:00.007Z
//! date       time     .fraction, optional
//!                         Z or an offset such as +01:00
//! 2026-01-29T19:30Z       without seconds, as ActivityStreams 2.0 (section 2.3) allows
//! ```

use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use crate::Invalid;

/// 0001-01-01T00:00:00Z in epoch milliseconds; RFC 3339 years have four digits.
const EARLIEST_MS: i64 = -62_135_596_800_000;
/// A timestamp up to its minutes, which is as long in every year.
const MINUTES: &str = "2026-01-29T19:30";
/// 9999-12-31T23:59:59.999Z in epoch milliseconds.
const LATEST_MS: i64 = 253_402_300_799_999;

/// Reads a timestamp of ActivityStreams 2.0, with any offset, and returns epoch milliseconds,
/// rounded down: one of RFC 3339, or one that leaves out the seconds.
///
/// ```
/// use eko_protocol::timestamp;
///
/// assert_eq!(timestamp::parse("2026-01-29T20:30:00.5+01:00"), Ok(1_769_715_000_500));
/// assert_eq!(timestamp::parse("2026-01-29T19:30Z"), Ok(1_769_715_000_000));
/// assert!(timestamp::parse("2026-01-29").is_err());
/// ```
///
/// # Errors
/// [`Invalid`] if the text is no such timestamp.
pub fn parse(text: &str) -> Result<i64, Invalid> {
    match text.split_at_checked(MINUTES.len()) {
        Some((minutes, offset)) if offset.starts_with(['Z', 'z', '+', '-']) => {
            parse_rfc_3339(&format!("{minutes}:00{offset}"))
        }
        _ => parse_rfc_3339(text),
    }
}

/// Reads an RFC 3339 timestamp, which has seconds.
fn parse_rfc_3339(text: &str) -> Result<i64, Invalid> {
    let moment = OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| Invalid::whole("must be an RFC 3339 timestamp, such as 2026-01-29T19:30:00Z"))?;
    let ms = moment.unix_timestamp_nanos().div_euclid(1_000_000);
    i64::try_from(ms).map_err(|_| Invalid::whole("is too far away"))
}

/// Reads an RFC 3339 timestamp, with seconds, whose offset is written `Z` and returns epoch milliseconds, rounded
/// down.
///
/// ```
/// use eko_protocol::timestamp;
///
/// assert_eq!(timestamp::parse_utc("2026-01-29T19:30:00Z"), Ok(1_769_715_000_000));
/// assert!(timestamp::parse_utc("2026-01-29T20:30:00+01:00").is_err());
/// ```
///
/// # Errors
/// [`Invalid`] if the text is not an RFC 3339 timestamp or has another offset than `Z`.
pub fn parse_utc(text: &str) -> Result<i64, Invalid> {
    if !text.ends_with('Z') {
        return Err(Invalid::whole("must be an RFC 3339 timestamp in UTC, such as 2026-01-29T19:30:00Z"));
    }
    parse_rfc_3339(text)
}

/// Writes epoch milliseconds as an RFC 3339 timestamp in UTC. A fraction is written only if it is
/// not zero. A time outside the years 1 to 9999 becomes the nearest time inside them.
///
/// ```
/// use eko_protocol::timestamp;
///
/// assert_eq!(timestamp::format(1_769_715_000_007), "2026-01-29T19:30:00.007Z");
/// ```
pub fn format(epoch_ms: i64) -> String {
    let nanos = i128::from(epoch_ms.clamp(EARLIEST_MS, LATEST_MS)).saturating_mul(1_000_000);
    OffsetDateTime::from_unix_timestamp_nanos(nanos)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
        .to_offset(UtcOffset::UTC)
        .format(&Rfc3339)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_and_writes_the_usual_forms() {
        assert_eq!(parse("2026-01-29T19:30:00Z"), Ok(1_769_715_000_000));
        assert_eq!(parse("2026-01-29T20:30:00.5+01:00"), Ok(1_769_715_000_500));
        assert_eq!(format(1_769_715_000_000), "2026-01-29T19:30:00Z");
        assert_eq!(format(1_769_715_000_007), "2026-01-29T19:30:00.007Z");
        assert_eq!(format(i64::MAX), "9999-12-31T23:59:59.999Z");
        assert_eq!(format(i64::MIN), "0001-01-01T00:00:00Z");
    }

    #[test]
    fn seconds_may_be_left_out_of_what_is_not_signed() {
        assert_eq!(parse("2026-01-29T19:30Z"), Ok(1_769_715_000_000));
        assert_eq!(parse("2026-01-29T20:30+01:00"), Ok(1_769_715_000_000));
        for text in [
            "2026-01-29T19:30",
            "2026-01-29T19Z",
            "2026-01-29T19:30.5Z",
            "2026-01-29T19:3Z",
            "2026-01-29T19:60Z",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse_utc("2026-01-29T19:30Z").is_err());
    }

    #[test]
    fn refuses_what_is_not_rfc_3339() {
        for text in [
            "",
            "2026-01-29",
            "2026-01-29T19:30:00",
            "2026-02-30T00:00:00Z",
            "1769715000",
            "2026-01-29T19:30:00Z ",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse_utc("2026-01-29T20:30:00+01:00").is_err());
        assert!(parse_utc("2026-01-29T20:30:00Z").is_ok());
    }

    proptest! {
        #[test]
        fn round_trip(ms in EARLIEST_MS..=LATEST_MS) {
            let text = format(ms);
            prop_assert_eq!(parse_utc(&text), Ok(ms));
        }

        #[test]
        fn any_text_is_read_without_panic(text in ".{0,40}") {
            let _ = parse(&text);
        }
    }
}
