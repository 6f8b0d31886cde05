//! One row of a result, and the types that rows convert to.
//!
//! Columns are looked up by name for every row, because a result has few columns.

use super::value::{FromValue, RowError, Value};
use crate::data::{Column, Variant};

/// A type that rows convert to. Derive it with the feature `derive`; tuples of up to eight values
/// implement it.
///
/// Implement it by hand where columns and fields do not correspond:
///
/// ```
/// use volt_api::{
///     data::{Column, Variant},
///     rows::{FromRow, Row, RowError},
/// };
///
/// /// A point from two columns; the second may be missing.
/// struct Point(f64, f64);
///
/// impl FromRow for Point {
///     fn from_row(row: &Row<'_>) -> Result<Self, RowError> {
///         let y = if row.has("y") { row.get("y")? } else { 0.0 };
///         Ok(Self(row.get("x")?, y))
///     }
/// }
///
/// let columns = [Column::default().with_name("x")];
/// let values = [Variant::default().with_real(1.5)];
/// let point = Point::from_row(&Row::new(&columns, &values))?;
/// assert_eq!((point.0, point.1), (1.5, 0.0));
/// # Ok::<_, RowError>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from a row",
    note = "for a struct, derive `volt_api::FromRow` with the feature `derive` of `volt-api`; \
            for one column, call `scalar`, or read a tuple such as `(i64,)`"
)]
pub trait FromRow: Sized {
    /// Converts a row.
    ///
    /// # Errors
    ///
    /// Fails if a column is missing or its value does not fit.
    fn from_row(row: &Row<'_>) -> Result<Self, RowError>;
}

/// One row of a result. Values are read by name or position.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    columns: &'a [Column],
    values: &'a [Variant],
}

impl<'a> Row<'a> {
    /// Creates a row with `values` in these columns.
    pub fn new(columns: &'a [Column], values: &'a [Variant]) -> Self {
        Self { columns, values }
    }

    /// Returns the value of a column. Names are case-sensitive.
    ///
    /// # Errors
    ///
    /// Fails if the column is missing or ambiguous, or its value does not fit.
    pub fn get<T: FromValue>(&self, column: &str) -> Result<T, RowError> {
        let mut found = self.positions(column);
        match (found.next(), found.next()) {
            (Some(index), None) => self.at(index),
            (Some(_), Some(_)) => {
                Err(RowError::new("it occurs in the result twice: give each a name with `AS`")
                    .of(column))
            }
            (None, _) => {
                let names: Vec<_> =
                    self.columns.iter().map(|column| format!("`{}`", column.name)).collect();
                let problem = format!("it is not in the result, which has {}", names.join(", "));
                Err(RowError::new(problem).of(column))
            }
        }
    }

    /// Returns the value at a position, from 0.
    ///
    /// # Errors
    ///
    /// Fails if there are fewer columns, or the value does not fit.
    pub fn at<T: FromValue>(&self, index: usize) -> Result<T, RowError> {
        let value = self.values.get(index).ok_or_else(|| {
            RowError::new(format!("it does not exist; the row has {} values", self.values.len()))
        });
        let result = value.and_then(|value| T::from_value(Value::of(value)));
        result.map_err(|error| match self.columns.get(index) {
            Some(column) => error.of(&column.name),
            None => error.of(&(index + 1).to_string()),
        })
    }

    /// Returns whether there is a column of this name.
    pub fn has(&self, column: &str) -> bool {
        self.positions(column).next().is_some()
    }

    fn positions(&self, column: &str) -> impl Iterator<Item = usize> {
        let columns = self.columns.iter().enumerate();
        columns.filter(move |(_, found)| found.name == column).map(|(index, _)| index)
    }
}
