//! The report for people.

use std::fmt::Write as _;

use super::{Change, Reader, Report, Verdict};

impl Report {
    /// The report as plain text.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        for change in &self.changes {
            // Writing to a text does not fail.
            let _ =
                writeln!(out, "{:<8} {}: {}", change.worst().name(), change.element, change.what);
            for (reader, why) in reasons(change) {
                let _ = writeln!(out, "           {why} ({reader})");
            }
        }
        if !out.is_empty() {
            out.push('\n');
        }
        out + &self.summary("")
    }

    /// The report as Markdown, ready for a changelog. `title` is its heading.
    pub fn to_markdown(&self, title: &str) -> String {
        let mut out = format!("# {title}\n\n{}", self.summary("- "));
        for (verdict, heading) in [
            (Verdict::Breaking, "Breaking"),
            (Verdict::Risky, "Risky"),
            (Verdict::Fine, "Harmless"),
        ] {
            let changes: Vec<_> =
                self.changes.iter().filter(|change| change.worst() == verdict).collect();
            if changes.is_empty() {
                continue;
            }
            let _ = writeln!(out, "\n## {heading}\n");
            for change in changes {
                let reasons: Vec<_> = reasons(change)
                    .into_iter()
                    .map(|(reader, why)| format!("{reader}: {why}"))
                    .collect();
                let reasons = if reasons.is_empty() {
                    String::new()
                } else {
                    format!(" ({})", reasons.join("; "))
                };
                let _ = writeln!(out, "- `{}`: {}{reasons}", change.element, change.what);
            }
        }
        out
    }

    fn summary(&self, bullet: &str) -> String {
        let mut out = String::new();
        for name in ["services", "methods", "messages", "enums"] {
            if let Some(count) = self.counts.get(name) {
                let _ = writeln!(
                    out,
                    "{bullet}{name}: {} before, {} now, {} removed, {} added",
                    count.old, count.new, count.removed, count.added
                );
            }
        }
        let breaking: Vec<_> = Reader::ALL
            .map(|reader| format!("{} for {}", self.breaking(reader), reader.name()))
            .into_iter()
            .collect();
        let _ = writeln!(
            out,
            "{bullet}{} changes; breaking: {}",
            self.changes.len(),
            breaking.join(", ")
        );
        out
    }
}

/// Why a change troubles somebody, by readers; those with the same reason together.
fn reasons(change: &Change) -> Vec<(String, &str)> {
    let mut reasons: Vec<(String, &str)> = Vec::new();
    for (reader, effect) in &change.effects {
        if effect.verdict == Verdict::Fine {
            continue;
        }
        match reasons.iter_mut().find(|(_, why)| *why == effect.why) {
            Some((readers, _)) => {
                readers.push_str(", ");
                readers.push_str(reader.name());
            }
            None => reasons.push((reader.name().to_owned(), &effect.why)),
        }
    }
    reasons
}
