//! The work by this SDK.

mod calls;
mod connections;
mod data;

use anyhow::{Context as _, Result, bail};
use clap::Parser as _;
use volt_api::{Client, ClientConfig};
use volt_bench_measure::{Load, Measured, Work};

#[tokio::main]
async fn main() -> Result<()> {
    let load = Load::parse();
    let measured = run(&load).await?;
    load.finish(&measured).with_context(|| load.out.display().to_string())
}

async fn run(load: &Load) -> Result<Measured> {
    let config = ClientConfig::from_file(&load.config)?;
    if load.work == Work::Connect {
        return connections::connect(load, config).await;
    }
    let client = Client::connect(config).await?;
    match load.work {
        Work::Unary => calls::unary(load, &client).await,
        Work::OpenClose => calls::open_close(load, &client).await,
        Work::Idle => connections::idle(load, &client).await,
        Work::Rows => data::rows(load, &client).await,
        Work::Download => data::download(load, &client).await,
        Work::Upload => data::upload(load, &client).await,
        Work::Wire => data::wire(load, &client).await,
        Work::Connect | Work::Alone => bail!("this program does not do {:?}", load.work),
    }
}
