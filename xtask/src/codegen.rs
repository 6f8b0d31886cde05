//! `cargo xtask codegen`: writes the generated half of `volt-api`, or checks that it is fresh.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context as _, bail};
use volt_codegen::{Options, Output, Server, Sources};

use crate::tools;

/// What to run when the check fails, and what the generated files name.
const COMMAND: &str = "cargo xtask codegen";
/// The generated code, from the root of the repository.
const GENERATED: &str = "volt-api/src/generated";
/// The older API that the SDK also has, and where.
const OLDER_VERSION: &str = "0.15.1";
const OLDER: &str = "volt-api/src/v0_15/generated";
/// The manifest with the list of features.
const MANIFEST: &str = "volt-api/Cargo.toml";
/// What stands before and behind that list.
const MARKERS: [&str; 2] = [
    "# One feature for each service, written by `cargo xtask codegen`.\n",
    "# End of the services.\n",
];

/// Writes the SDK's generated code from the .proto files of an API version.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Changes nothing, and fails if something would change.
    #[arg(long)]
    check: bool,
    /// The API version, a directory below proto/. The default is in proto/VERSION.
    #[arg(long)]
    api_version: Option<String>,
}

/// The features of the SDK's services.
pub(crate) fn services() -> anyhow::Result<Vec<String>> {
    let root = tools::root()?;
    let proto = root.join("proto");
    Ok(generate(&proto.join(default_version(&proto)?))?.features)
}

/// The version that the SDK is generated from; `proto` is the folder of all versions.
pub(crate) fn default_version(proto: &Path) -> anyhow::Result<String> {
    Ok(read(&proto.join("VERSION"))?.trim().to_owned())
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let start = Instant::now();
    let root = tools::root()?;
    let version = match &args.api_version {
        Some(version) => version.clone(),
        None => default_version(&root.join("proto"))?,
    };
    let output = generate(&root.join("proto").join(&version))?;
    let older = generate_older(&root.join("proto").join(OLDER_VERSION))?;

    let mut wanted: BTreeMap<PathBuf, String> = BTreeMap::new();
    for (directory, output) in [(GENERATED, &output), (OLDER, &older)] {
        for file in &output.files {
            wanted.insert(Path::new(directory).join(&file.path), file.contents.clone());
        }
    }
    let manifest = read(&root.join(MANIFEST))?;
    wanted.insert(MANIFEST.into(), with_features(&manifest, &output.features)?);

    let changes = changes(root, &wanted)?;
    if args.check && !changes.is_empty() {
        let list: Vec<_> = changes.iter().map(ToString::to_string).collect();
        bail!("generated code is stale:\n{}\nRun `{COMMAND}`.", list.join("\n"));
    }
    for change in &changes {
        println!("{change}");
        change.apply(root, &wanted)?;
    }
    for (version, output) in [(&*version, &output), (OLDER_VERSION, &older)] {
        let lines: usize = output.files.iter().map(|file| file.contents.lines().count()).sum();
        println!("API {version}: {} files, {lines} lines", output.files.len());
    }
    println!(
        "{} ms; {}",
        start.elapsed().as_millis(),
        if changes.is_empty() {
            "all fresh".to_owned()
        } else {
            format!("{} changed", changes.len())
        },
    );
    Ok(())
}

/// The SDK's own API.
fn generate(proto: &Path) -> anyhow::Result<Output> {
    let options = Options::default()
        .command(COMMAND)
        .features(true)
        .server(Server::Feature("server".to_owned()))
        .accessors("crate::Client");
    Ok(volt_codegen::generate(&sources(proto)?.compile()?, &options)?)
}

/// The older API, which has one feature for all of it.
fn generate_older(proto: &Path) -> anyhow::Result<Output> {
    let options = Options::default()
        .command(COMMAND)
        .server(Server::Feature("server".to_owned()))
        .accessors("crate::v0_15::Client");
    Ok(volt_codegen::generate(&sources(proto)?.compile()?, &options)?)
}

/// The `.proto` files of a version.
pub(crate) fn sources(proto: &Path) -> anyhow::Result<Sources> {
    let mut sources = Sources::default();
    for path in files_below(proto)? {
        if path.extension().is_some_and(|extension| extension == "proto") {
            let name = path.strip_prefix(proto)?.to_string_lossy().replace('\\', "/");
            sources.files.insert(name, read(&path)?);
        }
    }
    if sources.files.is_empty() {
        bail!("there are no .proto files in {}", proto.display());
    }
    Ok(sources)
}

/// A difference between what is there and what should be.
enum Change {
    Missing(PathBuf),
    Stale(PathBuf),
    Extra(PathBuf),
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (what, path) = match self {
            Self::Missing(path) => ("missing", path),
            Self::Stale(path) => ("stale", path),
            Self::Extra(path) => ("extra", path),
        };
        write!(f, "  {what:8}{}", path.display())
    }
}

impl Change {
    fn apply(&self, root: &Path, wanted: &BTreeMap<PathBuf, String>) -> anyhow::Result<()> {
        match self {
            Self::Missing(path) | Self::Stale(path) => {
                let contents = wanted.get(path).map(String::as_str).unwrap_or_default();
                let path = root.join(path);
                if let Some(directory) = path.parent() {
                    fs::create_dir_all(directory)?;
                }
                fs::write(&path, contents).with_context(|| path.display().to_string())
            }
            Self::Extra(path) => {
                let path = root.join(path);
                fs::remove_file(&path).with_context(|| path.display().to_string())?;
                // Directories go with their last file.
                for directory in path.ancestors().skip(1) {
                    if fs::remove_dir(directory).is_err() {
                        break;
                    }
                }
                Ok(())
            }
        }
    }
}

fn changes(root: &Path, wanted: &BTreeMap<PathBuf, String>) -> anyhow::Result<Vec<Change>> {
    let mut changes = Vec::new();
    for (path, contents) in wanted {
        match fs::read_to_string(root.join(path)) {
            Ok(found) if found == *contents => {}
            Ok(_) => changes.push(Change::Stale(path.clone())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                changes.push(Change::Missing(path.clone()));
            }
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        }
    }
    for directory in [GENERATED, OLDER].map(|directory| root.join(directory)) {
        if !directory.exists() {
            continue;
        }
        for path in files_below(&directory)? {
            let path = path.strip_prefix(root)?.to_owned();
            if !wanted.contains_key(&path) {
                changes.push(Change::Extra(path));
            }
        }
    }
    Ok(changes)
}

/// The manifest with this list of features between the markers.
fn with_features(manifest: &str, features: &[String]) -> anyhow::Result<String> {
    let [start, end] = MARKERS;
    let parts = manifest
        .split_once(start)
        .and_then(|(before, rest)| Some((before, rest.split_once(end)?.1)));
    let Some((before, after)) = parts else {
        bail!("{MANIFEST} has lost its markers; [features] needs these two lines:\n{start}{end}");
    };
    let all: Vec<_> = features.iter().map(|feature| format!("    \"{feature}\",")).collect();
    let each: Vec<_> = features.iter().map(|feature| format!("{feature} = []")).collect();
    let (all, each) = (all.join("\n"), each.join("\n"));
    Ok(format!("{before}{start}services = [\n{all}\n]\n{each}\n{end}{after}"))
}

/// All files below a directory, sorted.
pub(crate) fn files_below(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let entries = fs::read_dir(directory).with_context(|| directory.display().to_string())?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(files_below(&path)?);
        } else {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| path.display().to_string())
}
