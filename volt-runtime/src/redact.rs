//! Keeps secrets out of `Debug` output, logs and errors.
//!
//! Fields that hold secrets are replaced by [`Redacted`]. Fields that should not hold any are checked:
//! users paste private keys into the wrong field, and then post the error message.

use std::{borrow::Cow, fmt};

use crate::secret_fields::{SECRET_FIELDS, SECRETS_AT};

/// Returns whether a field of this name is a secret, in any message.
pub(crate) fn is_secret(field: &str) -> bool {
    SECRET_FIELDS.contains(&field)
}

/// Returns whether a field of this name is a secret in a message at this place.
pub(crate) fn is_secret_at(place: &str, field: &str) -> bool {
    SECRETS_AT.contains(&(place, field))
}

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

/// Returns whether a text looks like a private key that was put into the wrong field.
fn may_be_key(text: &str) -> bool {
    // 32 bytes in base64 have 43 characters. DIDs and addresses may be longer than that.
    let longest = || {
        let runs = text.split(|char: char| !char.is_ascii_alphanumeric() && !"+/=_".contains(char));
        runs.map(str::len).max().unwrap_or_default()
    };
    text.contains("PRIVATE KEY")
        || (!text.contains("://") && !text.starts_with("did:") && longest() >= 43)
}

/// Redacts a text in which no secret is expected: shows it unless it looks like a private key.
pub(crate) fn text(field: Option<&str>) -> Option<&str> {
    field.map(|text| if may_be_key(text) { "(hidden)" } else { text })
}

/// Redacts a public key or certificate: shows it unless it is a private key.
pub(crate) fn pem(field: Option<&str>) -> Option<&str> {
    field.map(|text| if text.contains("PRIVATE KEY") { "(hidden)" } else { text })
}

/// Redacts an address for messages: removes user name, password, query and fragment, which may all
/// hold secrets, and a private key in place of the address.
pub(crate) fn address(text: &str) -> Cow<'_, str> {
    if may_be_key(text) {
        return Cow::Borrowed("(hidden)");
    }
    // This is not a URL parser, because the text may be anything that a user typed.
    let start = text.find("://").map_or(0, |at| at + 3);
    let (scheme, rest) = text.split_at(start);
    // Remove everything up to the last `@`: a password may contain an unescaped `/`, `?` or `#`.
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
    fn a_private_key_in_the_wrong_field_is_hidden() {
        let seed = "q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k=";
        let key = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
        for (shown, field) in [
            (text(Some(seed)), "(hidden)"),
            (text(Some(key)), "(hidden)"),
            (pem(Some(key)), "(hidden)"),
            (text(Some("did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK")), "did:key:z6"),
            (text(Some("7c9e6679-7425-40de-944b-e07fc1f90ae7")), "7c9e6679"),
            (pem(Some("-----BEGIN PUBLIC KEY-----")), "-----BEGIN PUBLIC"),
        ] {
            assert!(shown.unwrap().starts_with(field), "{shown:?}");
        }
    }

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
            ("-----BEGIN PRIVATE KEY-----\nSECRET", "(hidden)"),
            ("MC4CAQAwBQYDK2VwBCIEIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "(hidden)"),
        ] {
            assert_eq!(address(text), shown);
        }
    }
}
