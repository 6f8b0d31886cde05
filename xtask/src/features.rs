//! `cargo xtask features`: checks that each service of the SDK, and each older version, compiles without the others.

use anyhow::Context as _;
use xtask_tools::{cargo, process};

use crate::codegen;

/// Checks `volt-api` with each service and each older version of the API alone, and without any, with and without
/// `server`.
pub(crate) fn run() -> anyhow::Result<()> {
    let each = codegen::services()?.into_iter().chain(codegen::older()?);
    for features in std::iter::once(String::new()).chain(each) {
        for server in [false, true] {
            let features = if server { format!("{features} server") } else { features.clone() };
            println!("volt-api with `{}`", features.trim());
            let mut clippy = cargo::cargo();
            clippy.args(["clippy", "--quiet", "--locked", "--package", "volt-api"]);
            clippy.args(["--no-default-features", "--features", &features, "--", "-D", "warnings"]);
            process::run(&mut clippy)
                .with_context(|| format!("volt-api fails with `--features \"{features}\"`"))?;
        }
    }
    Ok(())
}
