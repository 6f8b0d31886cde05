//! The command line and the measurements of the programs of the benchmarks.
//!
//! Each program does one piece of [`Work`] against the load server and writes its measurements as JSON.
//! `bench/clients/js` and `bench/clients/python` do the same in their languages.

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
    /// The work to do.
    pub work: Work,
    /// The file with the address of the server. For Volt clients: a client configuration.
    #[arg(long)]
    pub config: PathBuf,
    /// The file for the measurements, as JSON.
    #[arg(long)]
    pub out: PathBuf,
    /// The number of concurrent calls, connections or subscriptions.
    #[arg(long, default_value_t = 1)]
    pub in_flight: usize,
    /// The size of a message or block, in bytes.
    #[arg(long, default_value_t = 1024)]
    pub size: usize,
    /// The total number of rows, messages, calls, connections or bytes.
    #[arg(long, default_value_t = 1)]
    pub count: u64,
    /// The seconds to measure, if no count ends the work.
    #[arg(long, default_value_t = 1.0)]
    pub seconds: f64,
    /// The seconds to work before measuring.
    #[arg(long, default_value_t = 0.2)]
    pub warm_up: f64,
    /// The id of the database or wire to work on.
    #[arg(long, default_value = "")]
    pub resource: String,
    /// The id of the server's process, whose CPU time is measured as well.
    #[arg(long)]
    pub server: Option<u32>,
}

/// A kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Work {
    /// Unary calls whose answer is the request.
    Unary,
    /// Streaming calls that are opened and closed.
    OpenClose,
    /// Connections that are opened, used for one call, and closed.
    Connect,
    /// Open calls that do nothing.
    Idle,
    /// Rows of one `Execute`.
    Rows,
    /// One `DownloadFile`.
    Download,
    /// One `UploadFile`.
    Upload,
    /// Messages of one publisher to the subscribers of a wire.
    Wire,
    /// Cryptography, JSON and base64, each on its own.
    Alone,
}

/// The measurements of a program.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Measured {
    /// Calls, rows, messages, blocks or connections.
    pub operations: u64,
    /// Bytes of payload, for work that counts them.
    pub bytes: u64,
    /// The elapsed time.
    pub seconds: f64,
    /// User and system time of the client's process.
    pub cpu_seconds: f64,
    /// The same for the server's process, in hundredths of a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_cpu_seconds: Option<f64>,
    /// The peak memory of the process, in bytes.
    pub peak_memory: u64,
    /// The latency of single operations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    /// The memory of each idle call, in bytes.
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
    /// Sorts samples and returns their percentiles, or `None` without samples.
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
    /// A text with the size of a message.
    pub fn text(&self) -> String {
        text(self.size)
    }

    /// The number of blocks of a file.
    pub fn blocks(&self) -> u64 {
        self.count / self.size.max(1) as u64
    }

    /// The id of the load server's file with this number of bytes and this block size.
    pub fn file(&self) -> String {
        format!("{}/{}", self.count, self.size)
    }

    /// Writes the measurements, or any other outcome.
    pub fn finish(&self, outcome: &impl Serialize) -> io::Result<()> {
        fs::write(&self.out, serde_json::to_vec(outcome)?)
    }
}

/// A text of this many bytes that needs no escapes in JSON.
pub fn text(size: usize) -> String {
    "did:volt:a4c0e2-".chars().cycle().take(size).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentile_is_the_smallest_sample_that_covers_the_share() {
        let mut samples: Vec<_> = (1..=100).rev().map(Duration::from_micros).collect();
        let latency = Latency::of(&mut samples).unwrap();
        assert!((latency.p50 - 50.0).abs() < 1e-9, "{latency:?}");
        assert!((latency.p99 - 99.0).abs() < 1e-9, "{latency:?}");
        assert!((latency.p999 - 100.0).abs() < 1e-9, "{latency:?}");
        assert!(Latency::of(&mut []).is_none());
    }
}
