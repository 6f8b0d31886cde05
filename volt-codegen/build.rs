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
    let manifest = PathBuf::from(
        env::var_os("CARGO_MANIFEST_DIR")
            .ok_or("CARGO_MANIFEST_DIR is not set: build with cargo")?,
    );
    let folders = [manifest.join("proto"), manifest.join("../proto")];
    let proto = folders.iter().find(|folder| folder.join("VERSION").is_file());
    let proto = proto.ok_or("the folder `proto` of the Volt API is missing")?.canonicalize()?;
    println!("cargo:rerun-if-changed={}", proto.display());
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set: build with cargo")?);

    let version = fs::read_to_string(proto.join("VERSION"))?;
    fs::write(out.join("version.rs"), format!("{:?}", version.trim()))?;
    let current = proto.join(version.trim());
    fs::write(out.join("bundled.rs"), files(&current)?)?;
    for (file, decision) in [("secrets.rs", "secret"), ("open.rs", "open")] {
        fs::write(out.join(file), decided(&current.join("SECRETS"), decision)?)?;
    }

    let mut versions = Vec::new();
    for entry in fs::read_dir(&proto)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let numbers: Option<Vec<u64>> = name.split('.').map(|part| part.parse().ok()).collect();
        versions.extend(numbers.map(|numbers| (numbers, name)));
    }
    versions.sort();
    let mut list = String::from("&[\n");
    for (_, name) in versions {
        writeln!(list, "({name:?}, {}),", files(&proto.join(&name))?)?;
    }
    list.push_str("]\n");
    Ok(fs::write(out.join("versions.rs"), list)?)
}

/// A list of the names and texts of all files of a version.
fn files(version: &Path) -> Result<String, Box<dyn Error>> {
    let mut files = Vec::new();
    collect(version, &mut files)?;
    files.sort();
    let mut list = String::from("&[\n");
    for path in files {
        let name = path.strip_prefix(version)?.to_string_lossy().replace('\\', "/");
        writeln!(list, "    ({name:?}, include_str!({:?})),", path.to_string_lossy())?;
    }
    list.push(']');
    Ok(list)
}

/// A list of the fields about which the file has this decision.
fn decided(file: &Path, decision: &str) -> Result<String, Box<dyn Error>> {
    let text = if file.is_file() { fs::read_to_string(file)? } else { String::new() };
    let names = text.lines().filter_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        (words.next()? == decision).then(|| words.next()).flatten()
    });
    Ok(format!("&{:?}", names.collect::<Vec<_>>()))
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
