//! The table of all trees.

use std::{fmt::Write as _, fs, path::Path, time::Duration};

use anyhow::Context as _;
use volt_codegen::Output;

use crate::{check::Checked, trees::Tree};

/// The result of one tree.
#[derive(Debug)]
pub(crate) struct Row {
    files: usize,
    left_out: usize,
    messages: usize,
    methods: usize,
    lines: usize,
    seconds: Duration,
    warnings: usize,
    pub(crate) checked: Option<Checked>,
}

impl Row {
    /// `files` are the numbers of files with generated code, and of those that are left out.
    pub(crate) fn new(
        (files, left_out): (usize, usize),
        seconds: Duration,
        output: &Output,
    ) -> Self {
        let lines = || output.files.iter().flat_map(|file| file.contents.lines());
        let kinds = ["\" Unary(", "\" ServerStreaming(", "\" ClientStreaming(", "\" Bidi("];
        let is_method = |line: &&str| kinds.iter().any(|kind| line.contains(kind));
        Self {
            files,
            left_out,
            messages: lines().filter(|line| line.contains("::message! {")).count(),
            methods: lines().filter(is_method).count(),
            lines: lines().count(),
            seconds,
            warnings: output.warnings.len(),
            checked: None,
        }
    }
}

/// The lines between which the file has the table.
const MARKERS: [&str; 2] = ["<!-- table -->\n", "<!-- end -->\n"];

pub(crate) fn markdown(rows: &[(&Tree, anyhow::Result<Row>)]) -> String {
    let mut table = "| tree | packages | files | left out | messages | methods | lines | seconds | warnings | check, seconds | its warnings |\n\
                     |---|---|---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for (tree, row) in rows {
        // Writing to a `String` cannot fail.
        let _ = write!(table, "| {} | {} |", tree.name, tree.packages_shown());
        let _ = match row {
            Ok(row) => {
                let (seconds, warnings) = match &row.checked {
                    Some(checked) => (
                        format!("{:.0}", checked.seconds.as_secs_f64()),
                        checked.warnings.to_string(),
                    ),
                    None => ("–".to_owned(), "–".to_owned()),
                };
                writeln!(
                    table,
                    " {} | {} | {} | {} | {} | {:.2} | {} | {seconds} | {warnings} |",
                    row.files,
                    row.left_out,
                    row.messages,
                    row.methods,
                    row.lines,
                    row.seconds.as_secs_f64(),
                    row.warnings,
                )
            }
            Err(error) => {
                let error = format!("{error:#}");
                let error = error.lines().next().unwrap_or_default().replace('|', "\\|");
                writeln!(table, " failed: {error} |")
            }
        };
    }
    table
}

/// Replaces the table in a file.
pub(crate) fn write(path: &Path, table: &str) -> anyhow::Result<()> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let [start, end] = MARKERS;
    let parts = text
        .split_once(start)
        .and_then(|(before, rest)| Some((before, rest.split_once(end)?.1)))
        .with_context(|| format!("{} has lost its markers", path.display()))?;
    fs::write(path, format!("{}{start}{table}{end}{}", parts.0, parts.1))?;
    Ok(())
}
