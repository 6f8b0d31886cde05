//! The helpers shared by xtask and the runners.

pub(crate) use xtask_tools::{
    cargo::cargo,
    process::{output, run},
    root,
};
