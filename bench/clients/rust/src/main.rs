//! Runs the work of the benchmarks with the published Rust client, `volt-client-rs`.
//!
//! The client logs every call to standard output, which should be discarded.

mod work;

use std::{fs, process, sync::Arc};

use clap::Parser as _;
use tokio::sync::Mutex;
use volt_bench_measure::{Load, Measured, Work};
use volt_client_rs::volt_client::VoltClient;
use volt_interop_rust_client::Result;

#[tokio::main]
async fn main() {
    let load = Load::parse();
    let written = match run(&load).await {
        Ok(measured) => load.finish(&measured).map_err(|error| error.to_string()),
        Err(error) => Err(error),
    };
    // The client cannot be closed; its connections end with the process.
    if let Err(error) = written {
        eprintln!("{error}");
        process::exit(1);
    }
    process::exit(0);
}

async fn run(load: &Load) -> Result<Measured> {
    let config = fs::read_to_string(&load.config).map_err(|error| error.to_string())?;
    if load.work == Work::Connect {
        return work::connect(load, &config).await;
    }
    let client = Arc::new(Mutex::new(VoltClient::create(&config).await?));
    match load.work {
        Work::Unary if load.in_flight == 1 => work::unary_alone(load, client).await,
        Work::Unary => work::unary(load, client).await,
        Work::OpenClose => work::open_close(load, client).await,
        Work::Idle => work::idle(load, client).await,
        Work::Rows => work::rows(load, client).await,
        Work::Download => work::download(load, client).await,
        Work::Upload => work::upload(load, client).await,
        Work::Wire => work::wire(load, client).await,
        Work::Connect | Work::Alone => {
            Err(format!("this program does not support {:?}", load.work))
        }
    }
}
