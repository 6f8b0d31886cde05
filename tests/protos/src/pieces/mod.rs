//! Pieces of programs that use the invented API below `tests/fork/changes/old`.

mod fields;
mod services;
mod types;

/// The code of a program that uses one element.
pub(crate) struct Piece {
    /// The full name of the element.
    pub(crate) element: &'static str,
    /// The body of a function. The packages are `v1` and `v2`.
    pub(crate) code: &'static str,
    /// The only feature that the program enables; otherwise all are.
    pub(crate) feature: Option<&'static str>,
    /// Set if risky changes break the program as well: it lists all fields, or refuses warnings.
    pub(crate) is_strict: bool,
}

const fn piece(element: &'static str, code: &'static str) -> Piece {
    Piece { element, code, feature: None, is_strict: false }
}

const fn with(feature: &'static str, element: &'static str, code: &'static str) -> Piece {
    Piece { feature: Some(feature), ..piece(element, code) }
}

const fn strict(element: &'static str, code: &'static str) -> Piece {
    Piece { is_strict: true, ..piece(element, code) }
}

pub(crate) fn pieces() -> impl Iterator<Item = &'static Piece> {
    [services::PIECES, types::PIECES, fields::PIECES].into_iter().flatten()
}
