//! Runs the work of the benchmarks with this SDK.

mod calls;
mod connections;
mod data;

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use volt_api::{Client, ClientConfig, ConnectOptions, TransportKind};
use volt_bench_measure::{Load, Measured, Work};

/// Does one piece of work with this SDK.
#[derive(Parser)]
struct Args {
    /// The number of calls that are kept pre-opened, with their keys exchanged.
    #[arg(long, default_value_t = 0)]
    preopened_calls: usize,
    /// Connect over gRPC.
    #[arg(long)]
    grpc: bool,
    #[command(flatten)]
    load: Load,
}

#[tokio::main]
async fn main() -> Result<()> {
    let Args { preopened_calls, grpc, load } = Args::parse();
    let mut options = ConnectOptions::default();
    options.preopened_calls = preopened_calls;
    options.transport = if grpc { TransportKind::Grpc } else { TransportKind::Websocket };
    let measured = run(&load, options).await?;
    load.finish(&measured).with_context(|| load.out.display().to_string())
}

async fn run(load: &Load, options: ConnectOptions) -> Result<Measured> {
    let config = ClientConfig::from_file(&load.config)?;
    if load.work == Work::Connect {
        return connections::connect(load, config, options).await;
    }
    let client = Client::connect_with(config, options).await?;
    match load.work {
        Work::Unary => calls::unary(load, &client).await,
        Work::OpenClose => calls::open_close(load, &client).await,
        Work::Idle => connections::idle(load, &client).await,
        Work::Rows => data::rows(load, &client).await,
        Work::Download => data::download(load, &client).await,
        Work::Upload => data::upload(load, &client).await,
        Work::Wire => data::wire(load, &client).await,
        Work::Connect | Work::Alone => bail!("this program does not support {:?}", load.work),
    }
}
