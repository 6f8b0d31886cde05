//! Lists the `.proto` files of the Volt API, so that they are included in this crate.
//!
//! `proto` is a link to the repository's folder; packaging replaces it with the files. In a
//! checkout without links, the folder itself is used.

use std::{
    env,
    error::Error,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

fn main() -> Result<(), Box<dyn Error>> {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or("cargo runs this")?);
    let folders = [manifest.join("proto"), manifest.join("../proto")];
    let proto = folders.iter().find(|folder| folder.join("VERSION").is_file());
    let proto = proto.ok_or("the folder `proto` of the Volt API is missing")?.canonicalize()?;
    println!("cargo:rerun-if-changed={}", proto.display());

    let version = proto.join(fs::read_to_string(proto.join("VERSION"))?.trim());
    let mut files = Vec::new();
    collect(&version, &mut files)?;
    files.sort();
    let mut list = String::from("&[\n");
    for path in files {
        let name = path.strip_prefix(&version)?.to_string_lossy().replace('\\', "/");
        writeln!(list, "    ({name:?}, include_str!({:?})),", path.to_string_lossy())?;
    }
    list.push_str("]\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo runs this")?);
    Ok(fs::write(out.join("bundled.rs"), list)?)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    Ok(())
}
