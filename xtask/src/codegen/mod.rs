//! `cargo xtask codegen`: writes the generated half of `volt-api`, or checks that it is up to date.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::bail;
use prost_types::FileDescriptorSet;
use volt_codegen::{Options, Output, Server, Sources};

use crate::{
    secrets::Secrets,
    tree::{self, Change, read},
    versions,
};

/// The package whose modules are at the root of the generated code.
const ROOT: &str = "tdx.volt_api";
/// The command to run after a failed check, which the generated files name.
const COMMAND: &str = "cargo xtask codegen";
/// The generated code, relative to the root of the repository.
const GENERATED: &str = "volt-api/src/generated";
/// The file that records the version it was generated from.
const VERSION: &str = "volt-api/src/version.rs";
const OLDER_VERSION_FILE: &str = "volt-api/src/v0_15/version.rs";
/// The older API in the SDK, and its folder.
const OLDER_VERSION: &str = "0.15.1";
const OLDER: &str = "volt-api/src/v0_15/generated";
/// The manifest with the list of features.
const MANIFEST: &str = "volt-api/Cargo.toml";
/// The number of lines shown for each stale file, and the number of files.
const SHOWN_LINES: usize = 12;
const SHOWN_FILES: usize = 5;
/// The markers before and after that list.
const MARKERS: [&str; 2] = [
    "# One feature for each service, written by `cargo xtask codegen`.\n",
    "# End of the services.\n",
];

/// Writes the SDK's generated code from the .proto files of an API version.
///
/// This includes the code, the list of Cargo features, and the recorded version. A failure changes
/// nothing.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The API version, a folder below proto/. It is written to proto/VERSION, which is the
    /// default.
    pub(crate) version: Option<String>,
    /// Change nothing, and fail if something would change.
    #[arg(long)]
    pub(crate) check: bool,
}

/// The features of the SDK's services.
pub(crate) fn services() -> anyhow::Result<Vec<String>> {
    let root = xtask_tools::root()?;
    let version = versions::current(root)?;
    let sources = versions::sources(root, &version)?;
    Ok(generate(&sources, &Secrets::read(root, &version)?)?.features)
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    run_in(xtask_tools::root()?, args)
}

pub(crate) fn run_in(root: &Path, args: &Args) -> anyhow::Result<()> {
    let start = Instant::now();
    tree::recover(root)?;
    let version = match &args.version {
        Some(version) => version.clone(),
        None => versions::current(root)?,
    };
    let sources = versions::sources(root, &version)?;
    let plan = Plan::new(root, &version, &sources, &Secrets::read(root, &version)?)?;
    if args.check && !plan.changes.is_empty() {
        bail!("generated code is stale:\n{}Run `{COMMAND}`.", plan.excerpts());
    }
    let shown = plan.shown();
    versions::apply(root, plan.changes)?;
    print!("{shown}");
    println!("{} ms", start.elapsed().as_millis());
    Ok(())
}

/// The changes from generating the SDK from a version.
pub(crate) struct Plan {
    pub(crate) changes: Vec<Change>,
    /// The final number of elements for each version.
    sums: Vec<String>,
}

impl Plan {
    pub(crate) fn new(
        root: &Path,
        version: &str,
        sources: &Sources,
        secrets: &Secrets,
    ) -> anyhow::Result<Self> {
        let output = generate(sources, secrets)?;
        let older = generate_older(root)?;
        let mut wanted: BTreeMap<PathBuf, String> = BTreeMap::new();
        wanted.insert(versions::CURRENT.into(), format!("{version}\n"));
        wanted.insert(VERSION.into(), version_file(version));
        wanted.insert(OLDER_VERSION_FILE.into(), version_file(OLDER_VERSION));
        let manifest = read(&root.join(MANIFEST))?;
        wanted.insert(MANIFEST.into(), with_features(&manifest, &output.features)?);
        let mut sums = Vec::new();
        for (version, directory, output) in
            [(version, GENERATED, output), (OLDER_VERSION, OLDER, older)]
        {
            let lines: usize = output.files.iter().map(|file| file.contents.lines().count()).sum();
            sums.push(format!("API {version}: {} files, {lines} lines", output.files.len()));
            for file in output.files {
                wanted.insert(Path::new(directory).join(&file.path), file.contents);
            }
        }
        let changes = tree::changes(root, wanted, &[GENERATED.as_ref(), OLDER.as_ref()])?;
        Ok(Self { changes, sums })
    }

    /// Returns the changes as text.
    pub(crate) fn shown(&self) -> String {
        let changes = self.changes.iter().map(tree::shown);
        let fresh = self.changes.is_empty().then(|| "all fresh".to_owned());
        let lines = changes.chain(self.sums.iter().cloned()).chain(fresh);
        lines.map(|line| line + "\n").collect()
    }

    /// Returns the pending changes as text, with the first lines of the first differences.
    fn excerpts(&self) -> String {
        let mut shown = String::new();
        let mut excerpts = 0;
        for change in &self.changes {
            let excerpt = tree::excerpt(change, SHOWN_LINES);
            // Writing to a `String` cannot fail.
            let _ = writeln!(shown, "{}", tree::shown(change));
            if excerpts < SHOWN_FILES && !excerpt.is_empty() {
                excerpts += 1;
                shown.push_str(&excerpt);
            }
        }
        shown
    }
}

fn version_file(version: &str) -> String {
    format!(
        "// @generated by `{COMMAND}`. Do not edit.\n\n\
         /// The version of the Volt API that this was generated from.\n\
         pub const API_VERSION: &str = \"{version}\";\n"
    )
}

/// Methods whose messages may fill a connection for as long as the file is large.
const BULK: [&str; 2] =
    ["/tdx.volt_api.volt.v1.FileAPI/DownloadFile", "/tdx.volt_api.volt.v1.FileAPI/UploadFile"];

/// The options for both versions of the API.
fn options(set: &FileDescriptorSet, secrets: &Secrets) -> Options {
    let options = Options::default().command(COMMAND).server(Server::Feature("server".to_owned()));
    let options = secrets.hidden(set).into_iter().fold(options, Options::secret);
    BULK.into_iter().fold(options, Options::bulk)
}

/// The code of the SDK's own API.
fn generate(sources: &Sources, secrets: &Secrets) -> anyhow::Result<Output> {
    let set = sources.compile()?;
    let options = options(&set, secrets).features(true).accessors("crate::Client").root(ROOT);
    Ok(volt_codegen::generate(&set, &options)?)
}

/// The code of the older API, which has a single feature.
fn generate_older(root: &Path) -> anyhow::Result<Output> {
    let set = versions::sources(root, OLDER_VERSION)?.compile()?;
    let secrets = Secrets::read(root, OLDER_VERSION)?;
    let options = options(&set, &secrets).accessors("crate::v0_15::Client").root(ROOT);
    Ok(volt_codegen::generate(&set, &options)?)
}

/// Returns the manifest with this list of features between the markers.
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

#[cfg(test)]
mod tests;
