//! The helpers that xtask shares with the runners.

pub(crate) use xtask_tools::{
    cargo::cargo,
    process::{output, run},
    root,
};
