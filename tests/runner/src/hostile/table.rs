//! Renders the comparison as a Markdown table.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::Context as _;

use super::{Input, outcome::Outcome};

/// The lines before and after the table in the document.
const BEGIN: &str = "<!-- Written by `cargo xtask hostile --write`. -->\n";
const END: &str = "<!-- The end of what is written by it. -->\n";

/// Renders one row for each input, with three columns for each client.
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

/// Replaces the table in a document.
pub(super) fn write(path: &Path, table: &str) -> anyhow::Result<()> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let text = replaced(&text, table)
        .with_context(|| format!("{} has lost the markers of the table", path.display()))?;
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
    fn panics_hangs_and_wrong_answers_are_failures() {
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
        assert!(!outcome(json!({ "first": 1 })).is_well(true), "a process without a valid report");
    }

    #[test]
    fn only_the_table_is_replaced() {
        let document = format!("before\n{BEGIN}old\n{END}after\n");
        let new = replaced(&document, "| new |\n").expect("the markers");
        assert_eq!(new, format!("before\n{BEGIN}\n| new |\n\n{END}after\n"));
        assert_eq!(replaced(&new, "| new |\n").as_ref(), Some(&new));
        assert_eq!(replaced("before\nafter\n", "| new |\n"), None);
    }
}
