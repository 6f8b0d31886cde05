//! What is printed in place of a secret.

use std::fmt;

/// Prints whether there is a value, and not which.
#[derive(Clone, Copy)]
pub struct Hidden {
    empty: bool,
}

impl Hidden {
    /// In place of this value, which is nothing if it is the default of its type.
    pub fn new<T: Default + PartialEq>(value: &T) -> Self {
        Self { empty: *value == T::default() }
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.empty { "(none)" } else { "(hidden)" })
    }
}
