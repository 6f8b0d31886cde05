//! Renders the report as text and Markdown.

use std::fmt::Write as _;

use super::{
    count::KINDS,
    report::{Change, Clients, Report, Surface, Verdict},
};

impl Report {
    /// Returns the report as plain text.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        for change in &self.changes {
            // Writing to a `String` cannot fail.
            let _ =
                writeln!(out, "{:<8} {}: {}", change.worst().name(), change.element, change.what);
            for (surfaces, why) in reasons(change) {
                let _ = writeln!(out, "           {why} ({surfaces})");
            }
        }
        if !out.is_empty() {
            out.push('\n');
        }
        for (former, now) in &self.proposals {
            let _ = writeln!(out, "perhaps a rename: {former} {now}");
        }
        out + &self.summary("")
    }

    /// Returns the report as Markdown for a changelog: the counts, and sections with headings of
    /// this level.
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
                    .map(|(surfaces, why)| format!("{surfaces}: {why}"))
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

    /// The counts, one a line.
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
        for surface in Surface::ALL {
            let _ =
                write!(out, "{bullet}breaking for {}: {}", surface.name(), self.breaking(surface));
            if surface != Surface::Source {
                let _ = write!(
                    out,
                    " ({} for old clients with a new Volt, {} for new clients with an old Volt)",
                    self.breaking_for(surface, Clients::Old),
                    self.breaking_for(surface, Clients::New)
                );
            }
            out.push('\n');
        }
        out
    }
}

/// The reasons for the effects of a change, by surfaces; surfaces with the same reason are grouped.
fn reasons(change: &Change) -> Vec<(String, &str)> {
    let mut reasons: Vec<(String, Clients, &str)> = Vec::new();
    for (surface, effect) in &change.effects {
        if effect.why.is_empty() {
            continue;
        }
        let same = reasons
            .iter_mut()
            .find(|(_, clients, why)| *why == effect.why && *clients == effect.clients);
        match same {
            Some((surfaces, ..)) => {
                surfaces.push_str(", ");
                surfaces.push_str(surface.name());
            }
            None => reasons.push((surface.name().to_owned(), effect.clients, &effect.why)),
        }
    }
    let shown = reasons.into_iter().map(|(surfaces, clients, why)| match clients {
        Clients::Both => (surfaces, why),
        clients => (format!("{surfaces} of {}", clients.name()), why),
    });
    shown.collect()
}
