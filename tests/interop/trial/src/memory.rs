//! The memory of the process.

use std::fs;

use crate::Result;

/// The peak resident memory so far, in KiB.
pub(crate) fn peak() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status").map_err(|error| error.to_string())?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|line| line.trim().strip_suffix(" kB"));
    let peak = peak.and_then(|number| number.trim().parse().ok());
    peak.ok_or_else(|| "/proc/self/status has no VmHWM".to_owned())
}
