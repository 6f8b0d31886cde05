//! The workloads in instructions, which do not depend on what else the machine does:
//! `cargo bench -p volt-benches --bench instructions [-- FILTER]`. It needs valgrind.
//!
//! Each workload runs in a process of its own under callgrind, which counts only what happens
//! within [`measured`]. Callgrind knows no AVX-512, so the ciphers take the way of older machines.

use std::{env, process::Command};

/// Names the one workload to run, in a process that callgrind watches.
const ONLY: &str = "VOLT_BENCH_ONLY";
const ITERATIONS: u64 = 100;

fn main() {
    if let Ok(only) = env::var(ONLY) {
        return run(&only);
    }
    // Cargo passes flags for its own harness too.
    let filter = env::args().skip(1).find(|argument| !argument.starts_with('-'));
    println!("{:<32} {:>12}", "workload", "instructions");
    for (name, _) in volt_benches::all() {
        if filter.as_ref().is_none_or(|filter| name.contains(filter.as_str())) {
            println!("{name:<32} {:>12}", count(&name));
        }
    }
}

fn run(only: &str) {
    let workload = volt_benches::all().into_iter().find(|(name, _)| name == only);
    let (_, mut work) = workload.expect("a workload of this name");
    // What is set up once, such as the random generator's seed, is no part of the work.
    work();
    measured(&mut *work);
}

#[inline(never)]
fn measured(work: &mut dyn FnMut()) {
    (0..ITERATIONS).for_each(|_| work());
}

/// How many instructions one iteration of a workload takes.
fn count(name: &str) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=*measured*", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe().expect("this program"))
        .env(ONLY, name)
        .output()
        .expect("valgrind runs");
    // The last line of what callgrind says is `==PID== Collected : COUNT`.
    let report = String::from_utf8_lossy(&output.stderr);
    let collected = report.lines().find_map(|line| line.split_once("Collected :"));
    let count = collected.and_then(|(_, count)| count.trim().parse::<u64>().ok());
    count.unwrap_or_else(|| panic!("callgrind did not count {name}: {report}")) / ITERATIONS
}
