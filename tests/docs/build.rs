//! Collects the `rust` blocks of README.md and docs/ into modules that the compiler checks, and the
//! tests of the guide, whose other blocks are doctests of `volt-api`.
//!
//! A block becomes the body of an async function, so that it may use `?` and `.await`. Names that it
//! uses but does not define come from [`CONTEXT`]; `client` is an argument. A block with a function
//! `main` or a test becomes a module instead, and its tests run.

use std::{
    env,
    error::Error,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

/// The variables that a block may use without a definition, and their definitions.
const CONTEXT: [(&str, &str); 5] = [
    ("found", "let found = volt_api::volt::Resource::default();"),
    ("id", "let id = String::new();"),
    ("request", "let request = Default::default();"),
    ("resource", "let resource = volt_api::volt::Resource::default();"),
    ("subscribe", "let subscribe = Default::default();"),
];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../..");
    let mut modules = String::new();
    for file in [vec![root.join("README.md")], pages(&root.join("docs"))?].concat() {
        for (name, code) in named_blocks(&file)? {
            write_module(&mut modules, &name, &code)?;
        }
    }
    for file in pages(&root.join("volt-api/docs/guide"))? {
        // Doctests compile no functions with `#[test]`.
        for (name, code) in named_blocks(&file)?.into_iter().filter(|(_, code)| is_test(code)) {
            write_module(&mut modules, &format!("guide_{name}"), &code)?;
        }
    }
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("blocks.rs"), modules)?;
    Ok(())
}

/// The Markdown files of a folder, sorted.
fn pages(folder: &Path) -> io::Result<Vec<PathBuf>> {
    println!("cargo::rerun-if-changed={}", folder.display());
    let paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let mut pages = paths.collect::<io::Result<Vec<_>>>()?;
    pages.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    pages.sort();
    Ok(pages)
}

/// The code of each block of a file, with a name that has the number of its first line.
fn named_blocks(file: &Path) -> io::Result<Vec<(String, String)>> {
    println!("cargo::rerun-if-changed={}", file.display());
    let name = file.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
    let name = name.replace(|other: char| !other.is_ascii_alphanumeric(), "_");
    let blocks = blocks(&fs::read_to_string(file)?).into_iter();
    Ok(blocks.map(|(line, code)| (format!("{name}_line_{line}"), code)).collect())
}

fn is_test(code: &str) -> bool {
    code.contains("#[tokio::test]")
}

/// The code of each block, with the number of its first line.
fn blocks(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        if line.starts_with("```rust") {
            let code = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```");
            found.push((at + 2, code.flat_map(|line| [line, "\n"]).collect()));
        }
    }
    found
}

fn write_module(out: &mut String, name: &str, code: &str) -> std::fmt::Result {
    writeln!(out, "mod {name} {{\nuse crate::prelude::*;")?;
    if code.contains("fn main()") || is_test(code) {
        return writeln!(out, "{code}}}");
    }
    writeln!(out, "async fn block(client: volt_api::Client) -> anyhow::Result<()> {{")?;
    for (variable, definition) in CONTEXT {
        if is_free(variable, code) {
            writeln!(out, "{definition}")?;
        }
    }
    writeln!(out, "{code}Ok(())\n}}\n}}")
}

/// Returns whether a block uses a variable that it does not define.
fn is_free(variable: &str, code: &str) -> bool {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    let mut words = code.split(|character| !is_word(character));
    let is_defined = code.contains(&format!("let {variable} = "));
    !is_defined && words.any(|word| word == variable)
}
