//! `Timestamp` (RFC 3339) and `Duration` (seconds and an `s`).
//!
//! The calendar is proleptic Gregorian. It has no leap seconds, as in protobuf. Fractions have
//! three, six or nine digits when written and up to nine when read.

use std::fmt::Write as _;

use prost_types::{Duration, Timestamp};

use super::text;

text!(Timestamp, format_timestamp, parse_timestamp, "a time between the years 1 and 9999");
text!(Duration, format_duration, parse_duration, "a duration of at most 10000 years");

const NANOS: i32 = 1_000_000_000;
const DAY: i64 = 86_400;
/// The first and the last second of the years with four digits.
const YEARS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
/// The most seconds that protobuf allows in a duration; nanoseconds may be added.
const LONGEST: i64 = 315_576_000_000;

/// Returns `None` for a time that RFC 3339 cannot express.
fn format_timestamp(time: &Timestamp) -> Option<String> {
    if !YEARS.contains(&time.seconds) || !(0..NANOS).contains(&time.nanos) {
        return None;
    }
    let (year, month, day) = date(time.seconds.div_euclid(DAY));
    let second = time.seconds.rem_euclid(DAY);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    push_fraction(&mut text, time.nanos.unsigned_abs());
    text.push('Z');
    Some(text)
}

/// Parses a time with any offset from UTC.
fn parse_timestamp(text: &str) -> Option<Timestamp> {
    let (date, time) = text.split_once('T')?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let zone = time.find(['Z', '+', '-'])?;
    let (time, zone) = time.split_at_checked(zone)?;
    let (time, nanos) = split_fraction(time)?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    let is_date = (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
    if !is_date || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = days(year, month, day) * DAY + hour * 3600 + minute * 60 + second - offset(zone)?;
    YEARS.contains(&seconds).then_some(Timestamp { seconds, nanos })
}

/// Parses a time zone's offset from UTC, in seconds.
fn offset(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let [hours, minutes] = numbers(zone.get(1..)?, ':', [2, 2])?;
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 3600 + minutes * 60))
}

/// Returns `None` for a duration that protobuf does not allow: too long, or with parts of different signs.
fn format_duration(duration: &Duration) -> Option<String> {
    let Duration { seconds, nanos } = *duration;
    let signs_differ = (seconds > 0 && nanos < 0) || (seconds < 0 && nanos > 0);
    if seconds.unsigned_abs() > LONGEST.unsigned_abs()
        || nanos.unsigned_abs() >= NANOS.unsigned_abs()
        || signs_differ
    {
        return None;
    }
    let mut text = String::new();
    if seconds < 0 || nanos < 0 {
        text.push('-');
    }
    let _ = write!(text, "{}", seconds.abs());
    push_fraction(&mut text, nanos.unsigned_abs());
    text.push('s');
    Some(text)
}

/// Parses a duration. The sign precedes both parts.
fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.strip_suffix('s')?;
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let (seconds, nanos) = split_fraction(text)?;
    let seconds = i64::try_from(digits(seconds)?).ok()?;
    let seconds = i64::from(sign) * seconds;
    (seconds.abs() <= LONGEST).then_some(Duration { seconds, nanos: sign * nanos })
}

/// Appends the fraction: nothing, or as many groups of three digits as needed.
fn push_fraction(text: &mut String, nanos: u32) {
    let _ = match nanos {
        0 => Ok(()),
        _ if nanos.is_multiple_of(1_000_000) => write!(text, ".{:03}", nanos / 1_000_000),
        _ if nanos.is_multiple_of(1_000) => write!(text, ".{:06}", nanos / 1_000),
        _ => write!(text, ".{nanos:09}"),
    };
}

/// Splits off the fraction: the text before the point, and the nanoseconds after it.
fn split_fraction(text: &str) -> Option<(&str, i32)> {
    let Some((whole, fraction)) = text.split_once('.') else { return Some((text, 0)) };
    if fraction.len() > 9 {
        return None;
    }
    digits(fraction)?;
    Some((whole, format!("{fraction:0<9}").parse().ok()?))
}

/// Parses numbers of fixed lengths between separators.
fn numbers<const N: usize>(text: &str, separator: char, lengths: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; N];
    for (number, length) in numbers.iter_mut().zip(lengths) {
        let part = parts.next().filter(|part| part.len() == length)?;
        *number = i64::try_from(digits(part)?).ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

/// Parses digits only; Rust's parser also accepts a sign.
fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Returns the days from 1970-01-01 to a date of the Gregorian calendar. Years are counted from
/// March, so that the leap day is the last day; any 400 such years have the same number of days.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (cycle, year) = (year.div_euclid(400), year.rem_euclid(400));
    let day = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    cycle * 146_097 + year * 365 + year / 4 - year / 100 + day - 719_468
}

/// The inverse: the date of a day.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (cycle, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = (month + 2) % 12 + 1;
    (cycle * 400 + year + i64::from(month <= 2), month, day)
}

fn days_in(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_round_trips() {
        let last = days(9999, 12, 31);
        let mut day = days(1, 1, 1);
        assert_eq!((day * DAY, (last + 1) * DAY - 1), (*YEARS.start(), *YEARS.end()));
        while day <= last {
            let (year, month, of_month) = date(day);
            assert!((1..=12).contains(&month) && (1..=days_in(year, month)).contains(&of_month));
            assert_eq!(days(year, month, of_month), day);
            day += 1;
        }
    }

    #[test]
    fn timestamps_are_read_and_written() {
        for (text, seconds, nanos) in [
            ("1970-01-01T00:00:00Z", 0, 0),
            ("1969-12-31T23:59:59.500Z", -1, 500_000_000),
            ("2000-02-29T12:34:56.000001Z", 951_827_696, 1_000),
            ("9999-12-31T23:59:59.999999999Z", 253_402_300_799, 999_999_999),
        ] {
            let time = Timestamp { seconds, nanos };
            assert_eq!(parse_timestamp(text), Some(time), "{text}");
            assert_eq!(format_timestamp(&time).as_deref(), Some(text));
        }
        let shifted = parse_timestamp("1970-01-01T02:00:00.25+02:00");
        assert_eq!(shifted, Some(Timestamp { seconds: 0, nanos: 250_000_000 }));
    }

    #[test]
    fn invalid_timestamps_are_refused() {
        for text in [
            "",
            "1970-01-01",
            "1970-01-01t00:00:00Z",
            "1970-01-01T00:00:00z",
            "1970-1-1T00:00:00Z",
            "1970-01-01T00:00:00",
            "1970-01-01T00:00:00.Z",
            "2001-02-29T00:00:00Z",
            "1970-01-01T24:00:00Z",
            "0001-01-01T00:00:00+01:00",
            "1970-01-01T00:00:00ZZ",
            "1970-01-01T00:00:00+1:00",
            "1970-01-01T00:00:00+€",
            "10000-01-01T00:00:00Z",
        ] {
            assert_eq!(parse_timestamp(text), None, "{text}");
        }
        assert_eq!(format_timestamp(&Timestamp { seconds: 0, nanos: -1 }), None);
        assert_eq!(format_timestamp(&Timestamp { seconds: YEARS.end() + 1, nanos: 0 }), None);
    }

    #[test]
    fn durations_are_read_and_written() {
        for (text, seconds, nanos) in [
            ("0s", 0, 0),
            ("-0.500s", 0, -500_000_000),
            ("-3.000001s", -3, -1_000),
            ("315576000000.999999999s", LONGEST, 999_999_999),
        ] {
            let duration = Duration { seconds, nanos };
            assert_eq!(parse_duration(text), Some(duration), "{text}");
            assert_eq!(format_duration(&duration).as_deref(), Some(text));
        }
        for text in ["", "s", "1", "1.s", ".5s", "+1s", "--1s", "1 s", "315576000001s", "1e3s"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
        assert_eq!(format_duration(&Duration { seconds: 1, nanos: -1 }), None);
        assert_eq!(format_duration(&Duration { seconds: i64::MIN, nanos: 0 }), None);
    }
}
