//! `cargo xtask release-notes`: the start of a release's changelog.

use std::path::Path;

use anyhow::{Context as _, ensure};

use crate::{api, versions};

/// Prints the start of a changelog: the SDK's version, the API's version, and the changes of the API.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The API to compare with, as for `cargo xtask api diff`. Default: the version below proto/ before
    /// the SDK's own.
    #[arg(long)]
    since: Option<String>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    print!("{}", notes(xtask_tools::root()?, args)?);
    Ok(())
}

fn notes(root: &Path, args: &Args) -> anyhow::Result<String> {
    let api = versions::current(root)?;
    // All crates of the workspace have one version.
    let head = format!("## {} (API {api})\n\n", env!("CARGO_PKG_VERSION"));
    let since = match &args.since {
        Some(since) => since.clone(),
        None => previous(root, &api)?,
    };
    ensure!(since != api, "{since} is the SDK's own API version: there is nothing to compare");
    let report = api::report(root, &since, &api)?;
    Ok(format!("{head}The API is that of Volt {api}. Since {since}:\n\n{}", report.to_markdown(3)))
}

fn previous(root: &Path, api: &str) -> anyhow::Result<String> {
    let versions = versions::versions(root)?;
    let before = versions.into_iter().rev().skip_while(|version| version != api).nth(1);
    before.with_context(|| {
        format!("there is no API before {api} below proto/; use --since to name one")
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn notes_have_both_versions_and_the_changes_since_the_previous_api() {
        let root = xtask_tools::root().unwrap();
        let notes = notes(root, &Args { since: None }).unwrap();
        let heading = format!("## {} (API 0.20.34)\n\n", env!("CARGO_PKG_VERSION"));
        assert!(notes.starts_with(&heading), "{notes}");
        assert!(notes.contains("Since 0.15.1:\n\n- services: 10 before, 12 now"), "{notes}");
        assert!(notes.contains("\n### Breaking\n\n- `tdx.volt_api."), "{notes}");
        // The changes are the text of the report, one heading level deeper.
        let report = api::report(root, "0.15.1", "0.20.34").unwrap();
        assert!(notes.ends_with(&report.to_markdown(3)));
    }

    #[test]
    fn since_must_be_another_version() {
        let root = xtask_tools::root().unwrap();
        let folder = root.join("proto/0.15.1").to_str().unwrap().to_owned();
        let given = notes(root, &Args { since: Some(folder.clone()) }).unwrap();
        assert!(given.contains(&format!("Since {folder}:")), "{given}");
        let error = notes(root, &Args { since: Some("0.20.34".to_owned()) }).unwrap_err();
        assert!(error.to_string().contains("nothing to compare"), "{error}");
    }

    #[test]
    fn first_version_has_no_previous_one() {
        let root = tempfile::tempdir().unwrap();
        for version in ["0.9.0", "0.10.0"] {
            std::fs::create_dir_all(root.path().join("proto").join(version)).unwrap();
        }
        // Versions sort as numbers, not as text.
        assert_eq!(previous(root.path(), "0.10.0").unwrap(), "0.9.0");
        let error = previous(root.path(), "0.9.0").unwrap_err();
        assert!(error.to_string().contains("--since"), "{error}");
    }
}
