//! Helpers of `xtask` and of the runners below `bench/` and `tests/`.
//!
//! They run other programs, build them with cargo, and install what the published clients need.

pub mod cargo;
pub mod packages;
pub mod process;
pub mod published;

use std::path::Path;

use anyhow::Context as _;

/// The root of the workspace.
pub fn root() -> anyhow::Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .context("xtask/tools is not in a workspace")
}
