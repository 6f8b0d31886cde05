//! `cargo xtask api diff`: what changed between two versions of the API, and for whom.

use std::{path::Path, process::Command};

use anyhow::{Context as _, ensure};
use clap::ValueEnum;
use prost_types::FileDescriptorSet;
use serde_json::json;
use volt_codegen::{
    Sources,
    diff::{Reader, Report, diff},
};

use crate::{codegen, tools};

/// Says what changed between two versions of the API, and for whom: peers of the other version that
/// speak binary protobuf, those that speak JSON, and Rust code that uses the SDK.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The old version: one below proto/, a folder, or a git revision (REV, or REV:FOLDER).
    old: String,
    /// The new version, likewise.
    new: String,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Fails when something breaks for this reader. May be given several times.
    #[arg(long, value_enum)]
    deny: Vec<Denied>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    /// Ready for a changelog.
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
    let report = diff(&read(&args.old)?, &read(&args.new)?);
    match args.format {
        Format::Text => print!("{}", report.to_text()),
        Format::Markdown => {
            let title = format!("API {} to {}", args.old, args.new);
            print!("{}", report.to_markdown(&title));
        }
        Format::Json => println!("{:#}", to_json(&report)),
    }
    for denied in &args.deny {
        let reader = match denied {
            Denied::Wire => Reader::Wire,
            Denied::Json => Reader::Json,
            Denied::Source => Reader::Source,
        };
        let breaking = report.breaking(reader);
        ensure!(breaking == 0, "{breaking} changes break something for {}", reader.name());
    }
    Ok(())
}

fn to_json(report: &Report) -> serde_json::Value {
    let changes = report.changes.iter().map(|change| {
        let effects = change.effects.iter().map(|(reader, effect)| {
            let effect = json!({ "verdict": effect.verdict.name(), "why": effect.why });
            (reader.name().to_owned(), effect)
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
    json!({
        "changes": changes.collect::<Vec<_>>(),
        "counts": counts.collect::<serde_json::Map<_, _>>(),
    })
}

fn read(version: &str) -> anyhow::Result<FileDescriptorSet> {
    let below = tools::root()?.join("proto").join(version);
    let sources = if below.is_dir() {
        codegen::sources(&below)?
    } else if Path::new(version).is_dir() {
        codegen::sources(Path::new(version))?
    } else {
        revision(version).with_context(|| {
            format!("{version:?} is no version below proto/, no folder and no git revision")
        })?
    };
    sources.compile().with_context(|| format!("{version} doesn't compile"))
}

/// The files of a git revision: of the version that the SDK was then generated from, unless a folder is
/// named.
fn revision(revision: &str) -> anyhow::Result<Sources> {
    let git = |args: &[&str]| -> anyhow::Result<String> {
        let mut git = Command::new("git");
        let printed = tools::output(git.current_dir(tools::root()?).args(args))?;
        String::from_utf8(printed).context("git prints text")
    };
    let (revision, folder) = if let Some((revision, folder)) = revision.split_once(':') {
        (revision, folder.trim_end_matches('/').to_owned())
    } else {
        let version = git(&["show", &format!("{revision}:proto/VERSION")])?;
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
