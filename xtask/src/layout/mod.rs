//! `cargo xtask layout`: the size and shape of the code, and the import cycles in it.

mod imports;
mod literals;
mod measure;
mod references;

use std::path::Path;

use anyhow::bail;

/// The maximum length of a hand-written file, in lines.
const LONGEST_FILE: usize = 500;
/// The maximum length of a generated file, in lines.
const LONGEST_GENERATED_FILE: usize = 3_000;

/// Folders whose files are mutually recursive. A message's fields are read and written through
/// codecs, and a codec may be that of a message.
const RECURSIVE: [&str; 1] = ["volt-runtime/src/json"];

/// The crates, with their root files.
const CRATES: [(&str, &str); 6] = [
    ("volt-api", "lib.rs"),
    ("volt-codegen", "lib.rs"),
    ("volt-embedded", "lib.rs"),
    ("volt-macros", "lib.rs"),
    ("volt-runtime", "lib.rs"),
    ("xtask", "main.rs"),
];

/// Prints the size and shape of the code: lines, files, comments and import cycles.
///
/// The ratios of documentation and comments to code leave tests out.
///
/// Also checks that the files and tests which the documentation names exist, and that no literal of a generated
/// message names all fields and no `match` all variants of a generated enum.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Fail if files import one another in a cycle, a file is too long, a named test does not exist, or code does not
    /// compile when a message or enum grows.
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let root = xtask_tools::root()?;
    let mut faults = 0;
    for (name, file) in CRATES {
        let src = Path::new(name).join("src");
        for circle in imports::circles(&root.join(&src), file)? {
            let is_within = |folder| circle.iter().all(|file| src.join(file).starts_with(folder));
            if RECURSIVE.into_iter().any(is_within) {
                continue;
            }
            println!("{name}: these files import one another: {}", circle.join(", "));
            faults += 1;
        }
    }
    let files = measure::source_files(root)?;
    for file in &files {
        let limit = if file.is_generated { LONGEST_GENERATED_FILE } else { LONGEST_FILE };
        if file.lines > limit {
            println!("{}: {} lines, limit {limit}", file.path.display(), file.lines);
            faults += 1;
        }
    }
    for literal in literals::complete(root, &files)? {
        println!("{literal}");
        faults += 1;
    }
    for missing in references::missing(root, &files)? {
        println!("{missing}");
        faults += 1;
    }
    print_table(root, &files, faults)?;
    if args.check && faults > 0 {
        bail!("the layout of the code has {faults} faults, listed above");
    }
    Ok(())
}

fn print_table(root: &Path, files: &[measure::SourceFile], faults: usize) -> anyhow::Result<()> {
    let by_hand = || files.iter().filter(|file| !file.is_generated);
    let generated = || files.iter().filter(|file| file.is_generated);
    println!("faults listed above: {faults}");
    println!("folders at the top: {}", measure::folders(root)?);
    println!(
        "files written by hand: {}, {} lines, longest {}",
        by_hand().count(),
        by_hand().map(|file| file.lines).sum::<usize>(),
        by_hand().map(|file| file.lines).max().unwrap_or_default(),
    );
    println!(
        "generated files: {}, {} lines, longest {}",
        generated().count(),
        generated().map(|file| file.lines).sum::<usize>(),
        generated().map(|file| file.lines).max().unwrap_or_default(),
    );
    for (name, _) in CRATES {
        let src = Path::new(name).join("src");
        let summary = measure::Summary::of(by_hand().filter(|file| file.path.starts_with(&src)));
        println!("{name}/src: {summary}");
    }
    Ok(())
}
