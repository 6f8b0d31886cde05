//! Runs the suite's program, which may need a newer C library than the system has.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, ensure};
use xtask_tools::process::{output, run};

/// The Debian release whose libraries are new enough.
const RELEASE: &str = "trixie";
/// The packages of the libraries that the program needs.
const PACKAGES: [&str; 3] = ["libc6", "libstdc++6", "libgcc-s1"];
/// The keyring of Debian's package archive.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// The command that runs the program.
///
/// If the program does not start with the system's libraries, newer ones are downloaded into
/// `libraries` and used for this program alone.
pub(super) fn command(program: &Path, libraries: &Path) -> anyhow::Result<Command> {
    ensure!(
        cfg!(all(target_os = "linux", target_arch = "x86_64")),
        "the conformance suite needs Linux on x86-64"
    );
    if starts(program) {
        return Ok(Command::new(program));
    }
    let root = libraries.join("root");
    if !root.exists() {
        println!("The suite needs a newer C library; downloading that of Debian {RELEASE}.");
        fetch(libraries, &root).context("the suite's program needs a newer C library")?;
    }
    let mut command = Command::new(root.join("usr/lib64/ld-linux-x86-64.so.2"));
    command.arg("--library-path").arg(root.join("usr/lib/x86_64-linux-gnu")).arg(program);
    Ok(command)
}

/// Returns whether the program starts. Without arguments it prints its usage.
fn starts(program: &Path) -> bool {
    let output = Command::new(program).stdin(Stdio::null()).output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stderr).contains("Usage"))
}

/// Downloads the packages from the mirror that this system uses, and unpacks them.
fn fetch(directory: &Path, root: &Path) -> anyhow::Result<()> {
    let lists = directory.join("lists");
    fs::create_dir_all(lists.join("partial"))
        .with_context(|| format!("{} cannot be created", lists.display()))?;
    let sources = directory.join("sources.list");
    fs::write(&sources, format!("deb [signed-by={KEYRING}] {} {RELEASE} main\n", mirror()?))?;

    let option = |name: &str, path: &Path| format!("{name}={}", path.display());
    let options = [
        option("Dir::State::lists", &lists),
        option("Dir::Cache", &directory.join("cache")),
        option("Dir::Etc::sourcelist", &sources),
        option("Dir::Etc::sourceparts", Path::new("-")),
        // All files belong to the caller; apt must not switch to its own user.
        "APT::Sandbox::User=".to_owned(),
    ];
    let apt = |task: &[&str]| {
        let mut command = Command::new("apt-get");
        command.arg("--quiet=2").current_dir(directory);
        for option in &options {
            command.args(["--option", option]);
        }
        run(command.args(task))
    };
    apt(&["update"])?;
    apt(&[&["download"], &PACKAGES[..]].concat())?;

    // Unpack into another folder and rename it, so that `root` is always complete.
    let unpacked = directory.join("unpacked");
    for entry in fs::read_dir(directory)? {
        let path: PathBuf = entry?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            run(Command::new("dpkg-deb").arg("--extract").arg(&path).arg(&unpacked))?;
        }
    }
    fs::rename(&unpacked, root).with_context(|| root.display().to_string())
}

/// The address of the mirror that this system's Debian packages come from.
fn mirror() -> anyhow::Result<String> {
    let release = fs::read_to_string("/etc/os-release").context("the system is not Debian")?;
    let codename = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    let codename = codename.context("/etc/os-release has no VERSION_CODENAME")?;
    let mut apt = Command::new("apt-get");
    apt.args(["indextargets", "--no-release-info"]);
    apt.args(["--format", "$(RELEASE) $(REPO_URI)", "Created-By: Packages"]);
    let targets = String::from_utf8(output(&mut apt)?).context("the output of apt is not UTF-8")?;
    let of_release = |line: &str| line.strip_prefix(codename)?.strip_prefix(' ').map(str::to_owned);
    targets.lines().find_map(of_release).context("apt has no package source for this release")
}
