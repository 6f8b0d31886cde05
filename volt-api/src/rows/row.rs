//! One row, what is made of it, and what can be wrong with it.

use std::fmt;

use volt_runtime::{Error, ErrorKind};

use super::{FromValue, Value};
use crate::data::{Column, Variant};

/// A type that a row becomes. Derive it, with the feature `derive`; tuples of up to eight values have it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not made from rows",
    note = "derive `volt_api::FromRow` for it, with the feature `derive` of `volt-api`"
)]
pub trait FromRow: Sized {
    /// Reads a row.
    ///
    /// # Errors
    ///
    /// When a column is missing or its value does not fit.
    fn from_row(row: &Row<'_>) -> Result<Self, RowError>;
}

/// One row of a result, whose values are had by name or position.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    columns: &'a [Column],
    values: &'a [Variant],
}

impl<'a> Row<'a> {
    /// The row that has `values` in these columns.
    pub fn new(columns: &'a [Column], values: &'a [Variant]) -> Self {
        Self { columns, values }
    }

    /// The value of a column. Upper and lower case are different, as the result has them.
    ///
    /// # Errors
    ///
    /// When there is no such column, or there are two, or its value does not fit.
    pub fn get<T: FromValue>(&self, column: &str) -> Result<T, RowError> {
        let mut found = self.positions(column);
        match (found.next(), found.next()) {
            (Some(index), None) => self.at(index),
            (Some(_), Some(_)) => Err(RowError {
                column: Some(column.to_owned()),
                problem: "it is in the result twice: give each a name by `AS`".to_owned(),
            }),
            (None, _) => {
                let names: Vec<_> =
                    self.columns.iter().map(|column| format!("`{}`", column.name)).collect();
                Err(RowError {
                    column: Some(column.to_owned()),
                    problem: format!("it is not in the result, which has {}", names.join(", ")),
                })
            }
        }
    }

    /// The value at a position, from 0.
    ///
    /// # Errors
    ///
    /// When there are fewer columns, or the value does not fit.
    pub fn at<T: FromValue>(&self, index: usize) -> Result<T, RowError> {
        let value = self.values.get(index).ok_or_else(|| {
            RowError::new(format!("there is none; the row has {} values", self.values.len()))
        });
        let result = value.and_then(|value| T::from_value(Value::of(value)));
        result.map_err(|error| match self.columns.get(index) {
            Some(column) => error.of(&column.name),
            None => error.of(&(index + 1).to_string()),
        })
    }

    /// Whether there is a column of this name.
    pub fn has(&self, column: &str) -> bool {
        self.positions(column).next().is_some()
    }

    fn positions(&self, column: &str) -> impl Iterator<Item = usize> {
        let columns = self.columns.iter().enumerate();
        columns.filter(move |(_, found)| found.name == column).map(|(index, _)| index)
    }
}

/// Why a row is not what a type needs. Says which column, and what is wrong with it.
///
/// As an [`Error`](crate::Error) it is one of the kind [`ErrorKind::Conversion`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowError {
    column: Option<String>,
    problem: String,
}

impl RowError {
    /// What is wrong with a value. Whoever asked for it adds the column.
    pub fn new(problem: impl Into<String>) -> Self {
        Self { column: None, problem: problem.into() }
    }

    /// The column, if it is about one.
    pub fn column(&self) -> Option<&str> {
        self.column.as_deref()
    }

    fn of(mut self, column: &str) -> Self {
        self.column.get_or_insert_with(|| column.to_owned());
        self
    }
}

impl fmt::Display for RowError {
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
