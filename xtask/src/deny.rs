//! `cargo xtask deny`: where the dependencies come from and what their licences ask for.

use std::process::Command;

use crate::tools;

const VERSION: &str = "0.20.2";

/// Checks the workspace, and those beside it, by the rules of `deny.toml`.
///
/// Known vulnerabilities are left to `cargo deny check advisories`, which fetches their list.
pub(crate) fn run() -> anyhow::Result<()> {
    let root = tools::root()?;
    let program = tools::cargo_tool("cargo-deny", VERSION)?;
    for manifest in ["Cargo.toml", "fuzz/Cargo.toml"] {
        let mut deny = Command::new(&program);
        deny.arg("--manifest-path").arg(root.join(manifest));
        deny.arg("--config").arg(root.join("deny.toml")).args(["--all-features", "--locked"]);
        deny.args(["check", "--hide-inclusion-graph", "bans", "licenses", "sources"]);
        tools::run(&mut deny)?;
    }
    Ok(())
}
