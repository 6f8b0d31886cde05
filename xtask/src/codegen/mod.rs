//! `cargo xtask codegen`: writes the generated half of `volt-api`, or checks that it is up to date.

pub(crate) mod former;
mod modules;
mod since;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::bail;
use prost_types::FileDescriptorSet;
use volt_codegen::{BULK, Options, Output, Server, Sources, diff::Report};

use self::{
    former::FormerNames,
    modules::{COMMAND, Older, packages_file},
    since::Since,
};
use crate::{
    secrets::Secrets,
    tree::{self, Change, read},
    versions,
};

/// The package whose modules are at the root of the generated code.
const ROOT: &str = "tdx.volt_api";
/// The generated code, relative to the root of the repository.
const GENERATED: &str = "volt-api/src/generated";
/// The file that records the version it was generated from.
const VERSION: &str = "volt-api/src/version.rs";
/// The file that re-exports the packages and declares the older versions.
const PACKAGES: &str = "volt-api/src/packages.rs";
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
/// The markers around the features of the older versions.
const VERSION_MARKERS: [&str; 2] = [
    "# One feature for each older version of the API, as a module beside this one, written by `cargo xtask codegen`.\n",
    "# End of the versions.\n",
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
    let set = sources.compile()?;
    let since = Since::new(root, &version, &set)?;
    let former = FormerNames::read(root, &version)?;
    Ok(generate(&set, &Secrets::read(root, &version)?, &since, &former)?.features)
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
        let set = sources.compile()?;
        let since = Since::new(root, version, &set)?;
        let former = FormerNames::read(root, version)?;
        let output = generate(&set, secrets, &since, &former)?;
        let older = Older::list(root)?;
        let mut wanted: BTreeMap<PathBuf, String> = BTreeMap::new();
        wanted.insert(versions::CURRENT.into(), format!("{version}\n"));
        wanted.insert(VERSION.into(), version_file(version, &since.methods(&set)));
        wanted.insert(PACKAGES.into(), packages_file(&output.modules, &older));
        let manifest = with_features(&read(&root.join(MANIFEST))?, &output.features)?;
        wanted.insert(MANIFEST.into(), with_versions(&manifest, &older)?);
        let mut outputs = vec![(version.to_owned(), PathBuf::from(GENERATED), output)];
        for older in &older {
            let output = generate_older(root, older)?;
            let folder = PathBuf::from(older.folder());
            let file = older.module_file(&output.modules, &older.about(root)?);
            wanted.insert(folder.join("mod.rs"), file);
            outputs.push((older.version.clone(), folder.join("generated"), output));
        }
        let mut sums = Vec::new();
        for (version, directory, output) in outputs {
            let lines: usize = output.files.iter().map(|file| file.contents.lines().count()).sum();
            sums.push(format!("API {version}: {} files, {lines} lines", output.files.len()));
            for file in output.files {
                wanted.insert(directory.join(&file.path), without_labels(&file.contents));
            }
        }
        let folders: Vec<String> = older.iter().map(Older::folder).collect();
        let folders: Vec<&Path> =
            folders.iter().map(Path::new).chain([GENERATED.as_ref()]).collect();
        let changes = tree::changes(root, wanted, &folders)?;
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

/// Keeps the labels of features off the methods of messages. rustdoc would repeat the services that use a
/// message at each of them; the label of the service is enough.
fn without_labels(file: &str) -> String {
    ["messages", "tables"].iter().fold(file.to_owned(), |file, name| {
        let module = format!("\nmod {name};\n");
        file.replace(&module, &format!("\n#[cfg_attr(docsrs, doc(auto_cfg = false))]{module}"))
    })
}

fn version_file(version: &str, since: &BTreeMap<String, &str>) -> String {
    let since = since.iter().map(|(path, version)| format!("    ({path:?}, {version:?}),\n"));
    format!(
        "// @generated by `{COMMAND}`. Do not edit.\n\n\
         /// The version of the Volt API that this was generated from.\n\
         pub const API_VERSION: &str = \"{version}\";\n\n\
         /// The methods that older versions lack, and the version that added each.\n\
         pub(crate) const SINCE: volt_runtime::__private::Since = &[\n{}];\n",
        since.collect::<String>()
    )
}

/// The options for both versions of the API.
fn options(set: &FileDescriptorSet, secrets: &Secrets) -> Options {
    let options = Options::default().command(COMMAND).server(Server::Feature("server".to_owned()));
    let options = secrets.hidden(set).into_iter().fold(options, Options::secret);
    BULK.iter().fold(options, |options, path| options.bulk(*path))
}

/// The code of the SDK's own API.
fn generate(
    set: &FileDescriptorSet,
    secrets: &Secrets,
    since: &Since,
    former: &FormerNames,
) -> anyhow::Result<Output> {
    let options = former.declare(as_sdk(options(set, secrets)));
    let options =
        since.documented().fold(options, |options, (name, version)| options.since(name, version));
    Ok(volt_codegen::generate(set, &options)?)
}

/// The report of the changes between two versions for users of the SDK, where the new one keeps these former names.
pub(crate) fn diff(
    old: &FileDescriptorSet,
    new: &FileDescriptorSet,
    former: &FormerNames,
) -> anyhow::Result<Report> {
    let options = former.declare(as_sdk(Options::default()));
    Ok(volt_codegen::diff::diff(old, new, &options)?)
}

fn as_sdk(options: Options) -> Options {
    options.features(true).accessors("crate::Client").examples("volt_api").root(ROOT)
}

/// The code of an older API, which has a single feature and its own client.
fn generate_older(root: &Path, older: &Older) -> anyhow::Result<Output> {
    let set = versions::sources(root, &older.version)?.compile()?;
    let secrets = Secrets::read(root, &older.version)?;
    let options = options(&set, &secrets).client(true).root(ROOT);
    Ok(volt_codegen::generate(&set, &options)?)
}

/// Returns the manifest with this list of features between the markers.
fn with_features(manifest: &str, features: &[String]) -> anyhow::Result<String> {
    let all: Vec<_> = features.iter().map(|feature| format!("    \"{feature}\",")).collect();
    let each: Vec<_> = features.iter().map(|feature| format!("{feature} = []")).collect();
    let (all, each) = (all.join("\n"), each.join("\n"));
    between(manifest, MARKERS, &format!("services = [\n{all}\n]\n{each}\n"))
}

/// Returns the manifest with the features of the older versions between their markers.
fn with_versions(manifest: &str, older: &[Older]) -> anyhow::Result<String> {
    let features: Vec<_> = older.iter().map(|older| format!("{} = []\n", older.module)).collect();
    between(manifest, VERSION_MARKERS, &features.concat())
}

/// Replaces the text between two markers.
fn between(manifest: &str, [start, end]: [&str; 2], text: &str) -> anyhow::Result<String> {
    let parts = manifest
        .split_once(start)
        .and_then(|(before, rest)| Some((before, rest.split_once(end)?.1)));
    let Some((before, after)) = parts else {
        bail!("{MANIFEST} has lost its markers; [features] needs these two lines:\n{start}{end}");
    };
    Ok(format!("{before}{start}{text}{end}{after}"))
}

#[cfg(test)]
mod tests;
