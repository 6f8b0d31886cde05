//! The header `grpc-timeout`: a number of at most eight digits, and a unit.

use std::time::Duration;

use hyper::http::header::{HeaderName, HeaderValue};

/// The header with the call's timeout.
pub(crate) const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// The units and their lengths in nanoseconds, shortest first.
const UNITS: [(char, u128); 6] = [
    ('n', 1),
    ('u', 1_000),
    ('m', 1_000_000),
    ('S', 1_000_000_000),
    ('M', 60_000_000_000),
    ('H', 3_600_000_000_000),
];

/// The largest number that eight digits can write.
const MAX: u128 = 99_999_999;

/// Writes a timeout in the finest unit that holds it, rounded up: the client's own timer is the
/// first to fire. Returns `None` for a timeout of more than eleven thousand years.
pub(crate) fn write(timeout: Duration) -> Option<HeaderValue> {
    let (number, unit) = UNITS
        .iter()
        .map(|(unit, length)| (timeout.as_nanos().div_ceil(*length), unit))
        .find(|(number, _)| *number <= MAX)?;
    let mut value = HeaderValue::try_from(format!("{number}{unit}")).ok()?;
    // It differs from call to call: HPACK must not replace headers that recur with it.
    value.set_sensitive(true);
    Some(value)
}

/// Reads a timeout. Returns `None` if the value is invalid.
pub(crate) fn read(value: &HeaderValue) -> Option<Duration> {
    let text = value.to_str().ok()?;
    let (unit, length) = UNITS.iter().find(|(unit, _)| text.ends_with(*unit))?;
    let digits = text.strip_suffix(*unit)?;
    if !(1..=8).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nanoseconds = digits.parse::<u128>().ok()? * length;
    let seconds = u64::try_from(nanoseconds / 1_000_000_000).ok()?;
    let rest = u32::try_from(nanoseconds % 1_000_000_000).ok()?;
    Some(Duration::new(seconds, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_written_in_the_finest_unit_and_never_shortened() {
        for (timeout, expected) in [
            (Duration::ZERO, "0n"),
            (Duration::from_nanos(1), "1n"),
            (Duration::from_millis(99), "99000000n"),
            (Duration::from_millis(100), "100000u"),
            (Duration::from_mins(1), "60000000u"),
            (Duration::new(100, 1), "100001m"),
            (Duration::from_hours(24 * 365), "31536000S"),
        ] {
            let written = write(timeout).unwrap();
            assert_eq!(written, expected);
            assert!(read(&written).unwrap() >= timeout);
        }
        assert_eq!(write(Duration::MAX), None);
    }

    #[test]
    fn invalid_timeouts_are_rejected() {
        for text in ["", "S", "1", "1s", "-1S", "+1S", "123456789S", "1 S", "1.5S", "0x1S"] {
            assert_eq!(read(&HeaderValue::from_static(text)), None, "{text}");
        }
        let longest = read(&HeaderValue::from_static("99999999H"));
        assert_eq!(longest, Some(Duration::from_hours(99_999_999)));
    }
}
