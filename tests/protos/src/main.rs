//! `cargo xtask protos`: published `.proto` files of others, unchanged.

mod changes;
mod check;
mod fetch;
mod files;
mod pieces;
mod table;
mod trees;

use std::{process::ExitCode, thread, time::Instant};

use anyhow::{anyhow, bail};
use clap::Parser;
use mimalloc::MiMalloc;
use volt_codegen::{Options, Output, disk::Protos};
use xtask_tools::root;

use crate::{
    files::Files,
    table::Row,
    trees::{TREES, Tree},
};

/// Generates code for published .proto files of others, and type-checks it.
///
/// The files come from published packages, at pinned versions. They are unpacked below target/protos
/// and stay there. A tree that fails does not stop the others; the command fails at the
/// end. Needs npm, and Python 3 with pip.
///
/// Without TREES, all of them run, which takes minutes. --list prints them.
#[derive(Parser)]
#[command(name = "cargo xtask protos", bin_name = "cargo xtask protos")]
#[expect(clippy::struct_excessive_bools, reason = "the flags of a command line")]
struct Args {
    /// The trees to run. Default: all.
    trees: Vec<String>,
    /// Prints the names of the trees, and the packages that they come from.
    #[arg(long)]
    list: bool,
    /// Compiles programs against an invented API and its next version instead, and compares the errors with the
    /// promises of `cargo xtask api diff`.
    #[arg(long, conflicts_with_all = ["trees", "no_check", "write"])]
    changes: bool,
    /// Only generates code, without type-checking it.
    #[arg(long)]
    no_check: bool,
    /// Writes the table to docs/protos.md. Only with all trees.
    #[arg(long, conflicts_with_all = ["trees", "no_check"])]
    write: bool,
}

/// The size of the stack of the thread that generates code: messages may nest.
const STACK: usize = 16 << 20;

/// Generating allocates many small objects, for which this allocator needs a third less time.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if args.list {
        for tree in TREES {
            println!("{:<20} {}", tree.name, tree.packages_shown());
        }
        return Ok(ExitCode::SUCCESS);
    }
    if args.changes {
        print!("{}", changes::run()?);
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(unknown) = args.trees.iter().find(|name| !TREES.iter().any(|t| t.name == **name)) {
        let names: Vec<_> = TREES.iter().map(|tree| tree.name).collect();
        bail!("there is no tree `{unknown}`; there are {}", names.join(", "));
    }
    let chosen =
        |tree: &&Tree| args.trees.is_empty() || args.trees.iter().any(|name| name == tree.name);
    let mut rows = Vec::new();
    for tree in TREES.iter().filter(chosen) {
        println!("{}: {}", tree.name, tree.packages_shown());
        let row = one(tree, !args.no_check && tree.check);
        if let Err(error) = &row {
            eprintln!("{}: {error:#}", tree.name);
        }
        rows.push((tree, row));
    }
    let table = table::markdown(&rows);
    println!("\n{table}");
    if args.write {
        table::write(&root()?.join("docs/protos.md"), &table)?;
    }
    let failed = rows.iter().any(|(_, row)| row.is_err());
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Fetches one tree, generates its code and checks it.
fn one(tree: &'static Tree, check: bool) -> anyhow::Result<Row> {
    let work = root()?.join("target/protos").join(tree.name);
    let source = work.join("source");
    fetch::tree(tree, &source)?;
    let includes: Vec<_> = tree.roots.iter().map(|folder| source.join(folder)).collect();
    let files = Files::of(tree, &includes)?;
    if let Some(first) = files.incomplete.first() {
        let count = files.incomplete.len();
        println!("  left out because of imports that no package has: {first}, {count} in all");
    }
    let counts = (files.wanted.len(), files.left_out + files.incomplete.len());
    let start = Instant::now();
    let output = generated(move || {
        let protos = Protos::read("", files.wanted, includes)?;
        protos.generate(&Options::default())
    })?;
    let seconds = start.elapsed();
    for warning in &output.warnings {
        println!("  warning: {}", warning.to_string().lines().next().unwrap_or_default());
    }
    let mut row = Row::new(counts, seconds, &output);
    let package = work.join("crate");
    check::write(&package, &output)?;
    if check {
        row.checked = Some(check::run(&package)?);
    }
    Ok(row)
}

/// Runs the generator; a panic is an error of this tree alone.
fn generated(
    generate: impl FnOnce() -> Result<Output, volt_codegen::Error> + Send + 'static,
) -> anyhow::Result<Output> {
    let thread = thread::Builder::new().stack_size(STACK).spawn(generate)?;
    match thread.join() {
        Ok(output) => Ok(output?),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("?");
            Err(anyhow!("the generator panicked: {text}"))
        }
    }
}
