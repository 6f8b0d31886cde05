//! Keeps secrets out of `Debug` output, logs and errors.

use std::{borrow::Cow, fmt};

/// Prints whether a value is set, never the value itself.
#[derive(Clone, Copy)]
pub struct Redacted {
    empty: bool,
}

impl Redacted {
    /// Creates the stand-in for a value. The default of its type counts as not set.
    pub fn new<T: Default + PartialEq>(value: &T) -> Self {
        Self { empty: *value == T::default() }
    }
}

impl fmt::Debug for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.empty { "(none)" } else { "(hidden)" })
    }
}

/// Redacts an address for messages: removes user name, password, query and fragment, which may all
/// hold secrets.
pub(crate) fn address(text: &str) -> Cow<'_, str> {
    let start = text.find("://").map_or(0, |at| at + 3);
    let (scheme, rest) = text.split_at(start);
    // Up to the last `@`: a password may contain an unescaped `/`, `?` or `#`.
    let (hides, rest) = match rest.rfind('@') {
        Some(at) => (true, &rest[at + 1..]),
        None => (false, rest),
    };
    let end = rest.find(['?', '#']);
    if !hides && end.is_none() {
        return Cow::Borrowed(text);
    }
    let user = if hides { "(hidden)@" } else { "" };
    let shown = &rest[..end.unwrap_or(rest.len())];
    let query = if end.is_some() { "?(hidden)" } else { "" };
    Cow::Owned(format!("{scheme}{user}{shown}{query}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_without_their_secrets() {
        for (text, shown) in [
            ("http://volt.example:1/a", "http://volt.example:1/a"),
            ("volt.example", "volt.example"),
            ("http://user:SECRET@volt.example/a", "http://(hidden)@volt.example/a"),
            ("user:SECRET@volt.example", "(hidden)@volt.example"),
            ("http://user:SEC/RET@volt.example", "http://(hidden)@volt.example"),
            ("http://user:SEC?R#ET@volt.example", "http://(hidden)@volt.example"),
            ("http://volt.example/?token=SECRET", "http://volt.example/?(hidden)"),
            ("http://volt.example#SECRET", "http://volt.example?(hidden)"),
        ] {
            assert_eq!(address(text), shown);
        }
    }
}
