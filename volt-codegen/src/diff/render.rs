//! The report for people.

use std::fmt::Write as _;

use super::{Change, Clients, Reader, Report, Verdict, count::KINDS};

impl Report {
    /// The report as plain text.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        for change in &self.changes {
            // Writing to a text does not fail.
            let _ =
                writeln!(out, "{:<8} {}: {}", change.worst().name(), change.element, change.what);
            for (readers, why) in reasons(change) {
                let _ = writeln!(out, "           {why} ({readers})");
            }
        }
        if !out.is_empty() {
            out.push('\n');
        }
        out + &self.summary("")
    }

    /// The report as Markdown, ready for a changelog: the sums, and sections whose headings are of this
    /// level.
    pub fn to_markdown(&self, level: usize) -> String {
        let mut out = self.summary("- ");
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
            let _ = writeln!(out, "\n{} {heading}\n", "#".repeat(level));
            for change in changes {
                let reasons: Vec<_> = reasons(change)
                    .into_iter()
                    .map(|(readers, why)| format!("{readers}: {why}"))
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

    /// The sums, one a line.
    pub fn summary(&self, bullet: &str) -> String {
        let mut out = String::new();
        for (name, count) in KINDS.iter().filter_map(|name| Some((name, self.counts.get(name)?))) {
            let _ = writeln!(
                out,
                "{bullet}{name}: {} before, {} now, {} removed, {} added",
                count.old, count.new, count.removed, count.added
            );
        }
        let _ = writeln!(out, "{bullet}changes: {}", self.changes.len());
        for reader in Reader::ALL {
            let _ =
                write!(out, "{bullet}breaking for {}: {}", reader.name(), self.breaking(reader));
            if reader != Reader::Source {
                let _ = write!(
                    out,
                    " ({} for old clients with a new Volt, {} for new clients with an old Volt)",
                    self.breaking_for(reader, Clients::Old),
                    self.breaking_for(reader, Clients::New)
                );
            }
            out.push('\n');
        }
        out
    }
}

/// Why a change troubles somebody, by readers; those with the same reason together.
fn reasons(change: &Change) -> Vec<(String, &str)> {
    let mut reasons: Vec<(String, Clients, &str)> = Vec::new();
    for (reader, effect) in &change.effects {
        if effect.why.is_empty() {
            continue;
        }
        let same = reasons
            .iter_mut()
            .find(|(_, clients, why)| *why == effect.why && *clients == effect.clients);
        match same {
            Some((readers, ..)) => {
                readers.push_str(", ");
                readers.push_str(reader.name());
            }
            None => reasons.push((reader.name().to_owned(), effect.clients, &effect.why)),
        }
    }
    let shown = reasons.into_iter().map(|(readers, clients, why)| match clients {
        Clients::Both => (readers, why),
        clients => (format!("{readers} of {}", clients.name()), why),
    });
    shown.collect()
}
