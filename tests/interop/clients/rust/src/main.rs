//! The interop scenarios by the published Rust client, `volt-client-rs`.
//!
//! ```sh
//! volt-interop-rust-client CONFIG SCENARIO
//! ```
//!
//! Runs one scenario of `../scenarios.json` and prints its result as `result: {…}`, among what the
//! client itself prints. What this client can't tell is `null` in the result: it drops the code of
//! a refusal.

mod call;
mod scenarios;

use std::{env, fs, panic, process};

use serde_json::Value;
use volt_client_rs::volt_client::VoltClient;

/// Whatever goes wrong, in words, as the client itself has it.
type Result<T, E = String> = std::result::Result<T, E>;

#[tokio::main]
async fn main() {
    // A panic in the client's reader task would leave every call hanging; this says at once what happened.
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
