//! The wall clock: reading it, arithmetic with its times, and their text formats.

mod arithmetic;
pub(crate) mod skew;
pub(crate) mod timer;

use std::time::SystemTime;

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

pub(crate) use self::arithmetic::{after, before, since};

/// Formats a time as `2026-11-24T04:59:36Z`. A time that RFC 3339 cannot represent is shown as seconds since 1970.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    let time = DateTime::from(time);
    DateTime::from_secs(time.secs()).fmt(Format::DateTime).unwrap_or_else(|_| format!("{}s", time.secs()))
}

/// Reads the clock of the system. Providers without a time source use it, and the stand-ins of `testing`.
#[allow(clippy::disallowed_methods, reason = "the only place that reads the clock of the system")]
pub(crate) fn system_now() -> SystemTime {
    SystemTime::now()
}

/// Parses an RFC 3339 date and time with any offset, with or without fractional seconds. Also accepts an offset without
/// a colon, such as `+0000`, which some servers send.
pub(crate) fn parse_rfc3339(text: &str) -> Option<SystemTime> {
    let text = text.trim();
    let with_colon = match text.len().checked_sub(5).and_then(|at| text.split_at_checked(at)) {
        Some((rest, offset)) if is_basic_offset(offset) => {
            offset.split_at_checked(3).map(|(h, m)| format!("{rest}{h}:{m}"))
        }
        _ => None,
    };
    let text = with_colon.as_deref().unwrap_or(text);
    SystemTime::try_from(DateTime::from_str(text, Format::DateTimeWithOffset).ok()?).ok()
}

/// Parses the value of a `Date` header, such as `Tue, 24 Nov 2026 04:59:36 GMT`.
pub(crate) fn parse_http_date(text: &str) -> Option<SystemTime> {
    SystemTime::try_from(DateTime::from_str(text.trim(), Format::HttpDate).ok()?).ok()
}

/// Formats the value of a `Date` header, for the stand-ins of `testing`.
pub(crate) fn http_date(time: SystemTime) -> String {
    DateTime::from_secs(DateTime::from(time).secs()).fmt(Format::HttpDate).unwrap_or_default()
}

fn is_basic_offset(offset: &str) -> bool {
    offset.starts_with(['+', '-']) && offset.bytes().skip(1).all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn parse_rfc3339_accepts_every_valid_form() {
        let expected = UNIX_EPOCH + Duration::from_secs(1_795_496_376);
        for text in [
            "2026-11-24T04:59:36Z",
            "2026-11-24T04:59:36.000Z",
            "2026-11-24T04:59:36.000000Z",
            "2026-11-24T04:59:36.000000000Z",
            "2026-11-24T06:59:36+02:00",
            "2026-11-24T04:59:36+0000",
            "2026-11-24T02:59:36-0200",
            " 2026-11-24T04:59:36Z\n",
        ] {
            assert_eq!(parse_rfc3339(text), Some(expected), "{text}");
        }
        assert_eq!(rfc3339(expected + Duration::from_millis(700)), "2026-11-24T04:59:36Z");
        let milli = parse_rfc3339("2026-11-24T04:59:36.123Z").unwrap();
        assert_eq!(milli, expected + Duration::from_millis(123));
    }

    #[cfg(all(feature = "diagnose", feature = "testing"))]
    #[test]
    fn http_date_round_trips() {
        let expected = UNIX_EPOCH + Duration::from_secs(1_795_496_376);
        assert_eq!(http_date(expected), "Tue, 24 Nov 2026 04:59:36 GMT");
        assert_eq!(parse_http_date("Tue, 24 Nov 2026 04:59:36 GMT"), Some(expected));
        assert_eq!(parse_http_date("2026-11-24T04:59:36Z"), None);
    }

    #[test]
    fn parse_rfc3339_rejects_invalid_times() {
        for text in
            ["", "never", "2026-11-24", "2026-13-24T04:59:36Z", "1795496376", "+0000", "é+000", "2026-11-24T04:59:36"]
        {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
    }
}
