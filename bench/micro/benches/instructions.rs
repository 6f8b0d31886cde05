//! Counts the instructions of the workloads, which do not depend on the load of the machine:
//! `cargo bench -p volt-bench-micro --bench instructions [-- FILTER]`. It needs valgrind.
//!
//! Each workload runs in its own process under callgrind, which counts only within [`measured`].
//! Callgrind does not support AVX-512, so the ciphers use the code for older processors.

use std::{env, process::Command};

/// The environment variable with the workload to run, in a process under callgrind.
const ONLY: &str = "VOLT_BENCH_ONLY";
const ITERATIONS: u64 = 100;

fn main() {
    if let Ok(only) = env::var(ONLY) {
        return run(&only);
    }
    // Cargo also passes flags for its own harness.
    let filter = env::args().skip(1).find(|argument| !argument.starts_with('-'));
    println!("{:<32} {:>12}", "workload", "instructions");
    for (name, _) in volt_bench_micro::all() {
        if filter.as_ref().is_none_or(|filter| name.contains(filter.as_str())) {
            println!("{name:<32} {:>12}", count(&name));
        }
    }
}

fn run(only: &str) {
    let workload = volt_bench_micro::all().into_iter().find(|(name, _)| name == only);
    let (_, mut work) = workload.expect("a workload of this name");
    // One-time setup, such as seeding the random generator, is not part of the work.
    work();
    measured(&mut *work);
}

#[inline(never)]
fn measured(work: &mut dyn FnMut()) {
    (0..ITERATIONS).for_each(|_| work());
}

/// The instructions of one iteration of a workload.
fn count(name: &str) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=*measured*", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe().expect("this program"))
        .env(ONLY, name)
        .output()
        .expect("valgrind runs");
    // The last line of callgrind's output is `==PID== Collected : COUNT`.
    let report = String::from_utf8_lossy(&output.stderr);
    let collected = report.lines().find_map(|line| line.split_once("Collected :"));
    let count = collected.and_then(|(_, count)| count.trim().parse::<u64>().ok());
    count.unwrap_or_else(|| panic!("callgrind did not count {name}: {report}")) / ITERATIONS
}
