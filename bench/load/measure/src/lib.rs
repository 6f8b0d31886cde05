//! What the programs of the benchmarks share: their command line, and measuring.
//!
//! Each program does one piece of [`Work`] against the load server and writes what it measured as
//! JSON. `../js` and `../python` do the same in their languages.

mod closed_loop;
mod usage;

use std::{fs, io, path::PathBuf, time::Duration};

use clap::{Parser, ValueEnum};
use serde::Serialize;

pub use self::{
    closed_loop::closed_loop,
    usage::{Span, resident},
};

/// Does one piece of work against the load server and measures it.
#[derive(Clone, Debug, Parser)]
pub struct Load {
    /// What to do.
    pub work: Work,
    /// The file that says where the server is: a client configuration, for those that take one.
    #[arg(long)]
    pub config: PathBuf,
    /// The file that the measurement goes to, as JSON.
    #[arg(long)]
    pub out: PathBuf,
    /// How many calls, connections or subscriptions there are at a time.
    #[arg(long, default_value_t = 1)]
    pub in_flight: usize,
    /// How long a message or block is, in bytes.
    #[arg(long, default_value_t = 1024)]
    pub size: usize,
    /// How many rows, messages, calls or connections, or how many bytes there are in all.
    #[arg(long, default_value_t = 1)]
    pub count: u64,
    /// How long to measure, where no count ends the work.
    #[arg(long, default_value_t = 1.0)]
    pub seconds: f64,
    /// How long to work before measuring.
    #[arg(long, default_value_t = 0.2)]
    pub warm_up: f64,
    /// The database or wire to work on.
    #[arg(long, default_value = "")]
    pub resource: String,
    /// The server's process, whose CPU seconds are measured as well.
    #[arg(long)]
    pub server: Option<u32>,
}

/// What a program does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Work {
    /// Unary calls that give back what they are sent.
    Unary,
    /// Streaming calls that are opened and closed.
    OpenClose,
    /// Connections that are opened, used for one call, and closed.
    Connect,
    /// Calls that are open and do nothing.
    Idle,
    /// Rows of one `Execute`.
    Rows,
    /// One `DownloadFile`.
    Download,
    /// One `UploadFile`.
    Upload,
    /// Messages of one publisher to the subscribers of a wire.
    Wire,
    /// Cryptography, JSON and base64 alone.
    Alone,
}

/// What was measured.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Measured {
    /// Calls, rows, messages, blocks or connections.
    pub operations: u64,
    /// Of payload, where that is what counts.
    pub bytes: u64,
    /// How long it took.
    pub seconds: f64,
    /// Of the client's process, user and system.
    pub cpu_seconds: f64,
    /// The same of the server's, to a hundredth of a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_cpu_seconds: Option<f64>,
    /// The most memory that the process had, in bytes.
    pub peak_memory: u64,
    /// How long single calls took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    /// Memory that each idle call takes, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_each: Option<u64>,
}

/// Percentiles, in microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Latency {
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
}

impl Latency {
    /// Of samples, which get sorted. `None` without any.
    pub fn of(samples: &mut [Duration]) -> Option<Self> {
        samples.sort_unstable();
        let at = |per_mille: usize| {
            let rank = (samples.len() * per_mille).div_ceil(1000).max(1);
            samples.get(rank - 1).map(|latency| latency.as_secs_f64() * 1e6)
        };
        Some(Self { p50: at(500)?, p99: at(990)?, p999: at(999)? })
    }
}

impl Load {
    /// A text as long as a message is to be.
    pub fn text(&self) -> String {
        text(self.size)
    }

    /// How many blocks make up the bytes that there are in all.
    pub fn blocks(&self) -> u64 {
        self.count / self.size.max(1) as u64
    }

    /// The id of a file of the load server that has that many bytes in blocks of that size.
    pub fn file(&self) -> String {
        format!("{}/{}", self.count, self.size)
    }

    /// Writes what was measured, or any other outcome.
    pub fn finish(&self, outcome: &impl Serialize) -> io::Result<()> {
        fs::write(&self.out, serde_json::to_vec(outcome)?)
    }
}

/// A text of that many bytes, in which nothing has to be escaped.
pub fn text(size: usize) -> String {
    "did:volt:a4c0e2-".chars().cycle().take(size).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_smallest_sample_that_so_many_do_not_exceed() {
        let mut samples: Vec<_> = (1..=100).rev().map(Duration::from_micros).collect();
        let latency = Latency::of(&mut samples).unwrap();
        assert!((latency.p50 - 50.0).abs() < 1e-9, "{latency:?}");
        assert!((latency.p99 - 99.0).abs() < 1e-9, "{latency:?}");
        assert!((latency.p999 - 100.0).abs() < 1e-9, "{latency:?}");
        assert!(Latency::of(&mut []).is_none());
    }
}
