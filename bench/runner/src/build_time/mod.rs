//! `cargo xtask build-time`: the build times of the SDK and of a program that uses it.

use std::{
    collections::BTreeSet,
    fmt::{self, Write as _},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail};
use prost_types::FileDescriptorSet;
use volt_codegen::{
    Options, Sources, VOLT_API,
    inventory::{self, Entry},
};
use xtask_tools::{cargo::cargo, process, root};

mod tonic;

/// The number of builds. The smallest time counts, because other processes disturbed it least.
const RUNS: usize = 3;
/// The service that is measured alone.
const ONE: &str = "file";

/// Measures the build of the SDK with all services and with one, and prints a table.
///
/// Measures the crate `volt-api` and a program that makes every call of those services, without their
/// dependencies. CPU time is less disturbed by other processes than elapsed time. The lines of LLVM IR
/// measure the compiler's input; they are the same in every run.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Measure the profile `release` instead of `dev`.
    #[arg(long)]
    release: bool,
    /// Measure whole programs instead, with few and with many features, and one with tonic: all dependencies
    /// are rebuilt, and the program is linked.
    #[arg(long)]
    whole: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let root = root()?;
    let mut sources = Sources::default();
    sources.files.extend(VOLT_API.iter().map(|(name, text)| ((*name).into(), (*text).into())));
    let set = sources.compile()?;
    let methods = inventory::methods(&set, &Options::default().features(true))?;
    if args.whole {
        return whole_programs(root, &set, &methods, args.release);
    }
    println!("| services | methods | crate | CPU time | lines of LLVM IR |");
    println!("|---|---|---|---|---|");
    for (name, methods) in [
        ("all", methods.iter().collect::<Vec<_>>()),
        (ONE, methods.iter().filter(|method| method.feature == ONE).collect()),
    ] {
        let probe = Probe::new(root, &methods, &[], args.release)?;
        let methods = methods.len();
        for package in ["volt-api", "probe"] {
            let (seconds, lines) = probe.measure(package)?;
            let shown = if package == "probe" { "a program with every call" } else { "`volt-api`" };
            println!("| {name} | {methods} | {shown} | {seconds:.1} s | {lines} |");
        }
    }
    Ok(())
}

/// Prints the build costs of whole programs, from one service to all features, and of a program
/// with tonic.
fn whole_programs(
    root: &Path,
    set: &FileDescriptorSet,
    methods: &[Entry],
    release: bool,
) -> anyhow::Result<()> {
    let all: Vec<_> = methods.iter().collect();
    let one: Vec<_> = methods.iter().filter(|method| method.feature == ONE).collect();
    println!("| program | crates | CPU time | size |");
    println!("|---|---|---|---|");
    let sdk = |methods, features| Probe::new(root, methods, features, release);
    for (name, probe) in [
        ("one service", sdk(&one, &[])?),
        ("tonic with TLS, the same `.proto` files", tonic::probe(root, set, release)?),
        ("one service, `tls`", sdk(&one, &["tls"])?),
        ("all services, `tls`: the default", sdk(&all, &["tls"])?),
        ("the same and `grpc`", sdk(&all, &["tls", "grpc"])?),
    ] {
        let crates = probe.crates()?;
        let (seconds, bytes) = probe.whole()?;
        let size = Bytes(bytes);
        println!("| {name} | {crates} | {seconds:.0} s | {size} |");
    }
    Ok(())
}

/// A number of bytes, shown in MB with one digit after the point.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = (self.0 + 50_000) / 100_000;
        write!(f, "{}.{} MB", tenths / 10, tenths % 10)
    }
}

/// A crate outside the workspace that makes every call of some services.
struct Probe {
    folder: tempfile::TempDir,
    target: PathBuf,
    release: bool,
}

impl Probe {
    /// `more` are features in addition to those of the services.
    fn new(root: &Path, methods: &[&Entry], more: &[&str], release: bool) -> anyhow::Result<Self> {
        let services = methods.iter().map(|method| &*method.feature);
        let features: BTreeSet<_> = services.chain(more.iter().copied()).collect();
        let features: Vec<_> = features.into_iter().collect();
        let manifest = format!(
            "[dependencies]\n\
             volt-api = {{ path = '{}', default-features = false, features = {features:?} }}\n",
            root.join("volt-api").display()
        );
        let files = [("src/lib.rs", calls(methods)), ("src/main.rs", program(methods))];
        Self::with(root, &manifest, &files, release)
    }

    /// A crate with these dependencies and files.
    fn with(
        root: &Path,
        dependencies: &str,
        files: &[(&str, String)],
        release: bool,
    ) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let manifest = format!(
            "[package]\nname = \"probe\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
             {dependencies}\n\
             [profile.release]\nstrip = true\n\n\
             [workspace]\n",
        );
        fs::write(folder.path().join("Cargo.toml"), manifest)?;
        // The same versions as in the workspace.
        fs::copy(root.join("Cargo.lock"), folder.path().join("Cargo.lock"))?;
        fs::create_dir(folder.path().join("src"))?;
        for (name, text) in files {
            fs::write(folder.path().join(name), text)?;
        }
        let probe = Self { folder, target: root.join("target/build-time"), release };
        // Builds are offline, so that no download is measured.
        process::run(cargo().current_dir(probe.folder.path()).args(["fetch", "--quiet"]))?;
        Ok(probe)
    }

    fn cargo(&self, command: &str) -> Command {
        let mut cargo = cargo();
        cargo.current_dir(self.folder.path()).env("CARGO_TARGET_DIR", &self.target);
        cargo.env("CARGO_INCREMENTAL", "0").args([command, "--quiet", "--offline"]);
        if self.release {
            cargo.arg("--release");
        }
        cargo
    }

    /// Counts the crates that the program is built from.
    fn crates(&self) -> anyhow::Result<usize> {
        let mut tree = cargo();
        tree.current_dir(self.folder.path()).args(["tree", "--quiet", "--offline"]);
        tree.args(["--edges", "normal,build", "--prefix", "none"]);
        let text = String::from_utf8(process::output(&mut tree)?)?;
        let names = text.lines().map(|line| line.trim_end_matches(" (*)"));
        Ok(names.collect::<BTreeSet<_>>().len())
    }

    /// Rebuilds everything. Returns the CPU seconds, and the size of the program in bytes.
    fn whole(&self) -> anyhow::Result<(f64, u64)> {
        process::run(&mut self.cargo("clean"))?;
        let before = children_seconds()?;
        process::run(self.cargo("build").args(["--bin", "probe"]))?;
        let seconds = children_seconds()? - before;
        let program =
            self.target.join(if self.release { "release" } else { "debug" }).join("probe");
        let size = fs::metadata(&program).with_context(|| program.display().to_string())?.len();
        Ok((seconds, size))
    }

    /// Builds one crate. Returns the CPU seconds and the lines of LLVM IR.
    fn measure(&self, package: &str) -> anyhow::Result<(f64, usize)> {
        process::run(self.cargo("build").args(["--package", package]))?;
        let mut best = f64::INFINITY;
        for _ in 0..RUNS {
            process::run(self.cargo("clean").args(["--package", package]))?;
            let before = children_seconds()?;
            process::run(self.cargo("build").args(["--package", package]))?;
            best = best.min(children_seconds()? - before);
        }
        process::run(self.cargo("clean").args(["--package", package]))?;
        let mut rustc = self.cargo("rustc");
        rustc.args(["--package", package, "--lib", "--", "--emit=llvm-ir,link"]);
        process::run(rustc.arg("-Ccodegen-units=1"))?;
        Ok((best, self.lines(package)?))
    }

    /// Counts the lines of LLVM IR that the compiler wrote for a crate.
    fn lines(&self, package: &str) -> anyhow::Result<usize> {
        let profile = if self.release { "release" } else { "debug" };
        let start = format!("{}-", package.replace('-', "_"));
        for entry in fs::read_dir(self.target.join(profile).join("deps"))? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with(&start) && path.extension().is_some_and(|is| is == "ll") {
                let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
                return Ok(text.lines().count());
            }
        }
        bail!("the compiler wrote no LLVM IR for {package}")
    }
}

/// The CPU time of all finished descendants of this process.
fn children_seconds() -> anyhow::Result<f64> {
    // Linux counts in hundredths of a second. The fields follow the name, which may contain spaces.
    let stat = fs::read_to_string("/proc/self/stat")
        .context("/proc/self/stat is needed, which only Linux has")?;
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    let times: Option<Vec<u32>> = fields.skip(13).take(2).map(|field| field.parse().ok()).collect();
    let times = times.context("/proc/self/stat has an unexpected form")?;
    Ok(f64::from(times.iter().sum::<u32>()) / 100.0)
}

/// Generates a function for each method that makes the call and reads the whole answer.
fn calls(methods: &[&Entry]) -> String {
    let mut out = "use std::{future::Future, pin::Pin};\n\nuse volt_api::Client;\n\n\
                   pub type Done = Pin<Box<dyn Future<Output = volt_api::Result<()>> + Send>>;\n"
        .to_owned();
    for method in methods {
        let name = name(method);
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            out,
            "\npub fn {name}(client: Client) -> Done {{\n    Box::pin(async move {{\n{}        \
             Ok(())\n    }})\n}}",
            call(method)
        );
    }
    out
}

/// Generates a program that makes every call, so that the linker keeps all of them.
fn program(methods: &[&Entry]) -> String {
    let calls: Vec<_> = methods.iter().map(|method| format!("probe::{}", name(method))).collect();
    format!(
        "use std::hint::black_box;\n\n\
         use volt_api::{{Client, ClientConfig}};\n\n\
         fn main() {{\n    \
             let calls: &[fn(Client) -> probe::Done] = &[{}];\n    \
             black_box(calls);\n    \
             let connecting: std::pin::Pin<Box<dyn Future<Output = volt_api::Result<Client>>>> =\n        \
                 Box::pin(Client::connect(ClientConfig::default()));\n    \
             drop(black_box(connecting));\n\
         }}\n",
        calls.join(", ")
    )
}

/// The name of the function that makes a call.
fn name(method: &Entry) -> String {
    format!("{}_{}", method.accessor, method.method).replace("r#", "")
}

fn call(method: &Entry) -> String {
    let open =
        |request| format!("client.{}().{}({request}).await?", method.accessor, method.method);
    match (method.client_streaming, method.server_streaming) {
        (false, false) => format!("        {};\n", open("Default::default()")),
        (false, true) => format!(
            "        let mut answers = {};\n        while answers.message().await?.is_some() {{}}\n",
            open("Default::default()")
        ),
        (true, false) => format!(
            "        let mut upload = {};\n        upload.send(Default::default()).await?;\n        \
             upload.finish().await?;\n",
            open("")
        ),
        (true, true) => format!(
            "        let mut call = {};\n        call.send(Default::default()).await?;\n        \
             while call.message().await?.is_some() {{}}\n",
            open("")
        ),
    }
}
