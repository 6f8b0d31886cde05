//! Compiles pieces of programs against an invented API and its next version, and compares the errors with the
//! changes that the report promises to break them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::Path,
    process::Stdio,
};

use anyhow::{Context as _, ensure};
use serde_json::Value;
use volt_codegen::{
    Options, Sources,
    diff::{Kind, Report, Surface, Verdict, diff},
    generate,
};
use xtask_tools::{cargo, root};

use crate::{
    check,
    pieces::{Piece, pieces},
};

/// Returns the table as text.
///
/// # Errors
///
/// Fails if a promised break does not occur, or if another break occurs.
pub(crate) fn run() -> anyhow::Result<String> {
    let (old, new) = (sources("old")?, sources("new")?);
    let report = diff(&old.compile()?, &new.compile()?, &options()?)?;
    let before = failing(&old, "old")?;
    ensure!(before.is_empty(), "these pieces do not compile with the old version: {before:?}");
    let seen = failing(&new, "new")?;
    let mut table = String::from("| element | promised | seen |\n|---|---|---|\n");
    let mut differences = 0;
    for (index, piece) in pieces().enumerate() {
        let promised = promised(&report, piece);
        let is_seen = seen.contains(&index);
        differences += usize::from(promised.is_empty() == is_seen);
        let feature = piece.feature.map(|name| format!(" (feature {name})")).unwrap_or_default();
        let strict = if piece.is_strict { " (strict)" } else { "" };
        let promised = promised.join("; ");
        let seen = if is_seen { "does not compile" } else { "" };
        writeln!(table, "| {}{feature}{strict} | {promised} | {seen} |", piece.element)?;
    }
    ensure!(differences == 0, "{differences} rows differ:\n{table}");
    Ok(table)
}

/// The former names are declared, as those of a version of the SDK.
fn options() -> anyhow::Result<Options> {
    let path = root()?.join("tests/fork/changes/new/RENAMES");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let mut options = Options::default().features(true).client(true);
    for line in text.lines() {
        let names = line.split_once(' ');
        let (former, now) = names.with_context(|| format!("{line:?} has two names"))?;
        let own = former.rsplit('.').next().unwrap_or(former);
        options = options.former_name(now, own);
    }
    Ok(options)
}

fn sources(version: &str) -> anyhow::Result<Sources> {
    let folder = root()?.join("tests/fork/changes").join(version);
    let mut sources = Sources::default();
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let name =
            path.file_name().context("the path has no file name")?.to_string_lossy().into_owned();
        if path.extension().is_some_and(|extension| extension == "proto") {
            sources.files.insert(name, fs::read_to_string(&path)?);
        }
    }
    Ok(sources)
}

/// The breaks of code that the report promises for a piece.
fn promised(report: &Report, piece: &Piece) -> Vec<String> {
    let changes = report.changes.iter().filter(|change| {
        let least = if piece.is_strict { Verdict::Risky } else { Verdict::Breaking };
        // A program with all features has every item.
        let matters = piece.feature.is_some() || change.kind != Kind::RustFeature;
        change.element == piece.element && change.verdict(Surface::Source) >= least && matters
    });
    changes.map(|change| change.what.clone()).collect()
}

/// The indices of the pieces that do not compile with a version.
fn failing(sources: &Sources, version: &str) -> anyhow::Result<BTreeSet<usize>> {
    let output = generate(&sources.compile()?, &options()?)?;
    let package = root()?.join("target/protos/changes").join(version);
    check::write(&package, &output)?;
    write_programs(&package, &output.features)?;
    let mut features: BTreeMap<Option<&str>, Vec<usize>> = BTreeMap::new();
    for (index, piece) in pieces().enumerate() {
        features.entry(piece.feature).or_default().push(index);
    }
    let mut failing = BTreeSet::new();
    for (feature, pieces) in features {
        failing.extend(check_programs(&package, feature, &pieces)?);
    }
    Ok(failing)
}

/// The imports of all pieces.
const PRELUDE: &str = "\
#![allow(unused_imports)]

use generated::generated::{Client, acme::{v1, v2}};
use volt_runtime::{Status, server::Context};
";

/// Each piece is a program of the package.
fn write_programs(package: &Path, features: &[String]) -> anyhow::Result<()> {
    let programs = package.join("src/bin");
    fs::create_dir_all(&programs)?;
    for (index, piece) in pieces().enumerate() {
        let lints = if piece.is_strict { "#![deny(deprecated)]\n\n" } else { "" };
        let code = piece.code;
        let text = format!("{lints}{PRELUDE}\nfn main() {{ {code} }}\n");
        fs::write(programs.join(format!("piece_{index}.rs")), text)?;
    }
    let path = package.join("Cargo.toml");
    let mut manifest = fs::read_to_string(&path)?;
    write!(manifest, "\n[features]\ndefault = {features:?}\n")?;
    for feature in features {
        writeln!(manifest, "{feature} = []")?;
    }
    Ok(fs::write(&path, manifest)?)
}

fn check_programs(
    package: &Path,
    feature: Option<&str>,
    pieces: &[usize],
) -> anyhow::Result<BTreeSet<usize>> {
    let mut command = cargo::cargo();
    command.args(["check", "--quiet", "--keep-going", "--message-format=json"]);
    command.current_dir(package).arg("--target-dir").arg(cargo::target_dir(root()?)?);
    if let Some(feature) = feature {
        command.args(["--no-default-features", "--features", feature]);
    }
    for index in pieces {
        command.args(["--bin", &format!("piece_{index}")]);
    }
    let printed = command.stderr(Stdio::inherit()).output().context("cargo cannot be run")?;
    let lines = printed.stdout.split(|byte| *byte == b'\n');
    let mut failing = BTreeSet::new();
    for line in lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok()) {
        if line["reason"] != "compiler-message" || line["message"]["level"] != "error" {
            continue;
        }
        let name = line["target"]["name"].as_str().unwrap_or_default();
        let rendered = line["message"]["rendered"].as_str().unwrap_or_default();
        let index = name.strip_prefix("piece_").and_then(|index| index.parse().ok());
        failing.insert(index.with_context(|| format!("{name} does not compile: {rendered}"))?);
    }
    ensure!(
        printed.status.success() == failing.is_empty(),
        "cargo and the pieces disagree about the success of the check"
    );
    Ok(failing)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use volt_codegen::diff::Change;

    use super::*;

    fn report() -> Report {
        let [old, new] = ["old", "new"].map(|version| sources(version).unwrap().compile().unwrap());
        diff(&old, &new, &options().unwrap()).unwrap()
    }

    /// A new rule of the comparison demands an example here.
    #[test]
    fn every_kind_of_change_occurs() {
        let seen: BTreeSet<_> = report().changes.iter().map(|change| change.kind).collect();
        let missing: Vec<_> = Kind::ALL.iter().filter(|kind| !seen.contains(kind)).collect();
        assert!(missing.is_empty(), "the invented version has no {missing:?}");
    }

    /// Each promised break has a piece of a program, and so has each harmless change. This needs no compiler.
    #[test]
    fn every_changed_element_has_a_piece() {
        for change in report().changes {
            let is_tried = pieces().any(|piece| piece.element == change.element);
            let (element, what) = (&change.element, &change.what);
            assert!(change.kind.is_addition() || is_tried, "no piece for {element}: {what}");
        }
    }

    /// A risk needs a program that it breaks.
    #[test]
    fn every_kind_of_risk_has_a_strict_piece() {
        let report = report();
        let is_risky = |change: &&Change| change.verdict(Surface::Source) == Verdict::Risky;
        let risky = || report.changes.iter().filter(is_risky);
        let is_tried = |change: &&Change| {
            pieces().any(|piece| piece.is_strict && piece.element == change.element)
        };
        let tried: BTreeSet<_> = risky().filter(is_tried).map(|change| change.kind).collect();
        let all: BTreeSet<_> = risky().map(|change| change.kind).collect();
        assert_eq!(tried, all);
    }
}
