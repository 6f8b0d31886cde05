//! Checks that files and tests which the documentation names exist.

use std::{fs, path::Path};

use anyhow::Context as _;

use super::measure::SourceFile;

/// The pages that name tests as evidence.
const PAGES: [&str; 5] =
    ["ARCHITECTURE.md", "CONTRIBUTING.md", "README.md", "SECURITY.md", "docs/robustness.md"];

/// Returns one line for each file or test that a page names and that does not exist.
///
/// Names are in backquotes. A name that ends in `.rs` is a file, given by any number of its last path
/// components. A name with at least three underscores is a test; a `*` at its end stands for the rest.
pub(super) fn missing(root: &Path, files: &[SourceFile]) -> anyhow::Result<Vec<String>> {
    let mut texts = Vec::with_capacity(files.len());
    for file in files {
        texts.push(fs::read_to_string(root.join(&file.path))?);
    }
    let mut missing = Vec::new();
    for page in PAGES {
        let path = root.join(page);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        for name in quoted(&text) {
            let exists = if has_suffix(name, ".rs") {
                files.iter().any(|file| file.path.ends_with(name))
            } else if is_test_name(name) {
                let function = match name.strip_suffix('*') {
                    Some(prefix) => format!("fn {prefix}"),
                    None => format!("fn {name}("),
                };
                texts.iter().any(|text| text.contains(&function))
            } else {
                true
            };
            if !exists {
                missing.push(format!("{page} names `{name}`, which does not exist"));
            }
        }
    }
    Ok(missing)
}

/// The inline code of a page, without its fenced blocks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    let prose = text.split("```").step_by(2);
    prose.flat_map(|prose| prose.split('`').skip(1).step_by(2))
}

fn has_suffix(name: &str, suffix: &str) -> bool {
    name.len() > suffix.len() && name.ends_with(suffix) && !name.contains(['*', '…', ' '])
}

fn is_test_name(name: &str) -> bool {
    let body = name.strip_suffix('*').unwrap_or(name);
    body.matches('_').count() >= 3
        && body
            .chars()
            .all(|char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_from_prose_only() {
        let page = "See `a.rs` and `one_two_three_*`.\n```rust\nlet `x.rs` = 1;\n```\nAlso `b.rs`.";
        assert_eq!(quoted(page).collect::<Vec<_>>(), ["a.rs", "one_two_three_*", "b.rs"]);
    }

    #[test]
    fn tests_are_distinguished_from_other_names() {
        assert!(is_test_name("a_volt_that_dies_*"));
        assert!(!is_test_name("max_message_size"));
        assert!(!is_test_name("VOLT_A_B_C"));
    }
}
