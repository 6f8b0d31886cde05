//! Runs the interop scenarios with the published Rust client, `volt-client-rs`.
//!
//! ```sh
//! volt-interop-rust-client CONFIG SCENARIO
//! ```
//!
//! Runs one scenario of `tests/interop/scenarios.json` and prints the result as `result: {…}`, among
//! the client's own output. Members that this client cannot report, such as the code of an error, are
//! `null`.

mod scenarios;

use std::{env, fs, panic, process};

use serde_json::Value;
use volt_client_rs::volt_client::VoltClient;
use volt_interop_rust_client::Result;

#[tokio::main]
async fn main() {
    // After a panic in the client's reader task every call would hang. Abort instead.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        hook(info);
        process::abort();
    }));
    volt_interop_trial::finish(run().await)
}

async fn run() -> Result<Value> {
    let mut arguments = env::args().skip(1);
    let (Some(path), Some(scenario)) = (arguments.next(), arguments.next()) else {
        return Err("usage: volt-interop-rust-client CONFIG SCENARIO".to_owned());
    };
    let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    let config: Value = serde_json::from_str(&text).map_err(|error| format!("{path}: {error}"))?;
    let mut client = VoltClient::create(&text).await?;
    scenarios::run(&scenario, &mut client, &config).await
}
