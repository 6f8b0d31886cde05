//! The report: performance.md with tables and charts.

mod charts;
mod tables;

use std::{fmt::Write as _, fs, path::Path};

use anyhow::Context as _;

use crate::{
    chart::number,
    plan::{Extent, size},
    results::Results,
    targets::{self, Bound, Target, grpc},
};

/// The line before the hand-written part of the report.
const BY_HAND: &str = "<!-- From here on this is written by hand, and stays. -->";

/// Writes the report into a folder. Keeps the hand-written part of an existing report.
pub(super) fn write(results: &Results, folder: &Path) -> anyhow::Result<()> {
    let pictures = folder.join("performance");
    fs::create_dir_all(&pictures).with_context(|| pictures.display().to_string())?;
    let charts = charts::draw(results, &pictures)?;
    let path = folder.join("performance.md");
    let before = fs::read_to_string(&path).unwrap_or_default();
    let text = render(results, &charts) + by_hand(&before);
    fs::write(&path, text).with_context(|| path.display().to_string())
}

/// The hand-written part of a report.
fn by_hand(report: &str) -> &str {
    report.split_once(BY_HAND).map_or("\n", |(_, by_hand)| by_hand)
}

fn render(results: &Results, charts: &[charts::Chart]) -> String {
    let mut report = String::from("# Performance\n\n");
    report += &introduction(results);
    report += &table_of_targets(&targets::all(results));
    report += &compared_with_tonic(&grpc::calls(results));
    for section in tables::all(results) {
        let _ = write!(report, "## {}\n\n{}\n\n", section.title, section.text);
        for chart in charts.iter().filter(|chart| chart.section == section.title) {
            let _ = write!(report, "![{}](performance/{})\n\n", chart.title, chart.file);
        }
        report += &section.table;
        report.push('\n');
    }
    report + BY_HAND
}

fn introduction(results: &Results) -> String {
    let machine = &results.machine;
    let pinned = if machine.pinned {
        "The server and the client each run on half of the cores, unless a line says otherwise."
    } else {
        "The server and the client share the cores."
    };
    let extent = match results.extent {
        Extent::Full => "",
        Extent::Quick => " This was a quick run, with fewer and shorter measurements.",
        Extent::Smoke => " This was a smoke run; its numbers are meaningless.",
    };
    format!(
        "Written by `{}` on {} ({} cores), {}.{extent} {pinned} The peers take turns, each as a new process, \
         in several rounds. The tables show the median, and the range in brackets if the rounds \
         differ by more than a tenth. All numbers are in [results.json](performance/results.json); \
         `bench/README.md` describes the programs. A dash marks work that a peer cannot do or was not asked to do.\n\n",
        results.command, machine.processor, machine.cores, machine.rustc,
    )
}

fn table_of_targets(targets: &[Target]) -> String {
    let mut table = String::from("## Targets\n\n| | needed | measured | |\n|---|---|---|---|\n");
    for Target { what, needed, got, note } in targets {
        let bound = wanted(*needed);
        let (measured, verdict) = match *got {
            None => ("–".to_owned(), "not measured".to_owned()),
            Some(got) if needed.is_met(got) => (number(got), "met".to_owned()),
            Some(got) => {
                let factor = number(needed.missed_by(got));
                (number(got), format!("**missed**, by a factor of {factor}"))
            }
        };
        let note = if note.is_empty() { String::new() } else { format!(" ({note})") };
        let _ = writeln!(table, "| {what}{note} | {bound} | {measured} | {verdict} |");
    }
    table.push('\n');
    table
}

fn wanted(needed: Bound) -> String {
    match needed {
        Bound::AtLeast(bound) => format!("at least {}", number(bound)),
        Bound::AtMost(bound) => format!("at most {}", number(bound)),
    }
}

/// Renders the targets of unary calls over gRPC: a row for each cell, a column for each target.
fn compared_with_tonic(cells: &[grpc::Calls]) -> String {
    let mut table = String::from("## gRPC compared with tonic\n\n");
    table += "Unary calls over gRPC: this SDK's values ÷ those of tonic over TLS, with the same messages.\n\n";
    table += "| in flight | message |";
    for (what, needed) in grpc::CALLS {
        let _ = write!(table, " {what}: {} |", wanted(needed));
    }
    table += "\n|---:|---:|---|---|---|\n";
    for grpc::Calls { in_flight, size: message, ratios } in cells {
        let _ = write!(table, "| {in_flight} | {} |", size(*message as u64));
        for (ratio, (_, needed)) in ratios.iter().zip(grpc::CALLS) {
            let shown = match *ratio {
                None => "–".to_owned(),
                Some(got) if needed.is_met(got) => format!("{} met", number(got)),
                Some(got) => format!("{} **missed**", number(got)),
            };
            let _ = write!(table, " {shown} |");
        }
        table.push('\n');
    }
    table.push('\n');
    table
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        plan::{Cell, Cores, Work},
        results::{Latency, Machine, Measured, Samples},
    };

    fn unary(peer: &str, rates: &[u64]) -> Samples {
        let latency = Latency { p50: 300.0, p99: 400.0, p999: 500.0 };
        let measured = |rate: &u64| Measured {
            operations: *rate,
            bytes: 0,
            seconds: 1.0,
            cpu_seconds: 0.5,
            server_cpu_seconds: None,
            peak_memory: 8_000_000,
            latency: Some(latency),
            memory_each: None,
        };
        let cell =
            Cell { work: Work::Unary, in_flight: 64, size: 1024, count: 0, cores: Cores::Apart };
        let samples = rates.iter().map(measured).collect();
        Samples { cell, peer: peer.to_owned(), samples, failed: None }
    }

    fn results(measured: Vec<Samples>) -> Results {
        Results {
            command: "cargo xtask bench".to_owned(),
            extent: Extent::Full,
            machine: Machine {
                processor: "A processor".to_owned(),
                cores: 2,
                pinned: true,
                rustc: "rustc 1".to_owned(),
            },
            peers: ["sdk", "sdk-grpc", "rust", "tonic"]
                .map(|peer| (peer.to_owned(), format!("the {peer}")))
                .into(),
            measured,
            alone: BTreeMap::new(),
            builds: Vec::new(),
        }
    }

    #[test]
    fn targets_are_judged_by_medians() {
        let results = results(vec![
            unary("sdk", &[9000, 10_000, 90_000]),
            unary("rust", &[2000]),
            unary("tonic", &[20_000]),
        ]);
        let text = table_of_targets(&targets::all(&results));
        let line = |what: &str| text.lines().find(|line| line.contains(what)).unwrap();
        assert!(line("calls/s ÷ volt-client-rs |").contains("| 5 | met |"), "{text}");
        assert!(
            line("calls/s ÷ tonic").contains("| 0.5 | **missed**, by a factor of 1.4 |"),
            "{text}"
        );
        assert!(line("peak").contains("| – | not measured |"), "{text}");
    }

    #[test]
    fn each_cell_of_grpc_is_judged_by_three_targets() {
        let mut ours = unary("sdk-grpc", &[19_000]);
        ours.samples[0].latency = Some(Latency { p50: 600.0, p99: 700.0, p999: 800.0 });
        let results = results(vec![ours, unary("tonic", &[20_000])]);
        let text = compared_with_tonic(&grpc::calls(&results));
        assert!(text.contains("| 64 | 1 KiB | 0.95 met | 1.05 met | 2 **missed** |"), "{text}");
        assert!(text.contains("| 256 | 64 KiB | – | – | – |"), "{text}");
        assert_eq!(text.lines().filter(|line| line.contains("B | ")).count(), 12, "{text}");
    }

    #[test]
    fn hand_written_part_is_preserved() {
        let folder = tempfile::tempdir().unwrap();
        let (path, results) =
            (folder.path().join("performance.md"), results(vec![unary("sdk", &[1])]));
        write(&results, folder.path()).unwrap();
        let first = fs::read_to_string(&path).unwrap();
        assert!(first.contains("the sdk"), "{first}");
        fs::write(&path, first.replace("the sdk", "stale") + "\n## By hand\n").unwrap();
        write(&results, folder.path()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), first + "\n## By hand\n");
    }
}
