//! `cargo xtask deny`: the licences, duplicates and origins of the dependencies.

use std::process::Command;

use xtask_tools::cargo;

use crate::tools;

const VERSION: &str = "0.20.2";

/// Checks the dependencies of the SDK and of the fuzz targets against `deny.toml`.
///
/// `cargo deny check advisories` checks known vulnerabilities: it needs to download their list.
pub(crate) fn run() -> anyhow::Result<()> {
    let root = tools::root()?;
    let program = cargo::tool("cargo-deny", VERSION)?;
    for manifest in ["Cargo.toml", "fuzz/Cargo.toml"] {
        let mut deny = Command::new(&program);
        deny.arg("--manifest-path").arg(root.join(manifest));
        deny.arg("--config").arg(root.join("deny.toml")).args(["--all-features", "--locked"]);
        deny.args(["check", "--hide-inclusion-graph", "bans", "licenses", "sources"]);
        tools::run(&mut deny)?;
    }
    Ok(())
}
