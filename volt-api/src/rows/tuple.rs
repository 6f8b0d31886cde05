//! Implements rows for tuples, by position. Further columns are ignored.

use super::{FromRow, FromValue, Row, RowError};

macro_rules! tuples {
    ($($($ident:ident $index:literal),+;)+) => {$(
        impl<$($ident: FromValue),+> FromRow for ($($ident,)+) {
            fn from_row(row: &Row<'_>) -> Result<Self, RowError> {
                Ok(($(row.at::<$ident>($index)?,)+))
            }
        }
    )+};
}

tuples! {
    A 0;
    A 0, B 1;
    A 0, B 1, C 2;
    A 0, B 1, C 2, D 3;
    A 0, B 1, C 2, D 3, E 4;
    A 0, B 1, C 2, D 3, E 4, F 5;
    A 0, B 1, C 2, D 3, E 4, F 5, G 6;
    A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7;
}
