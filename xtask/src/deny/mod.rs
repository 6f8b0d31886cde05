//! `cargo xtask deny`: the licences, duplicates, origins and known vulnerabilities of the
//! dependencies.

mod advisories;

use std::{fs, process::Command};

use anyhow::{Context as _, ensure};
use xtask_tools::{cargo, process};

const VERSION: &str = "0.20.2";

/// The workspaces, by their lock files. Each is a separate workspace, as the comments in the root
/// manifest explain; the Rust packages below bench/clients belong to the last.
const WORKSPACES: [Workspace; 5] = [
    Workspace { folder: "", checks: &["bans", "licenses", "sources"] },
    Workspace { folder: "fuzz/", checks: &["bans", "licenses", "sources"] },
    // Other projects' crates choose the second versions of libraries there.
    Workspace { folder: "bench/load/", checks: &["licenses", "sources"] },
    Workspace { folder: "tests/opentelemetry/", checks: &["licenses", "sources"] },
    // The published client requires old versions, which we do not choose.
    Workspace { folder: "tests/interop/clients/rust/", checks: &[] },
];

/// The limits of the check of vulnerabilities.
const UNSEEN: &str = "not seen: advisories that are not in xtask/src/deny/advisories.txt, \
    such as newer ones and those of crates that no workspace used when the list was made; \
    unmaintained and yanked crates; C code, beyond the version of the crate that contains it; \
    and the JavaScript, Python and Java of the published clients. With a network, \
    `cargo deny check advisories` checks the complete list.";

struct Workspace {
    folder: &'static str,
    /// The checks of cargo-deny. Without checks, the workspace is not ours: a vulnerable version is
    /// only printed.
    checks: &'static [&'static str],
}

/// Checks the versions in all lock files against the list of advisories and the permitted origins,
/// and the dependencies of our workspaces against `deny.toml`.
pub(crate) fn run() -> anyhow::Result<()> {
    let root = xtask_tools::root()?;
    let list = advisories::read(include_str!("advisories.txt"))?;
    let mut vulnerable = 0;
    for workspace in &WORKSPACES {
        let path = root.join(workspace.folder).join("Cargo.lock");
        let lock = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let packages = advisories::packages(&lock);
        ensure!(!packages.is_empty(), "{}: no packages found", path.display());
        let mut found = 0;
        for package in &packages {
            ensure!(
                package.is_from_registry(),
                "{}Cargo.lock: `{}` is neither ours nor from crates.io",
                workspace.folder,
                package.name
            );
            for advisory in list.iter().filter(|advisory| advisory.is_about(package)) {
                println!("{}Cargo.lock: {} {advisory}", workspace.folder, package.version);
                found += 1;
            }
        }
        println!(
            "{}Cargo.lock: {} packages, {found} vulnerable, of {} advisories",
            workspace.folder,
            packages.len(),
            list.len()
        );
        vulnerable += if workspace.checks.is_empty() { 0 } else { found };
    }
    println!("{UNSEEN}");
    ensure!(vulnerable == 0, "{vulnerable} vulnerable versions: update them");

    let program = cargo::tool("cargo-deny", VERSION)?;
    for workspace in WORKSPACES.iter().filter(|workspace| !workspace.checks.is_empty()) {
        let manifest = root.join(workspace.folder).join("Cargo.toml");
        let mut deny = Command::new(&program);
        deny.arg("--manifest-path").arg(manifest);
        deny.arg("--config").arg(root.join("deny.toml")).args(["--all-features", "--locked"]);
        deny.args(["check", "--hide-inclusion-graph"]).args(workspace.checks);
        process::run(&mut deny)?;
    }
    Ok(())
}
