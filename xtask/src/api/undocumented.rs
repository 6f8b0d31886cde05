//! `cargo xtask api undocumented`: the elements of a version that have no comment.

use std::path::Path;

use volt_codegen::text::Comments;

use crate::versions;

/// Lists the elements of an API version that have no documentation: services, methods, messages, fields,
/// enums, their values, and oneofs.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The API version, a folder below proto/. Default: that in proto/VERSION.
    version: Option<String>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    for name in list(xtask_tools::root()?, args.version.as_deref())? {
        println!("{name}");
    }
    Ok(())
}

/// The full names of the elements, sorted.
pub(super) fn list(root: &Path, version: Option<&str>) -> anyhow::Result<Vec<String>> {
    let version = match version {
        Some(version) => version.to_owned(),
        None => versions::current(root)?,
    };
    let set = versions::sources(root, &version)?.compile()?;
    Ok(Comments::of(&set).undocumented())
}
