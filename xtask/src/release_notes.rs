//! `cargo xtask release-notes`: the start of a release's changelog.

use std::path::Path;

use anyhow::{Context as _, ensure};
use volt_codegen::diff::{Clients, Report, Surface};

use crate::{api, codegen::sharing::Sharing, semver::Step, versions};

/// Prints the start of a changelog: the SDK's version, the API's version, the changes of the API, and the step that
/// the SDK's version needs because of them.
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
    let sdk = env!("CARGO_PKG_VERSION");
    let since = match &args.since {
        Some(since) => since.clone(),
        None => previous(root, &api)?,
    };
    ensure!(since != api, "{since} is the SDK's own API version: there is nothing to compare");
    let (report, sharing) = api::report(root, &since, &api)?;
    let step = Step::of(&report);
    let [major, minor, patch] = step.after(versions::numbers(sdk).unwrap_or_default());
    let next = format!("{major}.{minor}.{patch}");
    Ok(format!(
        "## {sdk} (API {api})\n\n\
         The API is that of Volt {api}. Since {since} it has {}. If the SDK's last release with API {since} was \
         {sdk}, the next version is at least {next}.\n\n{}{}",
        step.why(&report),
        report.to_markdown(3),
        Sharing::to_markdown(&sharing, 3)
    ))
}

impl Step {
    /// Programs of the old API break with the new SDK if they do not compile, or if an old Volt, for which they were
    /// written, does not understand them.
    fn of(report: &Report) -> Self {
        let data = [Surface::Wire, Surface::Json];
        if report.breaking(Surface::Source) > 0
            || data.iter().any(|surface| report.breaking_for(*surface, Clients::New) > 0)
        {
            Self::Breaking
        } else if report.changes.is_empty() {
            Self::Fix
        } else {
            Self::Addition
        }
    }

    fn why(self, report: &Report) -> String {
        match self {
            Self::Breaking => format!(
                "changes that break programs: {} break Rust code, {} the binary form and {} the JSON form for new \
                 clients with an old Volt",
                report.breaking(Surface::Source),
                report.breaking_for(Surface::Wire, Clients::New),
                report.breaking_for(Surface::Json, Clients::New),
            ),
            Self::Addition => "changes, none of which breaks programs".to_owned(),
            Self::Fix => "no changes".to_owned(),
        }
    }
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

    use std::fs;

    use super::*;

    #[test]
    fn notes_have_both_versions_and_the_changes_since_the_previous_api() {
        let root = xtask_tools::root().unwrap();
        let notes = notes(root, &Args { since: None }).unwrap();
        let api = versions::current(root).unwrap();
        let since = previous(root, &api).unwrap();
        let heading = format!("## {} (API {api})\n\n", env!("CARGO_PKG_VERSION"));
        assert!(notes.starts_with(&heading), "{notes}");
        assert!(notes.contains(&format!("Since {since} it has ")), "{notes}");
        // The changes are the text of the report, one heading level deeper.
        let (report, _) = api::report(root, &since, &api).unwrap();
        assert!(notes.ends_with(&report.to_markdown(3)));
    }

    #[test]
    fn since_must_be_another_version() {
        let root = xtask_tools::root().unwrap();
        let folder = root.join("proto/0.15.1").to_str().unwrap().to_owned();
        let given = notes(root, &Args { since: Some(folder.clone()) }).unwrap();
        assert!(given.contains(&format!("Since {folder} ")), "{given}");
        let since = Some(versions::current(root).unwrap());
        let error = notes(root, &Args { since }).unwrap_err();
        assert!(error.to_string().contains("nothing to compare"), "{error}");
    }

    #[test]
    fn first_version_has_no_previous_one() {
        let root = tempfile::tempdir().unwrap();
        for version in ["0.9.0", "0.10.0"] {
            fs::create_dir_all(root.path().join("proto").join(version)).unwrap();
        }
        // Versions sort as numbers, not as text.
        assert_eq!(previous(root.path(), "0.10.0").unwrap(), "0.9.0");
        let error = previous(root.path(), "0.9.0").unwrap_err();
        assert!(error.to_string().contains("--since"), "{error}");
    }

    #[test]
    fn changes_of_the_api_determine_the_step() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, body: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(&path).unwrap();
            fs::write(path.join("m.proto"), format!("syntax = \"proto3\"; package p; {body}"))
                .unwrap();
            path.to_str().unwrap().to_owned()
        };
        let service =
            |method: &str| format!("message M {{ int32 a = 1; }} service S {{ {method} }}");
        let old = put("old", &service("rpc A(M) returns (M);"));
        let step = |name: &str, body: &str| {
            let (report, _) = api::report(folder.path(), &old, &put(name, body)).unwrap();
            Step::of(&report)
        };
        let more = service("rpc A(M) returns (M); rpc B(M) returns (M);");
        assert_eq!(step("same", &service("rpc A(M) returns (M);")), Step::Fix);
        assert_eq!(step("more", &more), Step::Addition);
        assert_eq!(step("less", &service("")), Step::Breaking);
        // Rust code compiles, but an old Volt understands something else.
        let renumbered = service("rpc A(M) returns (M);").replace("a = 1", "a = 2");
        assert_eq!(step("renumbered", &renumbered), Step::Breaking);
    }
}
