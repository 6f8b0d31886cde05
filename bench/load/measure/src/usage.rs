//! The CPU time and the memory of processes.

use std::{
    fs,
    time::{Duration, Instant},
};

use nix::sys::{
    resource::{UsageWho, getrusage},
    time::{TimeVal, TimeValLike as _},
};

use crate::{Load, Measured};

/// A measured interval.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    started: Instant,
    cpu: Duration,
    server: Option<u32>,
    server_cpu: Option<Duration>,
}

impl Span {
    /// Starts an interval.
    pub fn start(load: &Load) -> Self {
        let server_cpu = load.server.and_then(cpu_of);
        Self { started: Instant::now(), cpu: cpu(), server: load.server, server_cpu }
    }

    /// Ends the interval, after this many operations and bytes.
    pub fn finish(self, operations: u64, bytes: u64) -> Measured {
        let server_cpu = self.server.and_then(cpu_of).zip(self.server_cpu);
        Measured {
            operations,
            bytes,
            seconds: self.started.elapsed().as_secs_f64(),
            cpu_seconds: cpu().saturating_sub(self.cpu).as_secs_f64(),
            server_cpu_seconds: server_cpu
                .map(|(now, then)| (now.saturating_sub(then)).as_secs_f64()),
            peak_memory: peak(),
            ..Measured::default()
        }
    }
}

/// The resident memory of this process in bytes, or 0 if the system does not report it.
pub fn resident() -> u64 {
    status("VmRSS:").unwrap_or_default()
}

fn cpu() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else { return Duration::ZERO };
    let duration = |time: TimeVal| Duration::from_micros(time.num_microseconds().unsigned_abs());
    duration(usage.user_time()) + duration(usage.system_time())
}

/// The CPU time of another process, in hundredths of a second, the unit of Linux.
fn cpu_of(process: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The second field is a name, which may contain any character.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(Duration::from_millis((user + system) * 10))
}

/// Linux includes the parent's memory before the program was started in `ru_maxrss`, so the
/// process's own peak is more accurate.
fn peak() -> u64 {
    let reported = || getrusage(UsageWho::RUSAGE_SELF).map_or(0, |usage| usage.max_rss());
    status("VmHWM:").unwrap_or_else(|| reported().unsigned_abs() << 10)
}

fn status(name: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib << 10)
}
