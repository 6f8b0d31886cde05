//! `cargo xtask public-api`: snapshots of the public API of each published crate.
//!
//! The snapshots are in `tests/public-api`, one line for each item. They are made from rustdoc's JSON,
//! which only a nightly rustdoc writes: this program puts itself between cargo and rustdoc and sets
//! `RUSTC_BOOTSTRAP` for rustdoc alone. If it were set for cargo, every dependency whose build script
//! reads the variable would be rebuilt.

use std::{
    collections::HashSet,
    env,
    fmt::Write as _,
    fs,
    path::Path,
    process::{Command, ExitCode},
};

use anyhow::{Context as _, bail};
use public_api::{Builder, PublicItem};
use similar::{ChangeTag, TextDiff};
use xtask_tools::{
    cargo::{cargo, target_dir},
    process, root,
};

/// The published crates.
pub(crate) const CRATES: [&str; 5] =
    ["volt-api", "volt-codegen", "volt-embedded", "volt-macros", "volt-runtime"];
/// The folder of the snapshots, from the root of the workspace.
pub(crate) const SNAPSHOTS: &str = "tests/public-api";
/// The command that writes them.
const COMMAND: &str = "cargo xtask public-api";
/// Set while this program runs as rustdoc.
const AS_RUSTDOC: &str = "XTASK_AS_RUSTDOC";
/// The number of changed lines that are shown for each crate.
const SHOWN_LINES: usize = 60;

/// Writes the snapshots of the public API of each published crate.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Change nothing, and fail if a snapshot is out of date.
    #[arg(long)]
    pub(crate) check: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let root = root()?;
    document(root)?;
    let mut stale = String::new();
    for name in CRATES {
        let api = render(root, name)?;
        let path = root.join(SNAPSHOTS).join(name).with_extension("txt");
        let before = fs::read_to_string(&path).unwrap_or_default();
        if before == api {
            continue;
        }
        let changes = changes(&before, &api);
        println!("{name}: {} lines, {} changed", api.lines().count(), changes.len());
        if args.check {
            // Writing to a `String` cannot fail.
            let _ = writeln!(stale, "\n{}:\n{}", path.display(), excerpt(&changes));
        } else {
            fs::create_dir_all(root.join(SNAPSHOTS))?;
            fs::write(&path, api).with_context(|| path.display().to_string())?;
        }
    }
    if !stale.is_empty() {
        bail!("the public API has changed:\n{stale}\nIf that is intended, run `{COMMAND}`.");
    }
    Ok(())
}

/// Lets rustdoc write the JSON of the workspace's libraries.
///
/// Document the whole workspace, so that dependencies have the same features and builds as in
/// `cargo doc`.
fn document(root: &Path) -> anyhow::Result<()> {
    let mut doc = cargo();
    doc.args(["doc", "--locked", "--quiet", "--workspace", "--lib", "--no-deps", "--all-features"]);
    doc.env("RUSTDOC", env::current_exe()?).env(AS_RUSTDOC, "1");
    doc.env("RUSTDOCFLAGS", "-Z unstable-options --output-format json --cap-lints allow");
    process::run(doc.current_dir(root))
}

/// Runs rustdoc, if this program was started as rustdoc.
pub(crate) fn as_rustdoc() -> Option<ExitCode> {
    env::var_os(AS_RUSTDOC)?;
    let mut rustdoc = Command::new("rustdoc");
    rustdoc.args(env::args_os().skip(1)).env("RUSTC_BOOTSTRAP", "1").env_remove(AS_RUSTDOC);
    let code = match rustdoc.status() {
        Ok(status) => status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1),
        Err(error) => {
            eprintln!("error: rustdoc cannot be run: {error}");
            1
        }
    };
    Some(code.into())
}

/// The public items of a crate, one per line, sorted by path.
///
/// Left out are:
///
/// - the methods of trait implementations, which the line of the implementation implies;
/// - the lines of inherent implementations;
/// - the code that the generator writes for every message or enum, which `impl Message for` or `impl Enumeration
///   for` implies: its other traits, and a `with_` method for each field;
/// - the paths of the standard library's items, and a second, longer path to the same item.
fn render(root: &Path, name: &str) -> anyhow::Result<String> {
    let krate = name.replace('-', "_");
    let json = target_dir(root)?.join("doc").join(&krate).with_extension("json");
    let api = Builder::from_rustdoc_json(&json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build()
        .with_context(|| json.display().to_string())?;
    let items: Vec<_> = api.items().map(|item| (item, item.to_string())).collect();
    let (impls, others): (Vec<_>, Vec<_>) =
        items.iter().partition(|(_, line)| line.starts_with("impl"));
    let of_traits: Vec<_> = impls.into_iter().filter(|(_, line)| line.contains(" for ")).collect();
    let traits: HashSet<_> = of_traits.iter().map(|(item, _)| item.id()).collect();
    let is_implied = |item: &PublicItem, line: &str| {
        line.contains(" fn ") && item.parent_id().is_some_and(|parent| traits.contains(&parent))
    };
    let others = others.into_iter().filter(|(item, line)| !is_implied(item, line));
    // The name of the crate itself is also omitted.
    let own = format!("{krate}::");
    let lines = others.chain(of_traits).map(|(_, line)| without_std_paths(&line.replace(&own, "")));
    let mut lines = without_generated(&lines.collect::<Vec<_>>());
    lines.sort_unstable();
    lines.dedup();
    Ok(lines.join("\n") + "\n")
}

/// Shortens `core::option::Option` to `Option`, and so for all paths of the standard library.
fn without_std_paths(line: &str) -> String {
    let mut short = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) =
        ["core::", "alloc::", "std::"].iter().filter_map(|krate| rest.find(krate)).min()
    {
        let (before, path) = rest.split_at(at);
        short.push_str(before);
        let is_start = !before.ends_with(|c: char| c == ':' || c == '_' || c.is_alphanumeric());
        let end =
            path.find(|c: char| c != ':' && c != '_' && !c.is_alphanumeric()).unwrap_or(path.len());
        let (path, after) = path.split_at(end);
        short.push_str(if is_start { path.rsplit("::").next().unwrap_or(path) } else { path });
        rest = after;
    }
    short + rest
}

/// Removes the generated items of every message and enum, and the items of the module `api` that
/// a shorter path names too.
fn without_generated(lines: &[String]) -> Vec<String> {
    let generated: HashSet<String> = lines
        .iter()
        .filter(|line| line.contains("::Message for ") || line.contains("::Enumeration for "))
        .filter_map(|line| line.rsplit_once(" for ").map(|(_, name)| name.to_owned()))
        .collect();
    let is_implied = |line: &String| match line.rsplit_once(" for ") {
        Some((of_trait, name)) if line.starts_with("impl") => {
            generated.contains(name)
                && !of_trait.contains("volt_runtime::message::Message")
                && !of_trait.ends_with("Enumeration")
        }
        _ => line.split_once("::with_").is_some_and(|(owner, _)| {
            owner.rsplit(' ').next().is_some_and(|owner| generated.contains(owner))
        }),
    };
    let aliases: HashSet<String> = lines.iter().cloned().collect();
    // `api::volt::v1::Resource` is also `volt::Resource`.
    let has_alias = |line: &String| {
        let (_, path) = line.split_once("api::")?;
        let mut names = path.split("::");
        let (package, version) = (names.next()?, names.next()?);
        let long = format!("api::{package}::{version}::");
        Some(aliases.contains(&line.replace(&long, &format!("{package}::"))))
    };
    lines
        .iter()
        .filter(|line| !is_implied(line) && has_alias(line) != Some(true))
        .cloned()
        .collect()
}

/// The lines that were removed and added.
fn changes(before: &str, after: &str) -> Vec<String> {
    let diff = TextDiff::from_lines(before, after);
    diff.iter_all_changes()
        .filter_map(|change| match change.tag() {
            ChangeTag::Equal => None,
            ChangeTag::Delete => Some(format!("- {}", change.value().trim_end())),
            ChangeTag::Insert => Some(format!("+ {}", change.value().trim_end())),
        })
        .collect()
}

/// The first changes, and the number of the others.
pub(crate) fn excerpt(changes: &[String]) -> String {
    let mut shown = changes[..changes.len().min(SHOWN_LINES)].join("\n");
    if changes.len() > SHOWN_LINES {
        let _ = write!(shown, "\n… and {} more lines", changes.len() - SHOWN_LINES);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_the_removed_and_added_lines() {
        let changes = changes("pub fn a()\npub fn b()\n", "pub fn a()\npub fn c()\n");
        assert_eq!(changes, ["- pub fn b()", "+ pub fn c()"]);
        assert_eq!(excerpt(&changes), "- pub fn b()\n+ pub fn c()");
    }

    #[test]
    fn paths_of_std_are_shortened() {
        let line =
            "pub fn a::B::c(self, impl core::convert::Into<alloc::string::String>) -> a::core::D";
        let short = "pub fn a::B::c(self, impl Into<String>) -> a::core::D";
        assert_eq!(without_std_paths(line), short);
    }

    #[test]
    fn long_excerpts_are_cut() {
        let changes = vec!["+ pub fn a()".to_owned(); SHOWN_LINES + 2];
        let shown = excerpt(&changes);
        assert!(shown.ends_with("\n… and 2 more lines"), "{shown}");
        assert_eq!(shown.lines().count(), SHOWN_LINES + 1);
    }
}
