//! Reads `.proto` files from a folder, a tarball or a published package.

use std::{
    collections::{BTreeMap, HashSet},
    convert::Infallible,
    fs::File,
    io::{self, Read},
    path::{Component, Path, PathBuf},
    process::Command,
    str::FromStr,
};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use volt_codegen::{Sources, text::Header};
use xtask_tools::process;

use crate::tree;

/// The published package with the files.
const PACKAGE: &str = "@tdxvolt/volt-client-grpc";
/// The maximum size of a `.proto` file.
const MAX_TEXT: u64 = 16 << 20;
/// The maximum unpacked size of a tarball.
const MAX_TARBALL: u64 = 64 << 20;

/// The source named on the command line.
#[derive(Clone, Debug)]
pub(super) enum Source {
    Npm(String),
    Path(PathBuf),
}

impl FromStr for Source {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let package = format!("{PACKAGE}@");
        let version = text.strip_prefix("npm:").or_else(|| text.strip_prefix(&package));
        Ok(version.map_or_else(|| Self::Path(text.into()), |version| Self::Npm(version.to_owned())))
    }
}

/// The contents of a source.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) sources: Sources,
    pub(super) version: Option<String>,
}

/// Reads a source; `npm` is the program for packages.
pub(super) fn read(source: &Source, npm: &mut Command) -> anyhow::Result<Found> {
    let texts = match source {
        Source::Npm(version) => return fetch(version, npm),
        Source::Path(path) if path.is_dir() => folder(path)?,
        Source::Path(path) => tarball(path)?,
    };
    found(texts).with_context(|| match source {
        Source::Path(path) => path.display().to_string(),
        Source::Npm(version) => version.clone(),
    })
}

/// Downloads a version of the package with the `npm` program.
fn fetch(version: &str, npm: &mut Command) -> anyhow::Result<Found> {
    let folder = tempfile::tempdir()?;
    npm.args(["pack", "--loglevel=error", "--ignore-scripts", &format!("{PACKAGE}@{version}")]);
    npm.arg("--pack-destination").arg(folder.path());
    process::output(npm).with_context(|| {
        format!("{PACKAGE}@{version} cannot be fetched from npm; use a folder or a tarball instead")
    })?;
    let [tarball] = &tree::files_below(folder.path())?[..] else {
        bail!("npm fetched no tarball of {PACKAGE}@{version}");
    };
    found(self::tarball(tarball)?).with_context(|| format!("{PACKAGE}@{version}"))
}

/// The relevant files, by their paths.
type Texts = BTreeMap<PathBuf, String>;

fn matters(path: &Path) -> bool {
    let is = |extension: &str| path.extension().is_some_and(|is| is == extension);
    is("proto") || path.ends_with("package.json") || path.ends_with("volt-proto-literals.js")
}

fn folder(root: &Path) -> anyhow::Result<Texts> {
    let mut texts = Texts::new();
    for path in tree::files_below(root)? {
        if matters(&path) {
            texts.insert(path.strip_prefix(root)?.to_owned(), tree::read(&path)?);
        }
    }
    Ok(texts)
}

/// Reads a tarball without unpacking it.
fn tarball(path: &Path) -> anyhow::Result<Texts> {
    let open = || File::open(path).with_context(|| path.display().to_string());
    let mut magic = Vec::new();
    open()?.take(2).read_to_end(&mut magic)?;
    let zipped = magic == [0x1f, 0x8b];
    let reader: Box<dyn Read> =
        if zipped { Box::new(flate2::read::GzDecoder::new(open()?)) } else { Box::new(open()?) };
    let mut texts = Texts::new();
    let unreadable = || format!("{} is not a tarball, or damaged", path.display());
    let bounded = Bounded { reader, left: MAX_TARBALL };
    for entry in tar::Archive::new(bounded).entries().with_context(unreadable)? {
        let mut entry = entry.with_context(unreadable)?;
        let name = entry.path().with_context(unreadable)?.into_owned();
        let inside = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
        ensure!(
            name.components().all(inside),
            "{} has a path that leads out of it: {}",
            path.display(),
            name.display()
        );
        if !matters(&name) {
            continue;
        }
        let kind = entry.header().entry_type();
        ensure!(!kind.is_symlink() && !kind.is_hard_link(), "{} is a link", name.display());
        if kind.is_file() {
            ensure!(entry.size() <= MAX_TEXT, "{} is longer than 16 MiB", name.display());
            let mut text = String::new();
            entry.read_to_string(&mut text).with_context(|| name.display().to_string())?;
            texts.insert(name, text);
        }
    }
    Ok(texts)
}

/// A reader that fails if the input is too long.
struct Bounded<R> {
    reader: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.left = self
            .left
            .checked_sub(read as u64)
            .ok_or_else(|| io::Error::other("it unpacks to more than 64 MiB"))?;
        Ok(read)
    }
}

/// The `.proto` files under the names by which they import one another.
fn found(texts: Texts) -> anyhow::Result<Found> {
    let mut version = None;
    let mut files = Vec::new();
    for (path, text) in texts {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        match name.as_deref() {
            Some("package.json") => {
                let manifest: Value =
                    serde_json::from_str(&text).context("package.json is not JSON")?;
                if manifest["name"] == PACKAGE {
                    version = manifest["version"].as_str().map(str::to_owned);
                }
            }
            Some("volt-proto-literals.js") => {
                files.extend(
                    literals(&text)?.into_iter().map(|(name, text)| Unnamed::new(name, text)),
                );
            }
            _ => {
                let path = path.components().filter_map(|part| match part {
                    Component::Normal(part) => Some(part.to_string_lossy()),
                    _ => None,
                });
                files.push(Unnamed::new(path.collect::<Vec<_>>().join("/"), text));
            }
        }
    }
    ensure!(!files.is_empty(), "there are no .proto files");
    let mut sources = Sources::default();
    for (name, file) in names(&files)?.into_iter().zip(files) {
        // The name of a JavaScript constant has not been validated before.
        let inside = |part| matches!(part, Component::Normal(_));
        ensure!(
            Path::new(&name).components().all(inside),
            "{name:?} is not the path of an API file"
        );
        sources.files.insert(name, file.text);
    }
    Ok(Found { sources, version })
}

/// A file whose name for others is not known yet.
struct Unnamed {
    path: String,
    text: String,
    /// Empty if the text cannot be parsed, which is reported when it is compiled.
    header: Header,
}

impl Unnamed {
    fn new(path: String, text: String) -> Self {
        let header = Header::of(&text).unwrap_or_default();
        Self { path, text, header }
    }

    /// The name that follows from the package.
    fn by_package(&self) -> String {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        let parts = self.header.package.split('.').filter(|part| !part.is_empty());
        parts.chain([name]).collect::<Vec<_>>().join("/")
    }
}

/// The names with which most imports are found. These follow from the packages, as in the published
/// package, whose files are in one folder; or they are the paths, below one of the folders around all files.
fn names(files: &[Unnamed]) -> anyhow::Result<Vec<String>> {
    let by_package: Vec<String> = files.iter().map(Unnamed::by_package).collect();
    let first = files.first().map(|file| file.path.as_str()).unwrap_or_default();
    let around = first.match_indices('/').map(|(end, _)| &first[..=end]);
    let around = [""].into_iter().chain(around);
    let around = around.filter(|folder| files.iter().all(|file| file.path.starts_with(folder)));
    let below = around
        .map(|folder| files.iter().map(|file| file.path[folder.len()..].to_owned()).collect());
    let mut best: Option<(usize, Vec<String>)> = None;
    for names in [by_package.clone()].into_iter().chain(below) {
        let unique: HashSet<&str> = names.iter().map(String::as_str).collect();
        if unique.len() != names.len() {
            continue;
        }
        let imports = files.iter().flat_map(|file| &file.header.imports);
        let found = imports.filter(|import| unique.contains(import.as_str())).count();
        if best.as_ref().is_none_or(|(most, _)| found > *most) {
            best = Some((found, names));
        }
    }
    let Some((_, names)) = best else {
        let mut seen = HashSet::new();
        let twice = by_package.iter().find(|name| !seen.insert(*name));
        bail!("there are two files for {}", twice.map(String::as_str).unwrap_or_default());
    };
    Ok(names)
}

/// The files in a JavaScript module that exports each as a template literal.
fn literals(module: &str) -> anyhow::Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for declaration in module.split("export const ").skip(1) {
        let Some((name, rest)) = declaration.split_once(" = `") else { continue };
        let mut text = String::new();
        let mut letters = rest.chars();
        loop {
            match letters.next() {
                Some('`') => break,
                Some('\\') => text.extend(letters.next()),
                Some(letter) => text.push(letter),
                None => bail!("the text of {name} has no end"),
            }
        }
        files.push((format!("{}.proto", name.trim()), text));
    }
    Ok(files)
}
