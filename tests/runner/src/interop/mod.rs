//! `cargo xtask interop`: the published clients and this SDK run the same scenarios on one Volt.
//!
//! Each client has a program that runs one scenario of `tests/interop/scenarios.json` and prints the
//! result as JSON. Every result must match the scenario and the other clients' results. This way,
//! the published clients test the embedded Volt, and the Volt tests this SDK.

pub(crate) mod clients;
mod scenario;
mod volt;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};

use xtask_tools::{
    process::{self, Running},
    root,
};

use self::{
    clients::Way,
    scenario::Scenario,
    volt::{Configs, Volt},
};

const HOST_TIMEOUT: Duration = Duration::from_secs(30);

/// Runs the published clients and this SDK on the embedded Volt and compares their results.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The scenarios to run, by their names in tests/interop/scenarios.json. Default: all.
    scenarios: Vec<String>,
    /// Use another Volt: the path of a client configuration.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A client configuration with RSA keys, for clients that speak the legacy protocol. With only --config,
    /// those clients are skipped.
    #[arg(long, value_name = "FILE", requires = "config")]
    legacy_config: Option<PathBuf>,
    /// A client configuration through a relay. With only --config, the clients that use one are skipped.
    #[arg(long, value_name = "FILE", requires = "config")]
    relayed_config: Option<PathBuf>,
    /// Connect to the embedded Volt over TLS. Clients without TLS are skipped.
    #[arg(long, conflicts_with = "config")]
    tls: bool,
    /// The time limit of a client for a scenario.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    timeout: u64,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let root = root()?;
    let work = root.join("target/interop");
    let logs = work.join("logs");
    fs::create_dir_all(&logs).with_context(|| logs.display().to_string())?;

    // Concurrent runs would replace each other's Volt.
    let lock = File::create(work.join("lock"))?;
    if lock.try_lock().is_err() {
        println!("Waiting for another run to finish.");
        lock.lock()?;
    }

    let scenarios = chosen(scenario::load(root)?, &args.scenarios)?;
    let built = clients::build(root)?;
    // The embedded Volt lives as long as this binding.
    let volt = match &args.config {
        Some(_) => None,
        None => Some(Volt::start(&built.volt, &work, &logs, args.tls)?),
    };
    let given = args.config.as_ref().map(|config| Configs {
        direct: config.clone(),
        relayed: args.relayed_config.clone(),
        legacy: args.legacy_config.clone(),
    });
    let configs = volt.as_ref().map(Volt::configs).or(given.as_ref());
    let configs = configs.context("there is neither a Volt nor a configuration")?;
    let environment = |command: &mut Command| {
        // The published clients do not read all certificates from the configuration.
        if let Some(authorities) = volt.as_ref().and_then(Volt::authorities) {
            command.env("NODE_EXTRA_CA_CERTS", authorities).env("SSL_CERT_FILE", authorities);
        }
    };
    // The other ends of the scenarios that call services, as long as this binding lives.
    let hosts = built.hosts(&configs.direct)?.into_iter().map(|(name, mut command)| {
        environment(&mut command);
        host(command, &logs.join(format!("{name}.log")))
    });
    let _hosts = hosts.collect::<anyhow::Result<Vec<_>>>()?;

    let timeout = Duration::from_secs(args.timeout);
    let (mut passed, mut failed) = (0, 0);
    for mut scenario in scenarios {
        for client in &built.clients {
            if !client.runs(&scenario.name) || (args.tls && !client.speaks_tls) {
                continue;
            }
            let config = match client.way {
                Way::Direct => Some(&configs.direct),
                Way::Relayed => configs.relayed.as_ref(),
                Way::Legacy => configs.legacy.as_ref(),
            };
            let Some(config) = config else { continue };
            let log = logs.join(format!("{}.{}.log", scenario.name, client.short_name));
            let start = Instant::now();
            let mut command = client.command(config, &scenario.name);
            environment(&mut command);
            let outcome =
                process::result(command, &log, timeout).and_then(|result| scenario.compare(result));
            let time = start.elapsed().as_millis();
            let (name, client) = (&scenario.name, &client.name);
            match outcome {
                Ok(()) => {
                    passed += 1;
                    println!("{name:<16} {client:<34} ok      {time:>6} ms");
                }
                Err(error) => {
                    failed += 1;
                    println!("{name:<16} {client:<34} FAILED  {time:>6} ms  {error:#}");
                    println!("{:<16} {:<34} see {}", "", "", log.display());
                }
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    ensure!(failed == 0, "{failed} scenarios failed");
    Ok(())
}

/// Starts a host, and waits until its services can be called.
fn host(command: Command, log: &Path) -> anyhow::Result<Running> {
    let (running, ()) = Running::start_until(command, log, HOST_TIMEOUT, || {
        let printed = fs::read_to_string(log).unwrap_or_default();
        Ok(printed.lines().any(|line| line == "online").then_some(()))
    })?;
    Ok(running)
}

fn chosen(mut scenarios: Vec<Scenario>, names: &[String]) -> anyhow::Result<Vec<Scenario>> {
    for name in names {
        if !scenarios.iter().any(|scenario| scenario.name == *name) {
            let known: Vec<_> = scenarios.iter().map(|scenario| scenario.name.as_str()).collect();
            bail!("unknown scenario {name:?}; expected one of {}", known.join(", "));
        }
    }
    if !names.is_empty() {
        scenarios.retain(|scenario| names.contains(&scenario.name));
    }
    Ok(scenarios)
}
