//! Selects the charts of the report.

use std::path::Path;

use crate::{
    chart::{self, Series},
    plan::{Cores, Work},
    results::{Results, Samples, Spread},
    targets::largest,
};

/// A finished chart.
pub(super) struct Chart {
    /// The title of its section in the report.
    pub(super) section: &'static str,
    pub(super) title: &'static str,
    pub(super) file: &'static str,
}

const KIB: usize = 1 << 10;

/// Draws the charts into a folder.
pub(super) fn draw(results: &Results, folder: &Path) -> anyhow::Result<Vec<Chart>> {
    let mut charts = Vec::new();
    let mut lines = |file, title, axes, series: Vec<Series>| {
        // A line needs two points.
        let series: Vec<_> = series.into_iter().filter(|one| one.points.len() > 1).collect();
        if !series.is_empty() {
            chart::lines(&folder.join(file), title, axes, &series)?;
            charts.push(Chart { section: "Unary calls", title, file });
        }
        anyhow::Ok(())
    };
    lines(
        "calls-by-in-flight.svg",
        "Unary calls of 1 KiB per second, by calls in flight",
        ["calls in flight", "calls per second"],
        unary(results, &|one| (one.cell.size == KIB).then_some(one.cell.in_flight), &Samples::rate),
    )?;
    lines(
        "calls-by-size.svg",
        "Unary calls per second with 64 in flight, by the size of the message",
        ["bytes", "calls per second"],
        unary(results, &|one| (one.cell.in_flight == 64).then_some(one.cell.size), &Samples::rate),
    )?;
    lines(
        "latency-by-size.svg",
        "Latency of unary calls, one at a time: p50, by the size of the message",
        ["bytes", "µs"],
        unary(results, &|one| (one.cell.in_flight == 1).then_some(one.cell.size), &Samples::p50),
    )?;

    let mut bars = |section, file, title, unit, series: Vec<Series>| {
        if !series.is_empty() {
            chart::bars(&folder.join(file), title, unit, &series)?;
            charts.push(Chart { section, title, file });
        }
        anyhow::Ok(())
    };
    let of = |work, size, value: fn(&Samples) -> Option<Spread>| most(results, work, size, value);
    let title = "Rows of one Execute per second";
    bars("Rows", "rows.svg", title, "rows/s", of(Work::Rows, 0, Samples::rate))?;
    let title = "The client's CPU for each row";
    bars("Rows", "rows-cpu.svg", title, "µs", of(Work::Rows, 0, Samples::cpu))?;
    let title = "Download in blocks of 64 KiB";
    let downloads = of(Work::Download, 64 * KIB, Samples::megabytes);
    bars("Downloads", "download.svg", title, "MB/s", downloads)?;
    let title = "Upload in blocks of 64 KiB";
    let uploads = of(Work::Upload, 64 * KIB, Samples::megabytes);
    bars("Uploads", "upload.svg", title, "MB/s", uploads)?;
    let title = "Memory of each idle call";
    let idle = of(Work::Idle, 0, Samples::memory_each);
    bars("Idle calls", "idle.svg", title, "bytes", idle)?;
    Ok(charts)
}

/// A line for each peer through its measurements of unary calls.
fn unary(
    results: &Results,
    at: &dyn Fn(&Samples) -> Option<usize>,
    value: &dyn Fn(&Samples) -> Option<Spread>,
) -> Vec<Series> {
    let point = |one: &Samples| Some((at(one)? as f64, value(one)?));
    let is_unary = |one: &&Samples| one.cell.work == Work::Unary && one.cell.cores == Cores::Apart;
    let series = results.peers.iter().map(|(peer, name)| {
        let measured = results.measured.iter().filter(is_unary).filter(|one| one.peer == *peer);
        let points = measured.filter_map(point).collect();
        Series { peer: peer.clone(), name: name.clone(), points }
    });
    series.collect()
}

/// A bar for each peer, with its measurement of the largest count of some work.
fn most(
    results: &Results,
    work: Work,
    size: usize,
    value: fn(&Samples) -> Option<Spread>,
) -> Vec<Series> {
    let series = results.peers.iter().filter_map(|(peer, name)| {
        let spread = value(largest(results, peer, work, size)?)?;
        Some(Series { peer: peer.clone(), name: name.clone(), points: vec![(0.0, spread)] })
    });
    series.collect()
}
