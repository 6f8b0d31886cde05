//! One value, and the types that values convert to.
//!
//! SQLite's values have their own types, independent of the column's declared type. Nothing is
//! converted that could hide this: text is not a number, and a number out of range is an error.

use std::{
    fmt::{self, Display},
    str::FromStr,
};

use volt_runtime::{Error, ErrorKind};

use crate::data::{Variant, variant::Data};

/// A value of SQLite. SQLite has no other types.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// NULL.
    Null,
    /// An integer. Booleans are 0 and 1.
    Integer(i64),
    /// A floating point number.
    Real(f64),
    /// A text.
    Text(&'a str),
    /// Bytes.
    Blob(&'a [u8]),
}

impl<'a> Value<'a> {
    /// Converts a `Variant` of the API. A variant with nothing set, or of an unknown kind, is NULL.
    pub fn of(variant: &'a Variant) -> Self {
        match &variant.data {
            Some(Data::Integer(value)) => Self::Integer(*value),
            Some(Data::Real(value)) => Self::Real(*value),
            Some(Data::Text(value)) => Self::Text(value),
            Some(Data::Blob(value)) => Self::Blob(value),
            // The value is NULL, or of a later API.
            _ => Self::Null,
        }
    }

    /// The error for a value of another type than expected.
    fn is_not(self, wanted: &str) -> RowError {
        RowError::new(match self {
            Self::Null => "it is NULL: make the field an `Option`".to_owned(),
            Self::Integer(_) => format!("it is an integer, not {wanted}"),
            Self::Real(_) => format!("it is a real, not {wanted}"),
            Self::Text(_) => format!("it is text, not {wanted}"),
            Self::Blob(_) => format!("it is a blob, not {wanted}"),
        })
    }
}

/// A type that values convert to. Implement it for your own types:
///
/// ```
/// use volt_api::rows::{FromValue, RowError, Value};
///
/// struct Cents(i64);
///
/// impl FromValue for Cents {
///     fn from_value(value: Value<'_>) -> Result<Self, RowError> {
///         match i64::from_value(value)? {
///             cents if cents < 0 => Err(RowError::new("a price is not negative")),
///             cents => Ok(Self(cents)),
///         }
///     }
/// }
/// # assert!(Cents::from_value(Value::Integer(-1)).is_err());
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from a column",
    label = "has no `FromValue`",
    note = "implement `volt_api::rows::FromValue` for it; in a struct, `#[row(from_str)]` reads a type that implements `FromStr`"
)]
pub trait FromValue: Sized {
    /// Converts a value.
    ///
    /// # Errors
    ///
    /// Fails if the value has another type or is out of range for this one.
    fn from_value(value: Value<'_>) -> Result<Self, RowError>;
}

/// NULL is `None`.
impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value<'_>) -> Result<Self, RowError> {
        match value {
            Value::Null => Ok(None),
            value => T::from_value(value).map(Some),
        }
    }
}

/// A text that the type parses with `FromStr`. The attribute `#[row(from_str)]` uses it.
///
/// ```
/// use std::net::Ipv4Addr;
/// use volt_api::rows::{FromValue, Parsed, Value};
///
/// let Parsed(address) = Parsed::<Ipv4Addr>::from_value(Value::Text("127.0.0.1"))?;
/// assert!(address.is_loopback());
/// # Ok::<_, volt_api::rows::RowError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Parsed<T>(pub T);

impl<T: FromStr<Err: Display>> FromValue for Parsed<T> {
    fn from_value(value: Value<'_>) -> Result<Self, RowError> {
        let Value::Text(text) = value else { return Err(value.is_not("text")) };
        let parsed = text.parse().map(Self);
        parsed.map_err(|error: T::Err| RowError::new(format!("it cannot be read: {error}")))
    }
}

macro_rules! integers {
    ($($integer:ty)*) => {$(
        impl FromValue for $integer {
            fn from_value(value: Value<'_>) -> Result<Self, RowError> {
                let Value::Integer(number) = value else { return Err(value.is_not("an integer")) };
                Self::try_from(number).map_err(|_| {
                    RowError::new(format!("{number} does not fit {}", stringify!($integer)))
                })
            }
        }
    )*};
}

integers!(i8 i16 i32 i64 isize u8 u16 u32 u64 usize);

impl FromValue for f64 {
    /// Also accepts integers, if they can be represented exactly.
    fn from_value(value: Value<'_>) -> Result<Self, RowError> {
        match value {
            Value::Real(number) => Ok(number),
            #[allow(
                clippy::cast_precision_loss,
                reason = "the guard checks that the conversion is exact"
            )]
            Value::Integer(number) if number.unsigned_abs() <= 1 << Self::MANTISSA_DIGITS => {
                Ok(number as Self)
            }
            Value::Integer(number) => {
                Err(RowError::new(format!("{number} does not fit f64 exactly")))
            }
            value => Err(value.is_not("a real")),
        }
    }
}

impl FromValue for bool {
    fn from_value(value: Value<'_>) -> Result<Self, RowError> {
        match value {
            Value::Integer(0) => Ok(false),
            Value::Integer(1) => Ok(true),
            Value::Integer(number) => {
                Err(RowError::new(format!("{number} is not a bool, which is 0 or 1")))
            }
            value => Err(value.is_not("a bool")),
        }
    }
}

impl FromValue for String {
    fn from_value(value: Value<'_>) -> Result<Self, RowError> {
        match value {
            Value::Text(text) => Ok(text.to_owned()),
            value => Err(value.is_not("text")),
        }
    }
}

impl FromValue for Vec<u8> {
    fn from_value(value: Value<'_>) -> Result<Self, RowError> {
        match value {
            Value::Blob(bytes) => Ok(bytes.to_owned()),
            value => Err(value.is_not("a blob")),
        }
    }
}

/// A row or value that does not fit its type. Names the column and the problem.
///
/// Converts to an [`Error`](crate::Error) of kind [`ErrorKind::Conversion`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowError {
    column: Option<String>,
    problem: String,
}

impl RowError {
    /// Creates an error about a value. [`Row`](super::Row) adds the column.
    pub fn new(problem: impl Into<String>) -> Self {
        Self { column: None, problem: problem.into() }
    }

    /// Returns the column, if the error concerns one: its name, or its position from 1 if it has none.
    pub fn column(&self) -> Option<&str> {
        self.column.as_deref()
    }

    /// Adds the column, unless one is set.
    pub(super) fn of(mut self, column: &str) -> Self {
        self.column.get_or_insert_with(|| column.to_owned());
        self
    }
}

impl Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(column) = &self.column {
            write!(f, "column `{column}`: ")?;
        }
        f.write_str(&self.problem)
    }
}

impl std::error::Error for RowError {}

impl From<RowError> for Error {
    fn from(error: RowError) -> Self {
        Self::new(ErrorKind::Conversion, error.to_string()).with_source(error)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::net::Ipv4Addr;

    use super::*;

    fn problem<T: FromValue + fmt::Debug>(value: Value<'_>) -> String {
        T::from_value(value).unwrap_err().to_string()
    }

    #[test]
    fn integers_out_of_range_are_errors() {
        macro_rules! check {
            ($($integer:ty)*) => {$(
                let (least, most) = (<$integer>::MIN, <$integer>::MAX);
                for limit in [least, most] {
                    // The maximum of a u64 exceeds SQLite's range.
                    if let Ok(number) = i64::try_from(i128::from(limit)) {
                        assert_eq!(<$integer>::from_value(Value::Integer(number)), Ok(limit));
                    }
                }
                for beyond in [i128::from(least) - 1, i128::from(most) + 1] {
                    if let Ok(number) = i64::try_from(beyond) {
                        let expected = format!("{number} does not fit {}", stringify!($integer));
                        assert_eq!(problem::<$integer>(Value::Integer(number)), expected);
                    }
                }
            )*};
        }
        check!(i8 i16 i32 i64 u8 u16 u32 u64);
    }

    #[test]
    fn reals_may_be_integers_that_a_float_can_hold() {
        assert_eq!(f64::from_value(Value::Real(0.5)), Ok(0.5));
        assert_eq!(f64::from_value(Value::Integer(-3)), Ok(-3.0));
        let beyond = (1 << 53) + 1;
        assert_eq!(
            problem::<f64>(Value::Integer(beyond)),
            "9007199254740993 does not fit f64 exactly"
        );
        assert_eq!(problem::<i64>(Value::Real(1.0)), "it is a real, not an integer");
    }

    #[test]
    fn bools_are_0_and_1() {
        assert_eq!(bool::from_value(Value::Integer(0)), Ok(false));
        assert_eq!(bool::from_value(Value::Integer(1)), Ok(true));
        assert_eq!(problem::<bool>(Value::Integer(2)), "2 is not a bool, which is 0 or 1");
        assert_eq!(problem::<bool>(Value::Text("true")), "it is text, not a bool");
    }

    #[test]
    fn text_and_blobs_are_not_confused() {
        assert_eq!(String::from_value(Value::Text("ü")).as_deref(), Ok("ü"));
        assert_eq!(Vec::from_value(Value::Blob(&[0, 255])), Ok(vec![0, 255]));
        assert_eq!(problem::<String>(Value::Blob(b"a")), "it is a blob, not text");
        assert_eq!(problem::<Vec<u8>>(Value::Text("a")), "it is text, not a blob");
        assert_eq!(problem::<String>(Value::Integer(1)), "it is an integer, not text");
    }

    #[test]
    fn null_needs_an_option() {
        assert_eq!(Option::<i64>::from_value(Value::Null), Ok(None));
        assert_eq!(Option::from_value(Value::Integer(1)), Ok(Some(1)));
        assert_eq!(problem::<i64>(Value::Null), "it is NULL: make the field an `Option`");
        assert_eq!(problem::<Option<u8>>(Value::Integer(-1)), "-1 does not fit u8");
    }

    #[test]
    fn other_types_are_read_via_from_str() {
        let address = Ipv4Addr::LOCALHOST;
        assert_eq!(Parsed::from_value(Value::Text("127.0.0.1")), Ok(Parsed(address)));
        assert_eq!(
            problem::<Parsed<Ipv4Addr>>(Value::Text("x")),
            "it cannot be read: invalid IPv4 address syntax"
        );
        assert_eq!(problem::<Parsed<Ipv4Addr>>(Value::Integer(1)), "it is an integer, not text");
    }

    #[test]
    fn a_variant_with_nothing_set_is_null() {
        assert_eq!(Value::of(&Variant::default()), Value::Null);
        assert_eq!(Value::of(&Variant::default().with_null(true)), Value::Null);
        assert_eq!(Value::of(&Variant::default().with_integer(1)), Value::Integer(1));
    }
}
