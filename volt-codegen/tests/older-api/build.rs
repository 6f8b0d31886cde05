//! Generates the API as a user's own services are: into one file, when the crate is built.

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
};

use volt_codegen::{Layout, Options, Sources, generate};

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../proto/0.15.1");
    println!("cargo::rerun-if-changed={}", root.display());

    let mut sources = Sources::default();
    let mut directories = vec![root.clone()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if path.is_dir() {
                directories.push(path);
            } else {
                let name = path.strip_prefix(&root)?.to_string_lossy().replace('\\', "/");
                sources.files.insert(name, fs::read_to_string(&path)?);
            }
        }
    }
    let output = generate(&sources.compile()?, &Options::default().layout(Layout::Single))?;
    let directory = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    for file in output.files {
        fs::write(directory.join(&file.path), &file.contents)?;
    }
    Ok(())
}
