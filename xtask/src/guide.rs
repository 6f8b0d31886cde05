//! `cargo xtask guide`: embeds the diagrams of the guide, and checks its links.
//!
//! The guide is Markdown that is read in the repository and in rustdoc. Rustdoc copies no files, so it
//! shows diagrams from `data:` addresses. Links are defined once for each of the two.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use xtask_tools::root;

/// The chapters and diagrams.
const CHAPTERS: &str = "volt-api/docs/guide";
/// The definitions of links for rustdoc.
const LINKS: &str = "volt-api/src/guide/links.md";
/// The definitions of diagrams for rustdoc, which this task writes.
const DIAGRAMS: &str = "volt-api/src/guide/diagrams.md";

/// Embeds the diagrams of the guide for rustdoc, and checks the links of its chapters.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write nothing; fail if a diagram has changed.
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let root = root()?;
    let embedded = embedded(&files(&root.join(CHAPTERS), "svg")?)?;
    let path = root.join(DIAGRAMS);
    if !args.check {
        fs::write(&path, &embedded).with_context(|| path.display().to_string())?;
    }
    let current = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    ensure!(current == embedded, "{DIAGRAMS} is stale: run `cargo xtask guide`");

    let links = fs::read_to_string(root.join(LINKS)).with_context(|| LINKS.to_owned())?;
    let known: BTreeSet<_> =
        definitions(&links).chain(definitions(&embedded)).map(|(label, _)| label).collect();
    for chapter in files(&root.join(CHAPTERS), "md")? {
        let text = fs::read_to_string(&chapter)?;
        for (label, target) in definitions(&text) {
            let place = chapter.display();
            ensure!(known.contains(label), "{place}: `{label}` has no definition in {LINKS}");
            let exists = target.contains("://") || chapter.with_file_name(target).exists();
            ensure!(exists, "{place}: `{label}` leads to `{target}`, which does not exist");
        }
    }
    Ok(())
}

/// The definition of each diagram, such as `[call-svg]` for `call.svg`.
fn embedded(diagrams: &[PathBuf]) -> anyhow::Result<String> {
    let mut text = String::new();
    for path in diagrams {
        let svg = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        writeln!(text, "[{name}-svg]: data:image/svg+xml,{}", percent_encoded(&svg))?;
    }
    Ok(text)
}

/// Encodes all characters with a meaning in an address or in Markdown. Leaves out indentation.
fn percent_encoded(svg: &str) -> String {
    let mut text = String::new();
    for byte in svg.lines().map(str::trim_start).flat_map(|line| line.bytes().chain([b'\n'])) {
        if byte.is_ascii_alphanumeric() || b"-.,:;/=".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a `String` cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// The labels and targets of the links that a Markdown file defines.
fn definitions(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let parts = text.lines().filter_map(|line| line.strip_prefix('[')?.split_once("]: "));
    parts.filter(|(label, target)| !label.contains([']', '[']) && !target.contains(' '))
}

/// The files of a folder with this extension, sorted.
fn files(folder: &Path, extension: &str) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    let has_extension = |path: &PathBuf| path.extension().is_some_and(|found| found == extension);
    let mut found: Vec<_> = paths.into_iter().filter(has_extension).collect();
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diagram_becomes_one_word() {
        let svg = "<svg>\n  <path d=\"M0 (1)\"/>\n</svg>\n";
        let encoded = percent_encoded(svg);
        assert_eq!(encoded, "%3Csvg%3E%0A%3Cpath%20d=%22M0%20%281%29%22/%3E%0A%3C/svg%3E%0A");
    }

    #[test]
    fn definitions_are_distinguished_from_text() {
        let text = "[`A`] and [b][c]: this\n[`A`]: two words\n\n[`A`]: a.rs\n[c]: c.md\n";
        assert_eq!(definitions(text).collect::<Vec<_>>(), [("`A`", "a.rs"), ("c", "c.md")]);
    }
}
