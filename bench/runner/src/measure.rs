//! `cargo xtask bench`: compares this SDK, the published clients, tonic and the hardware limits.
//!
//! All peers do the same work against the same server on the same machine. Their programs are below
//! `bench/`; each does one piece of work and writes its measurements. This module builds the programs,
//! runs them in turns, and passes the measurements to the report.

use std::{
    collections::BTreeMap,
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context as _, bail, ensure};
use xtask_tools::{process::output, root};

use crate::{
    builds,
    cores::Machine,
    driver,
    peers::Built,
    plan::{Cores, Extent, Item, Work},
    report,
    results::{self, Measured, Results, Samples},
    server::Server,
};

/// Measures this SDK beside the published clients, tonic and the limits of the machine.
///
/// Writes performance.md, and charts and numbers below performance/. The hand-written part of
/// performance.md is kept. Run it on an idle machine.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Measure less, in about 3 minutes instead of 20. Writes to target/bench/quick.
    #[arg(long)]
    quick: bool,
    /// Only check that everything works, without other clients. Writes to target/bench/smoke.
    #[arg(long, conflicts_with = "quick")]
    smoke: bool,
    /// The work to do. Default: all.
    #[arg(long, value_name = "WORK", value_delimiter = ',', value_enum)]
    only: Vec<Work>,
    /// The peers to measure, by their short names. Default: all.
    #[arg(long, value_name = "PEER", value_delimiter = ',')]
    peers: Vec<String>,
    /// The folder of the report. Default: docs, if everything is measured.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Measure nothing; write the report again from the existing numbers.
    #[arg(long)]
    report: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let root = root()?;
    let work = root.join("target/bench");
    let extent = match (args.quick, args.smoke) {
        (true, _) => Extent::Quick,
        (_, true) => Extent::Smoke,
        _ => Extent::Full,
    };
    let out = args.out.clone().unwrap_or_else(|| match extent {
        Extent::Full if args.only.is_empty() && args.peers.is_empty() => root.join("docs"),
        Extent::Full => work.join("part"),
        Extent::Quick => work.join("quick"),
        Extent::Smoke => work.join("smoke"),
    });
    let numbers = out.join("performance/results.json");
    if args.report {
        let text = fs::read(&numbers).with_context(|| numbers.display().to_string())?;
        let results =
            serde_json::from_slice(&text).context("results.json has an unexpected form")?;
        return report::write(&results, &out);
    }

    fs::create_dir_all(&work).with_context(|| work.display().to_string())?;
    let lock = File::create(work.join("lock"))?;
    ensure!(lock.try_lock().is_ok(), "another run is under way and would disturb this one");
    let built = crate::peers::build(root, &work, extent == Extent::Smoke)?;
    let started = Instant::now();
    let results = measure(args, extent, &built, root, &work)?;
    let part = out.join("performance");
    fs::create_dir_all(&part).with_context(|| part.display().to_string())?;
    fs::write(&numbers, serde_json::to_vec_pretty(&results)?)?;
    report::write(&results, &out)?;
    println!("Measured in {} s; see {}", started.elapsed().as_secs(), out.display());
    let failed = results.measured.iter().filter(|samples| samples.failed.is_some()).count();
    // Failures of a published client are listed in the report; failures of this SDK fail the run.
    let ours = |samples: &&Samples| samples.failed.is_some() && samples.peer.starts_with("sdk");
    ensure!(!results.measured.iter().any(|samples| ours(&samples)), "this SDK failed");
    if failed > 0 {
        println!("{failed} pieces of work failed and are missing in the report");
    }
    Ok(())
}

/// Measures the selected work.
fn measure(
    args: &Args,
    extent: Extent,
    built: &Built,
    root: &Path,
    work: &Path,
) -> anyhow::Result<Results> {
    let known = || built.peers.iter().map(|peer| peer.short_name);
    for name in &args.peers {
        if !known().any(|known| known == name) {
            bail!(
                "unknown peer {name:?}; expected one of {}",
                known().collect::<Vec<_>>().join(", ")
            );
        }
    }
    let machine = Machine::new();
    let wanted = |work: Work| args.only.is_empty() || args.only.contains(&work);
    let plan: Vec<_> = extent.plan().into_iter().filter(|item| wanted(item.cell.work)).collect();
    let mut results = Results {
        command: command(),
        extent,
        machine: describe(&machine)?,
        peers: built
            .peers
            .iter()
            .map(|peer| (peer.short_name.to_owned(), peer.name.clone()))
            .collect(),
        measured: Vec::new(),
        alone: BTreeMap::new(),
        builds: Vec::new(),
    };

    // The pinning decides how many threads the server starts, so each pinning has its own server.
    let (first, then): (Vec<_>, Vec<_>) =
        plan.iter().partition(|item| item.cell.cores == Cores::Apart);
    let mut run = Run { args, machine: &machine, built, work, results: &mut results };
    for (cores, items) in [
        (Cores::Apart, first),
        (Cores::One, then.iter().copied().filter(|item| item.cell.cores == Cores::One).collect()),
        (Cores::Two, then.iter().copied().filter(|item| item.cell.cores == Cores::Two).collect()),
    ] {
        let programs = items.iter().filter(|item| item.cell.work != Work::Build);
        if programs.count() == 0 || (cores != Cores::Apart && !machine.pins()) {
            continue;
        }
        let server = machine.server(&built.server, cores);
        let server = Server::start(server, &work.join("server"), extent.rows())?;
        for item in items {
            run.item(&server, item)?;
        }
    }
    for item in plan.iter().filter(|item| item.cell.work == Work::Build) {
        println!("build");
        builds::measure(&mut results, root, work, item.rounds)?;
    }
    Ok(results)
}

/// The parts of a run that all pieces of work share.
struct Run<'a> {
    args: &'a Args,
    machine: &'a Machine,
    built: &'a Built,
    work: &'a Path,
    results: &'a mut Results,
}

impl Run<'_> {
    /// Measures one item with all peers, in turns.
    fn item(&mut self, server: &Server, item: &Item) -> anyhow::Result<()> {
        if item.cell.work == Work::Build {
            return Ok(());
        }
        let chosen = |name: &str| {
            (self.args.peers.is_empty() || self.args.peers.iter().any(|peer| peer == name))
                && item.peers.is_none_or(|peers| peers.contains(&name))
        };
        let peers: Vec<_> = self
            .built
            .peers
            .iter()
            .filter(|peer| peer.does(item.cell.work) && chosen(peer.short_name))
            .collect();
        if item.cell.work == Work::Alone {
            for _ in 0..item.rounds {
                for peer in &peers {
                    let costs: BTreeMap<String, f64> =
                        driver::run(self.machine, server, peer, item, self.work)?;
                    for (name, cost) in costs {
                        self.results.alone.entry(name).or_default().push(cost);
                    }
                }
            }
            return Ok(());
        }
        let mut all: Vec<_> = peers
            .iter()
            .map(|peer| Samples {
                cell: item.cell.clone(),
                peer: peer.short_name.to_owned(),
                samples: Vec::new(),
                failed: None,
            })
            .collect();
        for round in 0..item.rounds {
            for (peer, samples) in peers.iter().zip(&mut all) {
                if samples.failed.is_some() || round >= peer.rounds(item.rounds) {
                    continue;
                }
                match driver::run::<Measured>(self.machine, server, peer, item, self.work) {
                    Ok(measured) => samples.samples.push(measured),
                    Err(error) => samples.failed = Some(format!("{error:#}")),
                }
            }
        }
        for samples in &all {
            let outcome = match (&samples.failed, samples.rate()) {
                (Some(error), _) => format!("FAILED  {error}"),
                (None, Some(rate)) => format!("{:>12.1} /s", rate.median),
                (None, None) => "no samples".to_owned(),
            };
            println!("{:<32} {:<14} {outcome}", item.cell.to_string(), samples.peer);
        }
        self.results.measured.extend(all);
        Ok(())
    }
}

/// The command line of this run.
fn command() -> String {
    let arguments: Vec<_> = env::args().skip(1).collect();
    format!("cargo xtask {}", arguments.join(" "))
}

fn describe(machine: &Machine) -> anyhow::Result<results::Machine> {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| line.split_once(':')).map(|(_, model)| model.trim());
    let rustc = output(Command::new("rustc").arg("--version"))?;
    Ok(results::Machine {
        processor: model.unwrap_or("unknown processor").to_owned(),
        cores: std::thread::available_parallelism()?.get(),
        pinned: machine.pins(),
        rustc: String::from_utf8_lossy(&rustc).trim().to_owned(),
    })
}
