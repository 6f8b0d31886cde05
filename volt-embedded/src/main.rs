//! Runs a Volt in its own process.

mod logging;

use std::{
    io::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use clap::Parser;
use tracing_subscriber::{EnvFilter, util::SubscriberInitExt as _};
use volt_api::ClientConfig;
use volt_embedded::EmbeddedVolt;

/// Runs a TDX Volt in this process: resources, files, SQLite databases, wires and sync documents, over a
/// websocket and gRPC.
///
/// Connect a client with the configuration that --write-config writes; that client is the owner of
/// the Volt and has all rights. Ctrl-C or SIGTERM stops the Volt. Set `RUST_LOG`, for example to
/// `debug`, to see its logs.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// The IP address and port to listen on. Port 0 selects any free port.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The address to listen on for gRPC. By default, any free port of the other address.
    #[cfg(feature = "grpc")]
    #[arg(long, value_name = "ADDRESS", conflicts_with = "no_grpc")]
    grpc: Option<SocketAddr>,
    /// Serve no gRPC.
    #[cfg(feature = "grpc")]
    #[arg(long)]
    no_grpc: bool,
    /// The data folder, which is created if it is missing. By default, a temporary folder is used and removed at
    /// the end.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Serve TLS with a certificate from the Volt's own authority, which is part of client
    /// configurations.
    #[arg(long)]
    tls: bool,
    /// Connect to a relay, through which clients can then reach this Volt: the Volt that this client
    /// configuration names.
    #[arg(long, value_name = "FILE")]
    relay: Option<PathBuf>,
    /// Write a client configuration with the owner's rights to this file.
    #[arg(long, value_name = "FILE")]
    write_config: Option<PathBuf>,
    /// The same through the relay.
    #[arg(long, value_name = "FILE", requires = "relay")]
    write_relayed_config: Option<PathBuf>,
    /// The same with RSA keys, for clients that speak the legacy JSON protocol.
    #[arg(long, value_name = "FILE")]
    write_legacy_config: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    logging::subscriber(filter, std::io::stderr).init();

    // Listen before any output, so that the program can be stopped as soon as it appears to run.
    let stopped = stopped().context("listening for signals failed")?;
    let mut builder = EmbeddedVolt::builder().listen(args.listen);
    #[cfg(feature = "grpc")]
    if args.no_grpc {
        builder = builder.without_grpc();
    } else if let Some(address) = args.grpc {
        builder = builder.grpc(address);
    }
    if let Some(folder) = &args.data {
        builder = builder.data_dir(folder);
    }
    if args.tls {
        builder = builder.tls();
    }
    if let Some(path) = &args.relay {
        builder = builder.relay(ClientConfig::from_file(path)?);
    }
    let volt = builder.start().await?;
    say(&format!("A Volt listens at {}", volt.url()));
    if let Some(address) = volt.grpc_address() {
        say(&format!("  gRPC    {address} (TLS, with the Volt's own certificate authority)"));
    }
    say(&format!("  id      {}", volt.id()));
    match &args.data {
        Some(folder) => say(&format!("  data    {}", folder.display())),
        None => say("  data    temporary, removed at the end (keep it with --data DIR)"),
    }
    let write = |config: ClientConfig, path: &Path| {
        let failed = || format!("writing the client configuration {} failed", path.display());
        config.write(path).with_context(failed)?;
        say(&format!("  client  {} (contains a private key: keep it secret)", path.display()));
        anyhow::Ok(())
    };
    match &args.write_config {
        Some(path) => write(volt.config(), path)?,
        None => say("  client  none written (get one with --write-config FILE)"),
    }
    if let (Some(path), Some(config)) = (&args.write_relayed_config, volt.config_by_relay()) {
        write(config, path)?;
    }
    if let Some(path) = &args.write_legacy_config {
        write(volt.legacy_config("legacy owner")?, path)?;
    }
    say("Ctrl-C stops it.");

    tokio::select! {
        () = stopped => {}
        () = volt.stop_requested() => say("A client asked the Volt to stop."),
    }
    volt.shutdown().await;
    say("Stopped.");
    Ok(())
}

/// Prints a line. Errors are ignored, so the Volt keeps running if its output is closed.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Listens for Ctrl-C and for SIGTERM, which service managers and containers send to stop a
/// program.
#[cfg(unix)]
fn stopped() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Listens for Ctrl-C.
#[cfg(not(unix))]
fn stopped() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async {
        // Without signals, a client can still stop the Volt.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    })
}
