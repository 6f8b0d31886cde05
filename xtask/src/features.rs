//! `cargo xtask features`: each service of the SDK compiles without the others.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::codegen;

/// Checks `volt-api` with one service at a time, and with none.
pub(crate) fn run() -> Result<()> {
    for features in std::iter::once(String::new()).chain(codegen::services()?) {
        for server in [false, true] {
            let features = if server { format!("{features} server") } else { features.clone() };
            println!("volt-api with `{}`", features.trim());
            let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
                .args(["clippy", "--quiet", "--locked", "--package", "volt-api"])
                .args(["--no-default-features", "--features", &features, "--", "-D", "warnings"])
                .status()
                .context("cargo cannot be run")?;
            ensure!(status.success(), "volt-api does not compile with `--features \"{features}\"`");
        }
    }
    Ok(())
}
