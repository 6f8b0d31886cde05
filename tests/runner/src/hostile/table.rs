//! The comparison as a table.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::Context as _;

use super::{Input, outcome::Outcome};

/// What stands before and after the table in the document.
const BEGIN: &str = "<!-- Written by `cargo xtask hostile --write`. -->\n";
const END: &str = "<!-- The end of what is written by it. -->\n";

/// One row for each input, with three columns for each client.
pub(super) fn render(clients: &[&str], rows: &[(&Input, &[Outcome])]) -> String {
    let mut table = "| what the Volt does |".to_owned();
    for client in clients {
        let _ = write!(table, " {client} | then | MiB |");
    }
    let _ = writeln!(table, "\n|---|{}", "---|---|---:|".repeat(clients.len()));
    for (input, outcomes) in rows {
        let _ = write!(table, "| {} |", input.what);
        for outcome in *outcomes {
            let (first, second, memory) = (outcome.first(), outcome.second(), outcome.memory());
            let _ = write!(table, " {first} | {second} | {memory} |");
        }
        table.push('\n');
    }
    table
}

/// Puts the table into a document, in place of the one that is there.
pub(super) fn write(path: &Path, table: &str) -> anyhow::Result<()> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let text = replaced(&text, table)
        .with_context(|| format!("{} has no place for the table", path.display()))?;
    fs::write(path, text).with_context(|| path.display().to_string())
}

fn replaced(text: &str, table: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{table}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn outcome(result: serde_json::Value) -> Outcome {
        Outcome::from_result(serde_json::from_value(result).map_err(Into::into))
    }

    #[test]
    fn a_client_that_panics_hangs_or_is_wrong_has_not_withstood_it() {
        let seen = |first: &str, second: &str, panic: Option<&str>| {
            let call = |is: &str| json!({ "is": is, "what": "something", "ms": 5000 });
            let (first, second) = (call(first), call(second));
            outcome(json!({ "first": first, "second": second, "panic": panic, "memory": 1 }))
        };
        for first in ["answered", "done", "error"] {
            assert!(seen(first, "answered", None).is_well(false), "{first}");
            assert!(!seen(first, "hang", None).is_well(false), "{first}");
            assert!(!seen(first, "answered", Some("lib.rs:1")).is_well(true), "{first}");
        }
        assert!(seen("error", "unconnected", None).is_well(false));
        assert!(seen("hang", "answered", None).is_well(true));
        for first in ["hang", "wrong", "panic", "unconnected"] {
            assert!(!seen(first, "answered", None).is_well(false), "{first}");
        }
        assert!(
            !outcome(json!({ "first": 1 })).is_well(true),
            "a process that says nothing of use"
        );
    }

    #[test]
    fn a_table_replaces_the_one_before_and_nothing_else() {
        let document = format!("before\n{BEGIN}old\n{END}after\n");
        let new = replaced(&document, "| new |\n").expect("there is a place");
        assert_eq!(new, format!("before\n{BEGIN}\n| new |\n\n{END}after\n"));
        assert_eq!(replaced(&new, "| new |\n").as_ref(), Some(&new));
        assert_eq!(replaced("before\nafter\n", "| new |\n"), None);
    }
}
