//! `cargo xtask release-notes`: what a changelog says of a release.

use std::path::Path;

use anyhow::{Context as _, ensure};

use crate::{api, tools, versions};

/// Prints what a changelog says of the SDK's release: its version, that of the API, and what changed in
/// the API.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// What the API is compared with: as for `cargo xtask api diff`. By default the version below proto/
    /// that is before the one that the SDK is generated from.
    #[arg(long)]
    since: Option<String>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    print!("{}", notes(tools::root()?, args)?);
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
    ensure!(since != api, "{since} is the version of the API itself: there is nothing to compare");
    let report = api::report(root, &since, &api)?;
    Ok(format!("{head}The API is that of Volt {api}. Since {since}:\n\n{}", report.to_markdown(3)))
}

fn previous(root: &Path, api: &str) -> anyhow::Result<String> {
    let versions = versions::versions(root)?;
    let before = versions.into_iter().rev().skip_while(|version| version != api).nth(1);
    before.with_context(|| {
        format!("there is no API before {api} below proto/: say with --since what to compare with")
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn they_say_both_versions_and_what_changed_since_the_one_before() {
        let root = tools::root().unwrap();
        let notes = notes(root, &Args { since: None }).unwrap();
        let heading = format!("## {} (API 0.20.34)\n\n", env!("CARGO_PKG_VERSION"));
        assert!(notes.starts_with(&heading), "{notes}");
        assert!(notes.contains("Since 0.15.1:\n\n- services: 10 before, 12 now"), "{notes}");
        assert!(notes.contains("\n### Breaking\n\n- `tdx.volt_api."), "{notes}");
        // The text of the changes is the one of the report, one level deeper.
        let report = api::report(root, "0.15.1", "0.20.34").unwrap();
        assert!(notes.ends_with(&report.to_markdown(3)));
    }

    #[test]
    fn the_version_to_compare_with_may_be_given_and_must_be_another() {
        let root = tools::root().unwrap();
        let folder = root.join("proto/0.15.1").to_str().unwrap().to_owned();
        let given = notes(root, &Args { since: Some(folder.clone()) }).unwrap();
        assert!(given.contains(&format!("Since {folder}:")), "{given}");
        let error = notes(root, &Args { since: Some("0.20.34".to_owned()) }).unwrap_err();
        assert!(error.to_string().contains("nothing to compare"), "{error}");
    }

    #[test]
    fn the_first_version_has_none_before_it() {
        let root = tempfile::tempdir().unwrap();
        for version in ["0.9.0", "0.10.0"] {
            std::fs::create_dir_all(root.path().join("proto").join(version)).unwrap();
        }
        // In numbers, not in letters.
        assert_eq!(previous(root.path(), "0.10.0").unwrap(), "0.9.0");
        let error = previous(root.path(), "0.9.0").unwrap_err();
        assert!(error.to_string().contains("--since"), "{error}");
    }
}
