//! `cargo xtask codegen`: writes the generated half of `volt-api`, or checks that it is up to date.

pub(crate) mod former;
mod manifest;
mod modules;
pub(crate) mod recorded;
pub(crate) mod sharing;
mod since;
mod taken;

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
    manifest::{MANIFEST, with_features, with_versions},
    modules::{COMMAND, Older, RESOURCE, has_type, packages_file},
    since::{Added, Since},
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
/// The number of lines shown for each stale file, and the number of files.
const SHOWN_LINES: usize = 12;
const SHOWN_FILES: usize = 5;

/// Writes the SDK's generated code from the .proto files of an API version.
///
/// This includes the code, the list of Cargo features, the secrets that records of calls hide, and the
/// recorded version. A failure changes nothing.
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
    let set = versions::sources(root, &versions::current(root)?)?.compile()?;
    let options = taken::declare(root, &set, as_sdk(Options::default()))?;
    Ok(volt_codegen::generate(&set, &options)?.features)
}

/// The features of the older versions.
pub(crate) fn older() -> anyhow::Result<Vec<String>> {
    let older = Older::list(xtask_tools::root()?)?;
    Ok(older.into_iter().map(|older| older.module).collect())
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
        let older = Older::list(root)?;
        let mut options = sdk_options(root, &set, secrets, &since, &former)?;
        let mut wanted: BTreeMap<PathBuf, String> = BTreeMap::new();
        let mut sums = Vec::new();
        let mut add = |version: &str, folder: &str, output: Output, note: &str| {
            let lines: usize = output.files.iter().map(|file| file.contents.lines().count()).sum();
            sums.push(format!("API {version}: {} files, {lines} lines{note}", output.files.len()));
            let files = output.files.into_iter();
            wanted.extend(
                files.map(|file| {
                    (Path::new(folder).join(file.path), without_labels(&file.contents))
                }),
            );
        };
        let mut files: BTreeMap<PathBuf, String> = BTreeMap::new();
        for older in &older {
            let (old_set, output, same) = generate_older(root, older, &set, &options)?;
            let folder = older.folder();
            let own_resource = has_type(&old_set, RESOURCE) && !same.contains_key(RESOURCE);
            let file = older.module_file(&output.modules, &older.about(root)?, own_resource);
            files.insert(Path::new(&folder).join("mod.rs"), file);
            let note = format!(", {} types are those of API {version}", same.len());
            add(&older.version, &format!("{folder}/generated"), output, &note);
            options = same
                .into_keys()
                .fold(options, |options, name| options.also_with(name, &older.module));
        }
        let output = volt_codegen::generate(&set, &options)?;
        files.insert(versions::CURRENT.into(), format!("{version}\n"));
        files.insert(VERSION.into(), version_file(version, &since.methods(&set)));
        files.insert(recorded::FILE.into(), recorded::file(root, version, &set, secrets)?);
        files.insert(PACKAGES.into(), packages_file(&output.modules, &older));
        let manifest = with_features(&read(&root.join(MANIFEST))?, &output.features)?;
        files.insert(MANIFEST.into(), with_versions(&manifest, &older)?);
        add(version, GENERATED, output, "");
        wanted.append(&mut files);
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
    let labelled = |line: &str| line.starts_with("mod messages") || line.starts_with("mod tables");
    let lines = file.lines().map(|line| {
        let attribute =
            if labelled(line) { "#[cfg_attr(docsrs, doc(auto_cfg = false))]\n" } else { "" };
        format!("{attribute}{line}\n")
    });
    lines.collect()
}

fn version_file(version: &str, since: &BTreeMap<String, &Added>) -> String {
    let since = since.iter();
    let since =
        since.map(|(path, Added { after, by })| format!("    ({path:?}, {after:?}, {by:?}),\n"));
    format!(
        "// @generated by `{COMMAND}`. Do not edit.\n\n\
         /// The version of the Volt API that this was generated from.\n\
         pub const API_VERSION: &str = \"{version}\";\n\n\
         /// The methods that older versions lack, the last known version without each, and the first known one with it.\n\
         pub(crate) const SINCE: volt_runtime::__private::Since = &[\n{}];\n",
        since.collect::<String>()
    )
}

/// The options for both versions of the API.
fn options(set: &FileDescriptorSet, secrets: &Secrets) -> Options {
    let options = Options::default().command(COMMAND).server(Server::Feature("server".to_owned()));
    let options = secrets.open(set).into_iter().fold(options, Options::open);
    let options = secrets.hidden(set).into_iter().fold(options, Options::secret);
    BULK.iter().fold(options, |options, path| options.bulk(*path))
}

/// The options for the SDK's own API.
fn sdk_options(
    root: &Path,
    set: &FileDescriptorSet,
    secrets: &Secrets,
    since: &Since,
    former: &FormerNames,
) -> anyhow::Result<Options> {
    let options = former.declare(as_sdk(options(set, secrets)));
    let options =
        since.documented().fold(options, |options, (name, version)| options.since(name, version));
    taken::declare(root, set, options)
}

/// The report of the changes between two versions for users of the SDK, where the new one keeps these former names.
pub(crate) fn diff(
    root: &Path,
    old: &FileDescriptorSet,
    new: &FileDescriptorSet,
    former: &FormerNames,
) -> anyhow::Result<Report> {
    let options = taken::declare(root, new, former.declare(as_sdk(Options::default())))?;
    Ok(volt_codegen::diff::diff(old, new, &options)?)
}

fn as_sdk(options: Options) -> Options {
    options.features(true).accessors("crate::Client").examples("volt_api").root(ROOT)
}

/// The code of an older API, which has a single feature and its own client. The types that are the same in the
/// SDK's own API are those; they are returned, too.
fn generate_older(
    root: &Path,
    older: &Older,
    current: &FileDescriptorSet,
    current_options: &Options,
) -> anyhow::Result<(FileDescriptorSet, Output, BTreeMap<String, String>)> {
    let set = versions::sources(root, &older.version)?.compile()?;
    let secrets = Secrets::read(root, &older.version)?;
    let options = options(&set, &secrets).client(true).root(ROOT);
    let same = volt_codegen::same_types([&set, current], [&options, current_options])?;
    let options = same.iter().fold(options, |options, (name, path)| {
        options.reexport(name, format!("crate::generated::{path}"))
    });
    let output = volt_codegen::generate(&set, &options)?;
    Ok((set, output, same))
}

#[cfg(test)]
pub(crate) mod tests;
