//! `cargo xtask api diff`: the changes between two versions of the API, and whom they affect.

use std::{
    path::{Path, PathBuf},
    process::Command,
    str::FromStr,
};

use anyhow::{Context as _, ensure};
use clap::ValueEnum;
use prost_types::FileDescriptorSet;
use serde_json::json;
use volt_codegen::{
    Sources,
    diff::{Change, Clients, Kind, Report, Surface, Verdict},
};
use xtask_tools::process;

use super::source;
use crate::{
    codegen::{self, former::FormerNames, sharing::Sharing},
    versions,
};

/// Reports the changes between two versions of the API, and whom they affect.
///
/// There are three surfaces: peers of the other version that use binary protobuf (wire), those that
/// use JSON, and Rust code that uses the SDK (source). For the first two, the report also says
/// whether a change affects old clients with a new Volt, or new clients with an old Volt.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The old version: one below proto/, a folder, a tarball, a published package (npm:0.20.34), or a git
    /// revision (REV, or REV:FOLDER).
    old: String,
    /// The new version, in the same form.
    new: String,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Fail if something breaks on this surface: wire, json or source. `wire:old` denies breaks of old clients
    /// with a new Volt only, `wire:new` those of new clients with an old Volt; the same for json. May be repeated.
    #[arg(long, value_name = "SURFACE[:CLIENTS]")]
    deny: Vec<Denied>,
    /// An element whose changes are not denied, with all elements inside it. May be repeated.
    #[arg(long, value_name = "ELEMENT")]
    except: Vec<String>,
    /// A kind of change that is not denied, such as `field-json-name`: the `kind` in the JSON format. May be repeated.
    #[arg(long, value_name = "KIND", value_parser = kind)]
    allow: Vec<Kind>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    /// Markdown for a changelog.
    Markdown,
    Json,
}

/// A surface, and the clients for which it must not break.
#[derive(Clone, Copy)]
struct Denied {
    surface: Surface,
    clients: Clients,
}

impl FromStr for Denied {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (surface, clients) = text.split_once(':').unwrap_or((text, ""));
        let clients = match clients {
            "" => Clients::Both,
            "old" if surface != "source" => Clients::Old,
            "new" if surface != "source" => Clients::New,
            _ => return Err("after `wire:` or `json:` follows `old` or `new`".to_owned()),
        };
        let found = Surface::ALL.into_iter().find(|known| known.name() == surface);
        let surface = found.ok_or("the surfaces are `wire`, `json` and `source`")?;
        Ok(Self { surface, clients })
    }
}

impl Denied {
    /// Returns whether a change breaks the surface for one of these clients.
    fn denies(self, change: &Change) -> bool {
        change.effects.get(&self.surface).is_some_and(|effect| {
            let affects = self.clients == Clients::Both || effect.clients.include(self.clients);
            effect.verdict == Verdict::Breaking && affects
        })
    }

    fn shown(self) -> String {
        match self.clients {
            Clients::Both => self.surface.name().to_owned(),
            clients => format!("{} for {}", self.surface.name(), clients.name()),
        }
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let (report, sharing) = report(xtask_tools::root()?, &args.old, &args.new)?;
    print!("{}", args.format.show(&report, &sharing, &args.old, &args.new));
    denied(&report, &args.deny, &args.except, &args.allow)
}

/// Compares two versions, and what each shares with the older versions in the SDK.
pub(crate) fn report(root: &Path, old: &str, new: &str) -> anyhow::Result<(Report, Vec<Sharing>)> {
    // Only versions below proto/ have them.
    let former = FormerNames::read(root, new)?;
    let [before, after] = [old, new].map(|version| read(root, version, &mut Command::new("npm")));
    let (before, after) = (before?, after?);
    let sharing = Sharing::changes(root, (old, &before), &after)?;
    Ok((codegen::diff(root, &before, &after, &former)?, sharing))
}

impl Format {
    fn show(self, report: &Report, sharing: &[Sharing], old: &str, new: &str) -> String {
        match self {
            Self::Text => report.to_text() + &Sharing::to_markdown(sharing, 2),
            Self::Markdown => page(report, sharing, old, new),
            Self::Json => format!("{:#}\n", to_json(report)),
        }
    }
}

/// The page of a report below `docs/`.
pub(crate) fn page(report: &Report, sharing: &[Sharing], old: &str, new: &str) -> String {
    format!(
        "# API {old} to {new}\n\n\
         Made by `cargo xtask api diff {old} {new} --format markdown`.\n\n{}{}",
        report.to_markdown(2),
        Sharing::to_markdown(sharing, 2)
    )
}

/// The file of that page, relative to the root of the repository.
pub(crate) fn page_file(old: &str, new: &str) -> PathBuf {
    format!("docs/api-{old}-to-{new}.md").into()
}

/// Finds a kind by its name.
fn kind(name: &str) -> Result<Kind, String> {
    let found = Kind::ALL.iter().copied().find(|kind| kind.name() == name);
    let names = Kind::ALL.iter().map(|kind| kind.name()).collect::<Vec<_>>();
    found.ok_or_else(|| format!("the kinds are {}", names.join(", ")))
}

/// Fails if something breaks that is denied. Changes within the elements `except` and of the kinds `allow` are not.
fn denied(
    report: &Report,
    deny: &[Denied],
    except: &[String],
    allow: &[Kind],
) -> anyhow::Result<()> {
    let is_within = |element: &str, name: &String| {
        element
            .strip_prefix(name.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let changes: Vec<_> = report
        .changes
        .iter()
        .filter(|change| !except.iter().any(|name| is_within(&change.element, name)))
        .filter(|change| !allow.contains(&change.kind))
        .collect();
    let count = |denied: &Denied| changes.iter().filter(|change| denied.denies(change)).count();
    let broken: Vec<_> = deny
        .iter()
        .map(|denied| (count(denied), denied.shown()))
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} changes break {what}"))
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
            "kind": change.kind.name(),
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

/// Reads a version. `npm` is the program for published packages.
fn read(root: &Path, version: &str, npm: &mut Command) -> anyhow::Result<FileDescriptorSet> {
    let sources = if versions::numbers(version).is_some()
        && root.join("proto").join(version).is_dir()
    {
        versions::sources(root, version)?
    } else if Path::new(version).is_dir() {
        versions::sources_in(Path::new(version))?
    } else if version.starts_with("npm:") || Path::new(version).is_file() {
        let Ok(source) = version.parse();
        source::read(&source, npm)?.sources
    } else {
        revision(root, version).with_context(|| {
            format!("{version:?} is not a version below proto/, a folder, a file or a git revision")
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
