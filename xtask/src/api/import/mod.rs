//! `cargo xtask api import`: adds a version of the API, with our documentation.

use std::{
    collections::BTreeMap,
    fmt::{Display, Write as _},
    path::Path,
    process::Command,
};

use anyhow::{Context as _, bail, ensure};
use prost_types::FileDescriptorSet;
use volt_codegen::{
    diff::{Report, Surface, Verdict},
    text::{Comments, Plain, plain, write},
};

use super::{
    diff::{page, page_file},
    source::{self, Source},
};
use crate::{
    codegen::{
        self, Plan,
        former::{self, FormerNames},
        recorded,
        sharing::Sharing,
    },
    secrets::{self, Secrets},
    tree, versions,
};

/// Adds an API version below proto/, or normalizes an existing one.
///
/// The files are written in a canonical form. Their own comments are replaced with ours, from the same
/// version if it exists, otherwise from the version in proto/VERSION. The output lists the parts left out
/// of the source, such as options that clients do not need, new elements without documentation, elements
/// whose documentation may be wrong now, possible renames, and undecided fields that look secret. It also
/// summarizes the changes since that version; docs/api-OLD-to-NEW.md lists them. An import that fails or is killed changes nothing.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A folder, a tarball (.tar, .tar.gz, .tgz), or a published version of the package
    /// @tdxvolt/volt-client-grpc, such as npm:0.20.34.
    source: Source,
    /// The API version. Default: the version of the npm package.
    #[arg(long)]
    version: Option<String>,
    /// Overwrite a version that exists with other definitions.
    #[arg(long)]
    replace: bool,
    /// Also generate the SDK from it, as `cargo xtask codegen VERSION` does.
    #[arg(long)]
    codegen: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    print!("{}", import(xtask_tools::root()?, args, &mut Command::new("npm"))?);
    Ok(())
}

/// Imports a folder, and generates the SDK from it. Returns the text to print.
pub(super) fn folder(root: &Path, folder: &Path, version: &str) -> anyhow::Result<String> {
    let Ok(source) = folder.to_str().context("the path is not UTF-8")?.parse();
    let version = Some(version.to_owned());
    let args = Args { source, version, replace: false, codegen: true };
    import(root, &args, &mut Command::new("npm"))
}

/// Returns whether a version exists. Files written by hand may already exist.
fn has_definitions(folder: &Path) -> anyhow::Result<bool> {
    let files = if folder.is_dir() { tree::files_below(folder)? } else { Vec::new() };
    Ok(files.iter().any(|file| file.extension().is_some_and(|extension| extension == "proto")))
}

/// Returns the text to print. `npm` is the program.
fn import(root: &Path, args: &Args, npm: &mut Command) -> anyhow::Result<String> {
    // An import that was killed is undone before anything is read.
    tree::recover(root)?;
    let found = source::read(&args.source, npm)?;
    let version = args.version.clone().or(found.version);
    let version =
        version.context("the source does not state its version: set it with --version")?;
    ensure!(
        versions::numbers(&version).is_some(),
        "{version:?} is not a version: expected three numbers without leading zeros, such as 0.20.34"
    );

    let Plain { set, left_out, .. } =
        plain(&found.sources).context("the files of the source don't compile")?;
    let folder = Path::new("proto").join(&version);
    let existed = has_definitions(&root.join(&folder))?;
    let current = versions::current(root)?;
    let before = versions::sources(root, &current)?.compile()?;
    let mut comments = Comments::default();
    if existed {
        let there = versions::sources(root, &version)?.compile()?;
        if !args.replace {
            ensure_same(root, &version, &there, &set)?;
        }
        comments = Comments::of(&there);
    }
    let report = codegen::diff(root, &before, &set, &FormerNames::read(root, &version)?)?;
    let comments = comments.or(Comments::of(&before).moved(&report.renames));
    let written = write(&set, &comments)?;

    let secrets = Secrets::read(root, &version)?.or(Secrets::read(root, &current)?);
    let files = written.files.iter().map(|(name, text)| (folder.join(name), text.clone()));
    let mut files: BTreeMap<_, _> = files.collect();
    files.insert(secrets::file(&version), secrets.text());
    // Written by hand.
    for path in [former::file(&version), folder.join("ABOUT.md")] {
        if root.join(&path).is_file() {
            files.insert(path.clone(), tree::read(&root.join(&path))?);
        }
    }
    if !args.codegen {
        // Records hide the secrets of all versions below proto/.
        files.insert(recorded::FILE.into(), recorded::file(root, &version, &set, &secrets)?);
    }
    let sharing = if version == current {
        Vec::new()
    } else {
        let sharing = Sharing::changes(root, (current.as_str(), &before), &set)?;
        files.insert(page_file(&current, &version), page(&report, &sharing, &current, &version));
        sharing
    };
    let mut changes = tree::changes(root, files, &[&folder])?;
    let mut said = format!(
        "{} {} files in {}\n",
        if existed { "Rewrote" } else { "Wrote" },
        written.files.len(),
        folder.display()
    );
    if args.codegen {
        let plan = Plan::new(root, &version, &written, &secrets)?;
        said += &plan.shown();
        changes.extend(plan.changes);
    }
    versions::apply(root, changes)?;

    list(&mut said, "Left out of the source:", left_out);
    let unknown = comments.unknown(&set);
    list(&mut said, &format!("{} new elements need documentation:", unknown.len()), unknown);
    if version != current {
        let review = to_review(&report, &comments);
        let heading =
            format!("{} elements keep their documentation and have changed:", review.len());
        list(&mut said, &heading, review);
        let heading = format!(
            "{} elements were perhaps renamed; if so, add to {}:",
            report.proposals.len(),
            former::file(&version).display()
        );
        let proposals = report.proposals.iter();
        list(&mut said, &heading, proposals.map(|(former, now)| format!("{former} {now}")));
    }
    let undecided = secrets.undecided(&set);
    let heading = format!(
        "{} fields look secret and are hidden until {} says `secret` or `open`:",
        undecided.len(),
        secrets::file(&version).display()
    );
    list(&mut said, &heading, undecided);
    if version != current {
        writeln!(said, "Since API {current} (cargo xtask api diff {current} {version}):")?;
        said += &report.summary("  ");
        said.extend(sharing.iter().map(|sharing| format!("  {}", sharing.summary())));
    }
    if !args.codegen {
        writeln!(said, "To generate the SDK from it: cargo xtask codegen {version}")?;
    }
    Ok(said)
}

/// Adds lines below a heading. Without lines there is no heading.
fn list(said: &mut String, heading: &str, lines: impl IntoIterator<Item: Display>) {
    let mut lines = lines.into_iter().peekable();
    if lines.peek().is_some() {
        *said += heading;
        *said += "\n";
    }
    said.extend(lines.map(|line| format!("  {line}\n")));
}

/// The changes after which the comment of an element may be wrong. A method that has another kind, or a field
/// with another name, still has the text that was written for the old one.
fn to_review(report: &Report, comments: &Comments) -> Vec<String> {
    let matters = report.changes.iter().filter(|change| {
        [Surface::Wire, Surface::Json].iter().any(|side| change.verdict(*side) != Verdict::Fine)
            || change.verdict(Surface::Source) == Verdict::Breaking
    });
    let shown = matters.filter_map(|change| {
        let now = report.renames.get(&change.element).unwrap_or(&change.element);
        (!change.kind.is_removal() && comments.has(now)).then(|| format!("{now}: {}", change.what))
    });
    shown.collect()
}

/// Fails if a version exists with other definitions. Its comments may differ.
fn ensure_same(
    root: &Path,
    version: &str,
    there: &FileDescriptorSet,
    set: &FileDescriptorSet,
) -> anyhow::Result<()> {
    let bare = |set| write(set, &Comments::default()).map(|sources| sources.files);
    if bare(there)? == bare(set)? {
        return Ok(());
    }
    let report = codegen::diff(root, there, set, &FormerNames::default())?;
    let changes = if report.changes.is_empty() {
        "  the same definitions, in other files or another order\n".to_owned()
    } else {
        report.to_text()
    };
    bail!("proto/{version} exists; --replace makes these changes:\n{changes}")
}

#[cfg(test)]
mod generated_tests;
#[cfg(test)]
pub(super) mod tests;
