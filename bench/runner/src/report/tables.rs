//! Renders the tables of the report.

use std::fmt::Write as _;

use crate::{
    chart::number,
    plan::{Cell, Cores, Work, size},
    results::{Measured, Results, Samples, Spread},
    targets::crypto_of_a_call,
};

/// A section of the report.
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) text: &'static str,
    pub(super) table: String,
}

/// A column: its title and its value.
type Column = (&'static str, fn(&Samples) -> Option<Spread>);

const RATE: Column = ("/s", Samples::rate);
const MEGABYTES: Column = ("MB/s", Samples::megabytes);
const CPU: Column = ("client's CPU, µs each", Samples::cpu);
const SERVER_CPU: Column = ("server's CPU, µs each", Samples::server_cpu);
const MEMORY: Column = ("peak memory, MB", Samples::memory);
const P50: Column = ("p50, µs", Samples::p50);
/// With fewer calls, the percentile would be a single sample.
const P99: Column = ("p99, µs", |one| {
    one.spread(|one| one.latency.filter(|_| one.operations >= 100).map(|latency| latency.p99))
});
const P999: Column = ("p99.9, µs", |one| {
    one.spread(|one| one.latency.filter(|_| one.operations >= 1000).map(|latency| latency.p999))
});
const EACH: Column = ("bytes each", Samples::memory_each);
const PER_SERVER_CPU: Column = ("MB per second of the server's CPU", |one| {
    let cpu = |one: &Measured| one.server_cpu_seconds.filter(|cpu| *cpu > 0.0);
    one.spread(|one| Some(one.bytes as f64 / 1e6 / cpu(one)?))
});
const PER_CPU: Column = ("MB per second of the client's CPU", |one| {
    one.spread(|one| (one.cpu_seconds > 0.0).then(|| one.bytes as f64 / 1e6 / one.cpu_seconds))
});

/// All sections that have measurements.
pub(super) fn all(results: &Results) -> Vec<Section> {
    let section = |title, text, is: fn(&Cell) -> bool, columns: &[Column]| Section {
        title,
        text,
        table: table(results, is, columns),
    };
    let mut sections = vec![
        section(
            "Unary calls",
            "`GetResource` of a mock that returns the id in the request: a message of that size in each \
             direction. The raw echo sends as many bytes in websocket frames, without any processing.",
            |cell| cell.work == Work::Unary && cell.cores == Cores::Apart,
            &[("calls/s", RATE.1), P50, P99, P999, CPU, SERVER_CPU, MEMORY],
        ),
        section(
            "Growth with cores",
            "The server and the client together on one core, and on two.",
            |cell| cell.cores != Cores::Apart,
            &[("calls/s", RATE.1), P50, P99, CPU, SERVER_CPU],
        ),
        section(
            "Opening and closing calls",
            "`Connect` with one message, half-closed at once, to its end.",
            |cell| cell.work == Work::OpenClose,
            &[("calls/s", RATE.1), P50, P99, CPU, SERVER_CPU, MEMORY],
        ),
        section(
            "Connections",
            "Each is opened, used for one unary call and closed; `volt-client-rs` cannot close one.",
            |cell| cell.work == Work::Connect,
            &[("connections/s", RATE.1), CPU, SERVER_CPU, MEMORY],
        ),
        section(
            "Idle calls",
            "`Connect` calls that receive one answer and stay open, opened one after the other. \
             Some peers open fewer.",
            |cell| cell.work == Work::Idle,
            &[("calls/s", RATE.1), EACH, MEMORY],
        ),
        section(
            "Rows",
            "One `Execute` on the embedded Volt, which reads the rows from SQLite: an integer, two \
             texts and a real number in each. The published clients read only a part of the million.",
            |cell| cell.work == Work::Rows,
            &[("rows/s", RATE.1), CPU, SERVER_CPU, MEMORY],
        ),
        section(
            "Downloads",
            "One `DownloadFile` of a mock that generates the blocks.",
            |cell| cell.work == Work::Download,
            &[MEGABYTES, PER_CPU, PER_SERVER_CPU, MEMORY],
        ),
        section(
            "Uploads",
            "One `UploadFile` to a mock that acknowledges each block and drops it.",
            |cell| cell.work == Work::Upload,
            &[MEGABYTES, PER_CPU, PER_SERVER_CPU, MEMORY],
        ),
        section(
            "Wires",
            "One publisher and several subscriptions on one connection to the embedded Volt. A message \
             counts once for each subscription that receives it.",
            |cell| cell.work == Work::Wire,
            &[("messages/s", RATE.1), CPU, SERVER_CPU, MEMORY],
        ),
        Section {
            title: "Cryptography, JSON and base64 alone",
            text: "With aws-lc-rs, serde_json and base64, each alone. JSON is an envelope with a message \
                   that has a block, which stays base64 text. A call is the cryptography of both ends \
                   of a unary call.",
            table: alone(results),
        },
        Section {
            title: "Generator and compiler",
            text: "The generator generates all of the SDK's code and compares it with the files. The \
                   compiler uses all cores; the times are elapsed times. [build-time.md](build-time.md) \
                   has the SDK's own share.",
            table: builds(results),
        },
    ];
    sections.retain(|section| !section.table.is_empty());
    sections
}

/// Renders a row for each peer, grouped by cell.
fn table(results: &Results, is: fn(&Cell) -> bool, columns: &[Column]) -> String {
    let rows: Vec<_> = results
        .measured
        .iter()
        .filter(|one| is(&one.cell) && (!one.samples.is_empty() || one.failed.is_some()))
        .collect();
    // Skip columns without any value.
    let columns: Vec<_> =
        columns.iter().filter(|(_, value)| rows.iter().any(|row| value(row).is_some())).collect();
    if rows.is_empty() {
        return String::new();
    }
    let mut table = String::from("| | |");
    for (title, _) in &columns {
        let _ = write!(table, " {title} |");
    }
    table += "\n|---|---|";
    table += &"---:|".repeat(columns.len());
    table.push('\n');
    let mut above = None;
    for row in rows {
        let asked = if above == Some(&row.cell) { String::new() } else { asked(&row.cell) };
        above = Some(&row.cell);
        let _ = write!(table, "| {asked} | {} |", results.name(&row.peer));
        for (_, value) in &columns {
            let shown = match value(row) {
                Some(spread) => shown(spread),
                None if row.failed.is_some() => "failed".to_owned(),
                None => "–".to_owned(),
            };
            let _ = write!(table, " {shown} |");
        }
        table.push('\n');
    }
    table
}

/// Describes a cell.
fn asked(cell: &Cell) -> String {
    let of = |bytes: usize| size(bytes as u64);
    match cell.work {
        Work::Unary => {
            let cores = match cell.cores {
                Cores::Apart => "",
                Cores::One => ", one core",
                Cores::Two => ", two cores",
            };
            format!("{}, {} in flight{cores}", of(cell.size), cell.in_flight)
        }
        Work::OpenClose => format!("{} at a time", cell.in_flight),
        Work::Connect => format!("{} at a time, {} in all", cell.in_flight, cell.count),
        Work::Idle | Work::Rows => number(cell.count as f64),
        Work::Download | Work::Upload => {
            format!("{} in blocks of {}", size(cell.count), of(cell.size))
        }
        Work::Wire => {
            let subscriptions = if cell.in_flight == 1 { "subscription" } else { "subscriptions" };
            format!("{} {subscriptions}, {}", cell.in_flight, of(cell.size))
        }
        Work::Alone | Work::Build => String::new(),
    }
}

/// The median, and the range if it is wide.
fn shown(spread: Spread) -> String {
    let Spread { median, min, max } = spread;
    if max - min > median / 10.0 {
        format!("{} ({}–{})", number(median), number(min), number(max))
    } else {
        number(median)
    }
}

fn alone(results: &Results) -> String {
    if results.alone.is_empty() {
        return String::new();
    }
    let mut table = String::from("| | µs | MB/s |\n|---|---:|---:|\n");
    let mut costs: Vec<_> = results
        .alone
        .keys()
        .filter_map(|name| {
            let (what, bytes) = name.split_once(' ').unwrap_or((name, ""));
            Some((what, bytes.parse::<u64>().ok(), results.alone(name)?))
        })
        .collect();
    costs.sort_by_key(|(what, bytes, _)| (*what, *bytes));
    for (what, bytes, nanoseconds) in costs {
        let (of, speed) = match bytes {
            Some(bytes) => (format!(", {}", size(bytes)), number(bytes as f64 * 1e3 / nanoseconds)),
            None => (String::new(), "–".to_owned()),
        };
        let _ = writeln!(table, "| {what}{of} | {} | {speed} |", number(nanoseconds / 1e3));
    }
    if let Some(cost) = crypto_of_a_call(results, 1024) {
        let _ = writeln!(table, "| a call, 1 KiB, both ends | {} | – |", number(cost / 1e3));
    }
    table
}

fn builds(results: &Results) -> String {
    if results.builds.is_empty() {
        return String::new();
    }
    let mut table = String::from("| | s |\n|---|---:|\n");
    for (what, times) in &results.builds {
        let time = Spread::of(times.iter().copied()).map_or_else(|| "–".to_owned(), shown);
        let _ = writeln!(table, "| {what} | {time} |");
    }
    table
}
