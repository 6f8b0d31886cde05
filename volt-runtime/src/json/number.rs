//! Reads and parses numbers, which JSON may hold as numbers or as text.
//!
//! Peers differ: 64-bit integers come as text or as numbers, and some languages write `1.0` or `1e3` for an
//! integer. All of these are read, exactly, and out of range is an error.

use std::fmt;

use serde::{
    Deserializer,
    de::{Error, IntoDeserializer, Unexpected, Visitor},
};

/// Parses an integer as text, with JSON's number syntax: `1e3` is valid, `+1` and `01` are not.
pub(super) fn parse_integer(text: &str) -> Option<i128> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit())
        && !(digits.starts_with('0') && digits.len() > 1);
    match digits.len() {
        // These fit an `i64`, which is faster to parse.
        1..=18 if plain => text.parse::<i64>().ok().map(Into::into),
        // A 64-bit integer has at most 20 digits; longer text may still be a float.
        19..=20 if plain => text.parse().ok(),
        _ => parse_scientific(text),
    }
}

/// Parses an integer with a fraction or an exponent, exactly.
fn parse_scientific(text: &str) -> Option<i128> {
    // Checks the syntax.
    parse_float(text)?;
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (mantissa, exponent) = digits.split_once(['e', 'E']).unwrap_or((digits, "0"));
    let exponent: i64 = exponent.parse().ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = [whole, fraction].concat();
    let significant = all.trim_end_matches('0');
    let significant = significant.trim_start_matches('0');
    if significant.is_empty() {
        return Some(0);
    }
    let dropped = all.len() - all.trim_end_matches('0').len();
    // The power of ten after the last significant digit.
    let power = exponent
        .checked_add(i64::try_from(dropped).ok()?)?
        .checked_sub(i64::try_from(fraction.len()).ok()?)?;
    let power = u32::try_from(power).ok()?;
    let value = significant.parse::<i128>().ok()?.checked_mul(10_i128.checked_pow(power)?)?;
    Some(if negative { -value } else { value })
}

/// Parses a number as text, with JSON's syntax: Rust's own parser also accepts `.5` and `inf`.
fn parse_float(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    let starts = bytes.first().is_some_and(|&byte| byte == b'-' || byte.is_ascii_digit());
    let ends = bytes.last().is_some_and(u8::is_ascii_digit);
    // serde_json would skip whitespace at either end.
    if starts && ends { serde_json::from_str(text).ok() } else { None }
}

/// The largest magnitude to consider: the range of each type is checked afterwards.
const LARGEST: f64 = 1e20;

/// The integer that a float holds. JSON readers have already rounded a number with more digits.
fn integral(value: f64) -> Option<i128> {
    #[expect(clippy::cast_possible_truncation, reason = "it was checked")]
    (value.fract() == 0.0 && value.abs() <= LARGEST).then_some(value as i128)
}

/// Reads any integer. One visitor for all widths.
pub(super) fn read_integer<'de, T, D>(input: D, expected: &'static str) -> Result<T, D::Error>
where
    T: TryFrom<i128>,
    D: Deserializer<'de>,
{
    let value = input.deserialize_any(IntegerVisitor { expected })?;
    T::try_from(value)
        .map_err(|_| D::Error::custom(format_args!("{value} is out of range for {expected}")))
}

/// Converts an integer that the visitor of another type has received.
pub(super) fn visited_integer<'de, T, V, E>(value: V) -> Result<T, E>
where
    T: TryFrom<i128>,
    V: IntoDeserializer<'de, E>,
    E: Error,
{
    read_integer(value.into_deserializer(), "an int32")
}

/// Reads an integer as an `i128`, which holds all widths, so that its code is compiled once.
struct IntegerVisitor {
    expected: &'static str,
}

impl Visitor<'_> for IntegerVisitor {
    type Value = i128;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<i128, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<i128, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<i128, E> {
        integral(value).ok_or_else(|| E::invalid_value(Unexpected::Float(value), &self))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<i128, E> {
        parse_integer(value).ok_or_else(|| E::invalid_value(Unexpected::Str(value), &self))
    }
}

/// The values for which JSON has no numbers.
const NOT_FINITE: [(&str, f64); 3] =
    [("NaN", f64::NAN), ("Infinity", f64::INFINITY), ("-Infinity", f64::NEG_INFINITY)];

/// Reads a float from a number, from a number as text, or from the name of a value that is not finite.
pub(super) struct FloatVisitor;

impl Visitor<'_> for FloatVisitor {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    #[expect(clippy::cast_precision_loss, reason = "the nearest float is intended")]
    fn visit_i64<E: Error>(self, value: i64) -> Result<f64, E> {
        Ok(value as f64)
    }

    #[expect(clippy::cast_precision_loss, reason = "the nearest float is intended")]
    fn visit_u64<E: Error>(self, value: u64) -> Result<f64, E> {
        Ok(value as f64)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<f64, E> {
        Ok(value)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<f64, E> {
        let special = NOT_FINITE.iter().find(|(name, _)| *name == text);
        special
            .map(|(_, value)| *value)
            .or_else(|| parse_float(text))
            .ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

/// Returns the name of a number for which JSON has no form.
pub(super) fn not_finite(value: f64) -> Option<&'static str> {
    let same = |other: f64| value.total_cmp(&other).is_eq() || (value.is_nan() && other.is_nan());
    NOT_FINITE.iter().find(|(_, other)| same(*other)).map(|(name, _)| *name)
}
