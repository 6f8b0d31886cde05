//! The fields whose values `Debug` hides.

use heck::ToSnakeCase as _;

use crate::Options;

impl Options {
    /// Returns whether a field of a string or bytes is secret. A full name takes precedence over a name, and a
    /// declaration over the look of the name.
    pub(crate) fn hides(&self, full: &str, name: &str) -> bool {
        let declared = [full, name].into_iter().find_map(|key| {
            let is_secret = self.secrets.contains(key);
            (is_secret || self.open.contains(key)).then_some(is_secret)
        });
        declared.unwrap_or_else(|| looks_secret(name))
    }
}

/// Returns whether a field's name has a word that names a secret, such as `password` or `access_token`. The values of
/// such string and bytes fields are hidden, unless they are declared as [open](crate::Options::open).
pub fn looks_secret(name: &str) -> bool {
    const WORDS: [&str; 18] = [
        "authorization",
        "bearer",
        "challenge",
        "cookie",
        "credential",
        "jwt",
        "mnemonic",
        "nonce",
        "otp",
        "passphrase",
        "passwd",
        "password",
        "pin",
        "pwd",
        "secret",
        "seed",
        "token",
        "totp",
    ];
    /// Keys of these kinds are secrets, unlike public keys or the keys of a map.
    const KEYS: [&str; 10] = [
        "access",
        "api",
        "client",
        "encrypt",
        "encryption",
        "master",
        "private",
        "root",
        "shared",
        "signing",
    ];
    let name = name.to_snake_case();
    let words = name.split('_').filter(|word| !word.is_empty());
    // The plurals in pairs of words. `access` is a separate word.
    let singular = |word| match word {
        "keys" => "key",
        "ids" => "id",
        other => other,
    };
    let words: Vec<&str> = words.map(singular).collect();
    let is_word = |word: &&str| WORDS.contains(&word.trim_end_matches('s'));
    let is_pair = |pair: &[&str]| match pair {
        ["session", "id"] => true,
        [kind, "key"] => KEYS.contains(kind),
        _ => false,
    };
    words.iter().any(is_word) || words.windows(2).any(is_pair)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_a_word_for_a_secret_look_secret() {
        for name in ["password", "accessToken", "access_token", "api_keys", "session_id", "PIN"] {
            assert!(looks_secret(name), "{name}");
        }
        for name in ["name", "public_key", "pinned", "tokenizer", "id", "accessory"] {
            assert!(!looks_secret(name), "{name}");
        }
    }

    #[test]
    fn full_names_take_precedence_over_names_and_looks() {
        let options = Options::default()
            .secret("note")
            .open("page_token")
            .secret("p.M.page_token")
            .open("p.M.note");
        for (full, name, expected) in [
            ("p.M.note", "note", false),
            ("p.N.note", "note", true),
            ("p.M.page_token", "page_token", true),
            ("p.N.page_token", "page_token", false),
            ("p.N.token", "token", true),
            ("p.N.name", "name", false),
        ] {
            assert_eq!(options.hides(full, name), expected, "{full}");
        }
    }
}
