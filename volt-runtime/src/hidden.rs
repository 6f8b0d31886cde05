//! A stand-in for secrets in `Debug` output.

use std::fmt;

/// Prints whether a value is set, never the value itself.
#[derive(Clone, Copy)]
pub struct Redacted {
    empty: bool,
}

impl Redacted {
    /// Stands in for this value. The default of its type counts as not set.
    pub fn new<T: Default + PartialEq>(value: &T) -> Self {
        Self { empty: *value == T::default() }
    }
}

impl fmt::Debug for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.empty { "(none)" } else { "(hidden)" })
    }
}
