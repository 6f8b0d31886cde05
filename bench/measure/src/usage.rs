//! What the process takes of the machine.

use std::{
    fs,
    time::{Duration, Instant},
};

use nix::sys::{
    resource::{UsageWho, getrusage},
    time::{TimeVal, TimeValLike as _},
};

use crate::Measured;

/// A stretch of time that is measured.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    started: Instant,
    cpu: Duration,
}

impl Span {
    /// Begins now.
    pub fn start() -> Self {
        Self { started: Instant::now(), cpu: cpu() }
    }

    /// Ends now, after so many operations with so many bytes.
    pub fn finish(self, operations: u64, bytes: u64) -> Measured {
        Measured {
            operations,
            bytes,
            seconds: self.started.elapsed().as_secs_f64(),
            cpu_seconds: (cpu() - self.cpu).as_secs_f64(),
            peak_memory: peak(),
            ..Measured::default()
        }
    }
}

/// How much memory the process has now, in bytes. 0 where the system does not say.
pub fn resident() -> u64 {
    status("VmRSS:").unwrap_or_default()
}

fn cpu() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else { return Duration::ZERO };
    let duration = |time: TimeVal| Duration::from_micros(time.num_microseconds().unsigned_abs());
    duration(usage.user_time()) + duration(usage.system_time())
}

/// Linux counts what the parent had before the program was started into `ru_maxrss`, so the
/// program's own mark is better.
fn peak() -> u64 {
    let reported = || getrusage(UsageWho::RUSAGE_SELF).map_or(0, |usage| usage.max_rss());
    status("VmHWM:").unwrap_or_else(|| reported().unsigned_abs() << 10)
}

fn status(name: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib << 10)
}
