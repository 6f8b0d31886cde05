//! Checks the default values of fields in proto2.

use std::str::FromStr;

use prost_types::field_descriptor_proto::Type;

/// Returns whether the text in a descriptor is a default of this type. `is_value` looks up an enum's
/// value.
pub(super) fn fits(ty: Type, text: &str, is_value: impl Fn(&str) -> bool) -> bool {
    match ty {
        Type::Double | Type::Float => is_float(text),
        Type::Int32 | Type::Sint32 | Type::Sfixed32 => is::<i32>(text),
        Type::Int64 | Type::Sint64 | Type::Sfixed64 => is::<i64>(text),
        Type::Uint32 | Type::Fixed32 => is::<u32>(text),
        Type::Uint64 | Type::Fixed64 => is::<u64>(text),
        Type::Bool => matches!(text, "true" | "false"),
        Type::String => true,
        Type::Bytes => is_escaped(text),
        Type::Enum => is_value(text),
        Type::Message | Type::Group => false,
    }
}

fn is<T: FromStr>(text: &str) -> bool {
    !text.starts_with('+') && text.parse::<T>().is_ok()
}

/// Returns whether a text is a number as Rust writes it, which compilers write too.
fn is_float(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    matches!(text, "inf" | "-inf" | "nan")
        || (digits.starts_with(|first: char| first.is_ascii_digit())
            && digits.ends_with(|last: char| last.is_ascii_digit())
            && digits.parse::<f64>().is_ok())
}

/// Returns whether the escapes of bytes are complete.
fn is_escaped(text: &str) -> bool {
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'\\' {
            continue;
        }
        let length = match rest {
            [b'a' | b'b' | b'f' | b'n' | b'r' | b't' | b'v' | b'\\' | b'?' | b'\'' | b'"', ..] => 1,
            [b'x' | b'X', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                3
            }
            [b'0'..=b'7', ..] => {
                let digits = rest.iter().take(3).take_while(|byte| (b'0'..=b'7').contains(byte));
                let (count, value) = digits.fold((0, 0_u32), |(count, value), digit| {
                    (count + 1, value * 8 + u32::from(digit - b'0'))
                });
                if value > 0xFF {
                    return false;
                }
                count
            }
            _ => return false,
        };
        rest = &rest[length..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_have_the_form_of_their_type() {
        let value = |name: &str| name == "A";
        for (ty, good, bad) in [
            (Type::Double, &["0", "-1.5", "1e+10", "inf", "nan"][..], &["", ".5", "x", "+1"][..]),
            (Type::Int32, &["-2147483648", "7"], &["2147483648", "+1", "1.0", ""]),
            (Type::Uint64, &["18446744073709551615"], &["-1"]),
            (Type::Bool, &["true"], &["1", "True"]),
            (Type::String, &["", "\\x"], &[]),
            (Type::Bytes, &["", "a\\377\\x0f\\n", "\\0"], &["\\", "\\777", "\\x1", "\\q"]),
            (Type::Enum, &["A"], &["B", ""]),
            (Type::Message, &[], &["", "A"]),
        ] {
            assert!(good.iter().all(|text| fits(ty, text, value)), "{ty:?} {good:?}");
            assert!(!bad.iter().any(|text| fits(ty, text, value)), "{ty:?} {bad:?}");
        }
    }
}
