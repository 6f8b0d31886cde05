//! The versions of the API in which methods were added, for errors of Volts that do not have them.

use std::sync::OnceLock;

/// The methods by their paths, sorted, each with the last known version of the API without it and the first known
/// one with it.
pub type Since = &'static [(&'static str, &'static str, &'static str)];

/// Set by the crate with the generated API, when it creates its first client.
static SINCE: OnceLock<Since> = OnceLock::new();

/// Declares the versions. The first call counts.
pub fn declare(since: Since) {
    let _ = SINCE.set(since);
}

/// The first known version with a method.
pub(crate) fn of(method: &str) -> Option<&'static str> {
    let since = SINCE.get()?;
    let index = since.binary_search_by_key(&method, |(path, ..)| path).ok()?;
    since.get(index).map(|(.., version)| *version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Code, Error, Status};

    #[test]
    fn unimplemented_methods_name_the_version_that_has_them() {
        declare(&[("/test.since.S/A", "1.2.2", "1.2.3"), ("/test.since.S/C", "1.2.3", "1.3.0")]);
        let error = |code, method| Error::refused(Status::new(code, "no")).with_method(method);
        let newer = error(Code::Unimplemented, "/test.since.S/C");
        assert_eq!(newer.since(), Some("1.3.0"));
        let text = newer.to_string();
        assert!(
            text.ends_with("(the method exists since API 1.3.0; the Volt may be older)"),
            "{text}"
        );
        assert_eq!(error(Code::Unimplemented, "/test.since.S/B").since(), None);
        assert_eq!(error(Code::NotFound, "/test.since.S/C").since(), None);
    }
}
