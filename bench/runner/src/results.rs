//! The measurements, as `results.json` stores them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::plan::{Cell, Cores, Extent, Work};

/// All results of one run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Results {
    /// The command line of the run.
    pub(super) command: String,
    pub(super) extent: Extent,
    pub(super) machine: Machine,
    /// The short and full names of the peers, in the order of the report.
    pub(super) peers: Vec<(String, String)>,
    pub(super) measured: Vec<Samples>,
    /// Nanoseconds of cryptography, JSON and base64 alone, one value for each round.
    pub(super) alone: BTreeMap<String, Vec<f64>>,
    /// Seconds of the generator and the compiler.
    pub(super) builds: Vec<(String, Vec<f64>)>,
}

/// The machine of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Machine {
    pub(super) processor: String,
    /// The number of cores that the run could use.
    pub(super) cores: usize,
    /// True if the server and the clients were pinned to cores.
    pub(super) pinned: bool,
    pub(super) rustc: String,
}

/// The samples of one peer for one cell, one for each round.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Samples {
    pub(super) cell: Cell,
    pub(super) peer: String,
    pub(super) samples: Vec<Measured>,
    /// The error, if there are fewer samples than rounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failed: Option<String>,
}

/// The output of a program below `bench/`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Measured {
    pub(super) operations: u64,
    pub(super) bytes: u64,
    pub(super) seconds: f64,
    pub(super) cpu_seconds: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) server_cpu_seconds: Option<f64>,
    pub(super) peak_memory: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) latency: Option<Latency>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) memory_each: Option<u64>,
}

/// Percentiles in microseconds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Latency {
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) p999: f64,
}

/// The median and the range of some samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Results {
    /// The samples of a peer for a cell.
    pub(super) fn of(&self, peer: &str, is: impl Fn(&Cell) -> bool) -> Option<&Samples> {
        let mut found = self.measured.iter().filter(|one| one.peer == peer && is(&one.cell));
        found.find(|one| !one.samples.is_empty())
    }

    /// The samples of a peer for unary calls, with the server and the client on different cores.
    pub(super) fn unary(&self, peer: &str, in_flight: usize, size: usize) -> Option<&Samples> {
        self.of(peer, |cell| {
            cell.work == Work::Unary
                && cell.in_flight == in_flight
                && cell.size == size
                && cell.cores == Cores::Apart
        })
    }

    /// The median cost of one operation alone, in nanoseconds.
    pub(super) fn alone(&self, name: &str) -> Option<f64> {
        Spread::of(self.alone.get(name)?.iter().copied()).map(|spread| spread.median)
    }

    /// The full name of a peer.
    pub(super) fn name<'a>(&'a self, peer: &'a str) -> &'a str {
        let known = self.peers.iter().find(|(short, _)| short == peer);
        known.map_or(peer, |(_, name)| name)
    }
}

impl Samples {
    /// The spread of a value of the samples.
    pub(super) fn spread(&self, value: impl Fn(&Measured) -> Option<f64>) -> Option<Spread> {
        Spread::of(self.samples.iter().filter_map(value))
    }

    /// Operations per second.
    pub(super) fn rate(&self) -> Option<Spread> {
        self.spread(|one| ratio(one.operations as f64, one.seconds))
    }

    /// Megabytes (10⁶) of payload per second.
    pub(super) fn megabytes(&self) -> Option<Spread> {
        self.spread(|one| ratio(one.bytes as f64 / 1e6, one.seconds))
    }

    /// Microseconds of the client's CPU time for each operation.
    pub(super) fn cpu(&self) -> Option<Spread> {
        self.spread(|one| ratio(one.cpu_seconds * 1e6, one.operations as f64))
    }

    /// Microseconds of the server's CPU time for each operation.
    pub(super) fn server_cpu(&self) -> Option<Spread> {
        self.spread(|one| ratio(one.server_cpu_seconds? * 1e6, one.operations as f64))
    }

    /// Bytes of memory for each idle call.
    pub(super) fn memory_each(&self) -> Option<Spread> {
        self.spread(|one| one.memory_each.map(|each| each as f64))
    }

    /// Peak memory in megabytes (10⁶).
    pub(super) fn memory(&self) -> Option<Spread> {
        self.spread(|one| Some(one.peak_memory as f64 / 1e6).filter(|memory| *memory > 0.0))
    }

    /// The median latency in microseconds.
    pub(super) fn p50(&self) -> Option<Spread> {
        self.spread(|one| one.latency.map(|latency| latency.p50))
    }
}

impl Spread {
    /// The spread of the numbers, or `None` if there are none.
    pub(super) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_unstable_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let upper = *values.get(middle)?;
        let median = match values.get(middle.wrapping_sub(1)) {
            Some(lower) if values.len().is_multiple_of(2) => f64::midpoint(*lower, upper),
            _ => upper,
        };
        Some(Self { median, min, max })
    }
}

fn ratio(value: f64, by: f64) -> Option<f64> {
    (by > 0.0).then_some(value / by)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_an_even_number_is_the_mean_of_the_middle_two() {
        let spread = Spread::of([4.0, 1.0, 2.0, 10.0]).expect("numbers");
        assert_eq!(spread, Spread { median: 3.0, min: 1.0, max: 10.0 });
        assert_eq!(Spread::of([7.0]), Some(Spread { median: 7.0, min: 7.0, max: 7.0 }));
        assert_eq!(Spread::of([]), None);
    }
}
