//! Pins processes to cores with `taskset`.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use crate::plan::Cores;

/// The cores of a run.
pub(super) struct Machine {
    /// The system's numbers of the cores. Empty if processes cannot be pinned.
    cores: Vec<usize>,
}

impl Machine {
    /// Detects the cores of this machine.
    pub(super) fn new() -> Self {
        let mut taskset = Command::new("taskset");
        taskset.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
        let cores = match taskset.status() {
            Ok(status) if status.success() => allowed().filter(|cores| cores.len() > 1),
            _ => None,
        };
        Self { cores: cores.unwrap_or_default() }
    }

    /// Returns whether processes can be pinned, which requires `taskset` and two cores.
    pub(super) fn pins(&self) -> bool {
        !self.cores.is_empty()
    }

    /// The command that runs a program on the server's cores.
    pub(super) fn server(&self, program: &Path, cores: Cores) -> Command {
        command(
            program,
            match cores {
                Cores::Apart => self.cores.get(..self.cores.len() / 2),
                Cores::One => self.cores.get(..1),
                Cores::Two => self.cores.get(..2),
            },
        )
    }

    /// The command that runs a program on the client's cores.
    pub(super) fn client(&self, program: &Path, cores: Cores) -> Command {
        match cores {
            Cores::Apart => command(program, self.cores.get(self.cores.len() / 2..)),
            Cores::One | Cores::Two => self.server(program, cores),
        }
    }
}

/// The command that runs a program on some cores, or on any if there are none.
fn command(program: &Path, cores: Option<&[usize]>) -> Command {
    let Some(cores @ [_, ..]) = cores else { return Command::new(program) };
    let list: Vec<_> = cores.iter().map(usize::to_string).collect();
    let mut command = Command::new("taskset");
    command.arg("--cpu-list").arg(list.join(",")).arg(program);
    command
}

/// The cores that this process may use.
fn allowed() -> Option<Vec<usize>> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    list(status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?)
}

/// Reads a list such as `0-2,5`.
fn list(text: &str) -> Option<Vec<usize>> {
    let mut cores = Vec::new();
    for part in text.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        cores.extend(first.parse::<usize>().ok()?..=last.parse().ok()?);
    }
    Some(cores)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn core_list_has_ranges_and_single_cores() {
        assert_eq!(list("\t0-2,5\n"), Some(vec![0, 1, 2, 5]));
        assert_eq!(list("3"), Some(vec![3]));
        assert_eq!(list("all"), None);
    }
}
