//! `cargo xtask fuzz`: runs the fuzz targets in `fuzz/`, with seeds from recorded calls.

mod seeds;

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, bail, ensure};
use xtask_tools::{cargo, root};

const VERSION: &str = "0.13.2";

/// Runs fuzz targets one after the other and prints a summary.
///
/// The corpus is kept in `target/fuzz/corpus`, and inputs that crash a target in
/// `target/fuzz/artifacts`. Needs a C++ compiler.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The targets to run. Default: all.
    targets: Vec<String>,
    /// The number of inputs for each target.
    #[arg(long, default_value_t = 10_000)]
    runs: u64,
    /// The time limit for each target, in seconds.
    #[arg(long)]
    seconds: Option<u64>,
    /// `address` checks every memory access, and takes several times as long.
    #[arg(long, default_value = "none")]
    sanitizer: String,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let root = root()?;
    let fuzz = Fuzz {
        program: cargo::tool("cargo-fuzz", VERSION)?,
        source: root.join("fuzz"),
        work: root.join("target/fuzz"),
        sanitizer: &args.sanitizer,
    };
    let all = targets(&fuzz.source)?;
    if let Some(unknown) = args.targets.iter().find(|target| !all.contains(target)) {
        bail!("unknown target `{unknown}`; expected one of {}", all.join(", "));
    }
    let chosen = if args.targets.is_empty() { &all } else { &args.targets };
    seeds::write(root, &fuzz.work.join("seeds"))?;
    let mut table = vec![format!("{:<10} {:>12} {:>8}", "target", "executions", "seconds")];
    for target in chosen {
        let start = Instant::now();
        let executions = fuzz.run(target, args)?;
        let seconds = start.elapsed().as_secs();
        table.push(format!("{target:<10} {executions:>12} {seconds:>8}"));
    }
    println!("\n{}", table.join("\n"));
    Ok(())
}

/// The names of the targets, sorted.
fn targets(source: &Path) -> anyhow::Result<Vec<String>> {
    let folder = source.join("fuzz_targets");
    let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let mut targets = Vec::new();
    for entry in entries {
        let path = entry?.path();
        targets.extend(path.file_stem().and_then(OsStr::to_str).map(str::to_owned));
    }
    targets.sort();
    Ok(targets)
}

/// The longest input, in bytes. Targets in which a few bytes are a whole call or a whole .proto
/// file have shorter, and therefore more, inputs.
fn max_len(target: &str) -> u32 {
    match target {
        "client" | "documents" | "invoke" | "provider" | "proto" | "router" | "server" | "sql" => {
            1024
        }
        _ => 8192,
    }
}

struct Fuzz<'a> {
    program: PathBuf,
    source: PathBuf,
    work: PathBuf,
    sanitizer: &'a str,
}

impl Fuzz<'_> {
    /// Runs one target to its end. Returns the number of inputs that it ran.
    fn run(&self, target: &str, args: &Args) -> anyhow::Result<u64> {
        let corpus = self.work.join("corpus").join(target);
        let artifacts = self.work.join("artifacts").join(target);
        for folder in [&corpus, &artifacts] {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        let log = self.work.join(format!("{target}.log"));
        let mut fuzz = Command::new(&self.program);
        // Coverage instrumentation is unstable; nothing else here needs a nightly compiler.
        fuzz.env("RUSTC_BOOTSTRAP", "1").env_remove("CARGO_TARGET_DIR");
        fuzz.args(["fuzz", "run", "--sanitizer", self.sanitizer]);
        let dictionary = self.source.join(format!("{target}.dict"));
        let build = if dictionary.exists() {
            // With a dictionary, tracing comparisons finds nothing new and takes half of the time.
            fuzz.arg("--no-trace-compares");
            "build-plain"
        } else {
            "build"
        };
        fuzz.arg("--fuzz-dir").arg(&self.source).arg("--target-dir").arg(self.work.join(build));
        fuzz.arg(target).arg(&corpus).arg(self.work.join("seeds").join(target)).arg("--");
        if dictionary.exists() {
            fuzz.arg(format!("-dict={}", dictionary.display()));
        }
        fuzz.arg(format!("-artifact_prefix={}/", artifacts.display()));
        fuzz.arg(format!("-runs={}", args.runs));
        fuzz.arg(format!("-max_total_time={}", args.seconds.unwrap_or_default()));
        fuzz.arg(format!("-max_len={}", max_len(target)));
        fuzz.args(["-rss_limit_mb=1024", "-timeout=20", "-print_final_stats=1"]);
        println!("{target}: see {}", log.display());
        let output = fs::File::create(&log).with_context(|| log.display().to_string())?;
        let status = fuzz.stdout(Stdio::null()).stderr(output).status().context("cargo-fuzz")?;
        let printed = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
        ensure!(status.success(), "{target} failed, see {}", log.display());
        let executions =
            printed.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
        executions
            .and_then(|count| count.trim().parse().ok())
            .context("libFuzzer did not print the number of executed units")
    }
}
