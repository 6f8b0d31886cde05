//! `FieldMask`: paths in camelCase, separated by commas.

use prost_types::FieldMask;

use super::text;

text!(FieldMask, format, parse, "a field mask");

/// Returns `None` if a path would not round-trip.
fn format(mask: &FieldMask) -> Option<String> {
    let paths: Option<Vec<String>> = mask.paths.iter().map(|path| camel(path)).collect();
    Some(paths?.join(","))
}

/// An empty text is the empty mask.
fn parse(text: &str) -> Option<FieldMask> {
    let paths: Option<Vec<String>> =
        text.split(',').filter(|path| !path.is_empty()).map(snake).collect();
    Some(FieldMask { paths: paths? })
}

/// Returns `None` if the path has upper case letters, or an underscore that is not before a lower case
/// letter: [`snake`] could not restore it.
fn camel(path: &str) -> Option<String> {
    let mut camel = String::with_capacity(path.len());
    let mut chars = path.chars();
    while let Some(next) = chars.next() {
        match next {
            '_' => camel.push(chars.next().filter(char::is_ascii_lowercase)?.to_ascii_uppercase()),
            _ if next.is_ascii_uppercase() => return None,
            _ => camel.push(next),
        }
    }
    Some(camel)
}

fn snake(path: &str) -> Option<String> {
    let mut snake = String::with_capacity(path.len() + 4);
    for next in path.chars() {
        match next {
            '_' => return None,
            _ if next.is_ascii_uppercase() => snake.extend(['_', next.to_ascii_lowercase()]),
            _ => snake.push(next),
        }
    }
    Some(snake)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_converted_between_cases() {
        let mask = FieldMask { paths: vec!["foo_bar.baz".to_owned(), "x".to_owned()] };
        assert_eq!(format(&mask).as_deref(), Some("fooBar.baz,x"));
        assert_eq!(parse("fooBar.baz,x"), Some(mask));
        assert_eq!(parse(""), Some(FieldMask::default()));
    }

    #[test]
    fn paths_that_would_change_are_refused() {
        for path in ["fooBar", "foo__bar", "foo_3", "foo_"] {
            assert_eq!(format(&FieldMask { paths: vec![path.to_owned()] }), None, "{path}");
        }
        assert_eq!(parse("foo_bar"), None);
    }
}
