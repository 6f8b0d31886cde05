//! What was measured, as it is kept in `results.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::plan::{Cell, Cores, Extent, Work};

/// All of one run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Results {
    /// The command that gave them.
    pub(super) command: String,
    pub(super) extent: Extent,
    pub(super) machine: Machine,
    /// The peers' names by their short names, in the order in which they are shown.
    pub(super) peers: Vec<(String, String)>,
    pub(super) measured: Vec<Samples>,
    /// Nanoseconds of cryptography, JSON and base64 alone: one of each for each round.
    pub(super) alone: BTreeMap<String, Vec<f64>>,
    /// Seconds that the generator and the compiler take.
    pub(super) builds: Vec<(String, Vec<f64>)>,
}

/// What it was measured on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Machine {
    pub(super) processor: String,
    /// How many cores the run could use.
    pub(super) cores: usize,
    /// Whether the server and the clients were kept to their cores.
    pub(super) pinned: bool,
    pub(super) rustc: String,
}

/// What one peer measured of one cell, a sample for each round.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Samples {
    pub(super) cell: Cell,
    pub(super) peer: String,
    pub(super) samples: Vec<Measured>,
    /// Why there are fewer samples than rounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failed: Option<String>,
}

/// What a program below `bench/` writes.
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

/// The middle of some samples, and how far they go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Results {
    /// What a peer measured of a cell.
    pub(super) fn of(&self, peer: &str, is: impl Fn(&Cell) -> bool) -> Option<&Samples> {
        let mut found = self.measured.iter().filter(|one| one.peer == peer && is(&one.cell));
        found.find(|one| !one.samples.is_empty())
    }

    /// What a peer measured of unary calls, with the server and the client apart.
    pub(super) fn unary(&self, peer: &str, in_flight: usize, size: usize) -> Option<&Samples> {
        self.of(peer, |cell| {
            cell.work == Work::Unary
                && cell.in_flight == in_flight
                && cell.size == size
                && cell.cores == Cores::Apart
        })
    }

    /// The median cost of something alone, in nanoseconds.
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
    /// The spread of something that each sample has.
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

    /// Microseconds of the client's processor for each operation.
    pub(super) fn cpu(&self) -> Option<Spread> {
        self.spread(|one| ratio(one.cpu_seconds * 1e6, one.operations as f64))
    }

    /// Microseconds of the server's processor for each operation.
    pub(super) fn server_cpu(&self) -> Option<Spread> {
        self.spread(|one| ratio(one.server_cpu_seconds? * 1e6, one.operations as f64))
    }

    /// Bytes that each idle call takes.
    pub(super) fn memory_each(&self) -> Option<Spread> {
        self.spread(|one| one.memory_each.map(|each| each as f64))
    }

    /// The most memory, in megabytes (10⁶).
    pub(super) fn memory(&self) -> Option<Spread> {
        self.spread(|one| Some(one.peak_memory as f64 / 1e6).filter(|memory| *memory > 0.0))
    }

    /// Microseconds that half of the calls took at most.
    pub(super) fn p50(&self) -> Option<Spread> {
        self.spread(|one| one.latency.map(|latency| latency.p50))
    }
}

impl Spread {
    /// Of some numbers; `None` of none.
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
    fn the_median_is_between_the_two_in_the_middle() {
        let spread = Spread::of([4.0, 1.0, 2.0, 10.0]).expect("there are numbers");
        assert_eq!(spread, Spread { median: 3.0, min: 1.0, max: 10.0 });
        assert_eq!(Spread::of([7.0]), Some(Spread { median: 7.0, min: 7.0, max: 7.0 }));
        assert_eq!(Spread::of([]), None);
    }
}
