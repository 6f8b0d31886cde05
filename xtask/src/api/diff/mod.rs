//! `cargo xtask api diff`: the changes between two versions of the API, and whom they affect.

use std::{path::Path, process::Command};

use anyhow::{Context as _, ensure};
use clap::ValueEnum;
use prost_types::FileDescriptorSet;
use serde_json::json;
use volt_codegen::{
    Sources,
    diff::{Clients, Report, Surface, diff},
};
use xtask_tools::process;

use crate::versions;

/// Reports the changes between two versions of the API, and whom they affect.
///
/// There are three surfaces: peers of the other version that use binary protobuf (wire), those that
/// use JSON, and Rust code that uses the SDK (source). For the first two, the report also says
/// whether a change affects old clients with a new Volt, or new clients with an old Volt.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The old version: one below proto/, a folder, or a git revision (REV, or REV:FOLDER).
    old: String,
    /// The new version, in the same form.
    new: String,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Fail if something breaks on this surface. May be repeated.
    #[arg(long, value_enum)]
    deny: Vec<Denied>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    /// Markdown for a changelog.
    Markdown,
    Json,
}

#[derive(Clone, Copy, ValueEnum)]
enum Denied {
    Wire,
    Json,
    Source,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let report = report(xtask_tools::root()?, &args.old, &args.new)?;
    print!("{}", args.format.show(&report, &args.old, &args.new));
    denied(&report, &args.deny)
}

/// Compares two versions.
pub(crate) fn report(root: &Path, old: &str, new: &str) -> anyhow::Result<Report> {
    Ok(diff(&read(root, old)?, &read(root, new)?))
}

impl Format {
    fn show(self, report: &Report, old: &str, new: &str) -> String {
        match self {
            Self::Text => report.to_text(),
            Self::Markdown => format!(
                "# API {old} to {new}\n\n\
                 Made by `cargo xtask api diff {old} {new} --format markdown`.\n\n{}",
                report.to_markdown(2)
            ),
            Self::Json => format!("{:#}\n", to_json(report)),
        }
    }
}

/// Fails if something breaks on one of these surfaces.
fn denied(report: &Report, deny: &[Denied]) -> anyhow::Result<()> {
    let broken: Vec<_> = deny
        .iter()
        .map(|denied| match denied {
            Denied::Wire => Surface::Wire,
            Denied::Json => Surface::Json,
            Denied::Source => Surface::Source,
        })
        .filter(|surface| report.breaking(*surface) > 0)
        .map(|surface| format!("{} changes break {}", report.breaking(surface), surface.name()))
        .collect();
    ensure!(broken.is_empty(), "{}", broken.join(", "));
    Ok(())
}

fn to_json(report: &Report) -> serde_json::Value {
    let changes = report.changes.iter().map(|change| {
        let effects = change.effects.iter().map(|(surface, effect)| {
            let clients = match (surface, effect.clients) {
                (Surface::Source, _) => json!([]),
                (_, Clients::Both) => json!(["old", "new"]),
                (_, Clients::Old) => json!(["old"]),
                (_, Clients::New) => json!(["new"]),
            };
            let verdict = effect.verdict.name();
            let effect = json!({ "verdict": verdict, "clients": clients, "why": effect.why });
            (surface.name().to_owned(), effect)
        });
        json!({
            "element": change.element,
            "file": change.file,
            "what": change.what,
            "effects": effects.collect::<serde_json::Map<_, _>>(),
        })
    });
    let counts = report.counts.iter().map(|(name, count)| {
        let count = json!({
            "old": count.old, "new": count.new, "removed": count.removed, "added": count.added,
        });
        ((*name).to_owned(), count)
    });
    let breaking =
        Surface::ALL.map(|surface| (surface.name().to_owned(), report.breaking(surface).into()));
    json!({
        "breaking": serde_json::Map::from_iter(breaking),
        "changes": changes.collect::<Vec<_>>(),
        "counts": counts.collect::<serde_json::Map<_, _>>(),
    })
}

fn read(root: &Path, version: &str) -> anyhow::Result<FileDescriptorSet> {
    let sources =
        if versions::numbers(version).is_some() && root.join("proto").join(version).is_dir() {
            versions::sources(root, version)?
        } else if Path::new(version).is_dir() {
            versions::sources_in(Path::new(version))?
        } else {
            revision(root, version).with_context(|| {
                format!("{version:?} is no version below proto/, no folder and no git revision")
            })?
        };
    sources.compile().with_context(|| format!("{version} doesn't compile"))
}

/// The files of a git revision: of the version that the SDK was generated from at that time, unless
/// a folder is named.
fn revision(root: &Path, revision: &str) -> anyhow::Result<Sources> {
    ensure!(!revision.starts_with('-'), "git would take it for an option");
    let git = |args: &[&str]| -> anyhow::Result<String> {
        let mut git = Command::new("git");
        let printed = process::output(git.current_dir(root).args(args))?;
        String::from_utf8(printed).context("git prints text")
    };
    let (revision, folder) = if let Some((revision, folder)) = revision.split_once(':') {
        (revision, folder.trim_end_matches('/').to_owned())
    } else {
        let version = git(&["show", &format!("{revision}:{}", versions::CURRENT)])?;
        (revision, format!("proto/{}", version.trim()))
    };
    let mut sources = Sources::default();
    for path in git(&["ls-tree", "-r", "--name-only", revision, &format!("{folder}/")])?.lines() {
        let is_proto = Path::new(path).extension().is_some_and(|extension| extension == "proto");
        if let Some(name) = path.strip_prefix(&folder).filter(|_| is_proto) {
            let text = git(&["show", &format!("{revision}:{path}")])?;
            sources.files.insert(name.trim_start_matches('/').to_owned(), text);
        }
    }
    ensure!(!sources.files.is_empty(), "{revision} has no .proto files in {folder}");
    Ok(sources)
}

#[cfg(test)]
mod tests;
