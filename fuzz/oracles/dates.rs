//! A date is parsed to the same time as by a second, simple parser, and formatted so that it is parsed to the same time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::clock;

const NANOS: i128 = 1_000_000_000;

/// Uses the input as a date, and its first twelve bytes as a time.
pub fn dates(input: &[u8]) {
    if let Ok(text) = std::str::from_utf8(input) {
        let parsed = clock::parse_rfc3339(text);
        // A leap second is parsed as the second before it. The simple parser does not know leap seconds.
        if !text.contains(":60") {
            assert_eq!(parsed.map(nanos), reference_parse(text.trim()), "{text:?}");
        }
        if let Some(time) = parsed {
            assert_round_trip(time);
        }
    }
    let mut bytes = [0; 12];
    bytes.iter_mut().zip(input).for_each(|(byte, &from)| *byte = from);
    let [a, b, c, d, e, f, g, h, nanos @ ..] = bytes;
    let seconds = i64::from_le_bytes([a, b, c, d, e, f, g, h]);
    let nanos = u64::from(u32::from_le_bytes(nanos) % 1_000_000_000);
    // Seconds of the full range of 64 bits, and of the range that has a date.
    for seconds in [seconds, seconds % 300_000_000_000] {
        let span = Duration::from_secs(seconds.unsigned_abs());
        let time = if seconds < 0 { UNIX_EPOCH.checked_sub(span) } else { UNIX_EPOCH.checked_add(span) };
        if let Some(time) = time.and_then(|time| time.checked_add(Duration::from_nanos(nanos))) {
            assert_round_trip(time);
        }
    }
}

/// Formatted times have whole seconds. A time outside the years 1 to 9999 is formatted as a number of seconds.
fn assert_round_trip(time: SystemTime) {
    let shown = clock::rfc3339(time);
    let seconds = nanos(time).div_euclid(NANOS);
    match shown.strip_suffix('s') {
        Some(number) => {
            assert_eq!(number.parse(), Ok(seconds));
            assert!(!(-62_135_596_800..253_402_300_800).contains(&seconds), "{shown} has a date");
        }
        None => {
            assert_eq!(shown.len(), 20, "{shown}");
            assert_eq!(clock::parse_rfc3339(&shown).map(nanos), Some(seconds * NANOS), "{shown}");
        }
    }
}

fn nanos(time: SystemTime) -> i128 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => after.as_nanos() as i128,
        Err(before) => -(before.duration().as_nanos() as i128),
    }
}

/// Parses RFC 3339 literally, and also offsets without a colon (`+0000`). Returns nanoseconds since 1970.
fn reference_parse(text: &str) -> Option<i128> {
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<i128>().ok())?;
    let part = |from: usize, to: usize| number(text.get(from..to)?);
    let is = |at: usize, expected: &[u8]| text.as_bytes().get(at).is_some_and(|b| expected.contains(b));
    if !(is(4, b"-") && is(7, b"-") && is(10, b"Tt") && is(13, b":") && is(16, b":")) {
        return None;
    }
    let (year, month, day) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
    let (hour, minute, second) = (part(11, 13)?, part(14, 16)?, part(17, 19)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let before = days.get(..usize::try_from(month).ok()?.checked_sub(1)?)?;
    let in_month = *days.get(before.len())?;
    if !(1..=in_month).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (fraction, zone) = match text.get(19..)?.strip_prefix('.') {
        None => (0, text.get(19..)?),
        Some(rest) => {
            let (digits, zone) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
            // Digits after the nanoseconds are ignored.
            let nine = format!("{digits:0<9}");
            (if digits.is_empty() { return None } else { number(&nine[..9])? }, zone)
        }
    };
    let offset = offset(zone)?;
    // There are 719,162 days from 0001-01-01 to 1970-01-01.
    let years = year - 1;
    let leap_days = years.div_euclid(4) - years.div_euclid(100) + years.div_euclid(400);
    let days = years * 365 + leap_days + before.iter().sum::<i128>() + day - 1 - 719_162;
    Some((days * 86_400 + hour * 3600 + minute * 60 + second - offset) * NANOS + fraction)
}

/// The offset of a time zone, in seconds.
fn offset(zone: &str) -> Option<i128> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, rest) = zone.split_at_checked(1)?;
    let digits =
        if rest.len() == 5 && rest.get(2..3) == Some(":") { rest.replacen(':', "", 1) } else { rest.to_owned() };
    if digits.len() != 4 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes): (i128, i128) = (digits[..2].parse().ok()?, digits[2..].parse().ok()?);
    let sign = [("+", 1), ("-", -1)].into_iter().find(|(s, _)| *s == sign)?.1;
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 3600 + minutes * 60))
}
