//! Generates the messages of the suite from its .proto files, as for any API; and those of the
//! comparison with Python's protobuf.

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
};

use prost::Message as _;
use volt_codegen::{Layout, Options, Server, Sources, generate};

/// The environment variable with the folder of the suite's .proto files.
const PROTOS: &str = "CONFORMANCE_PROTOS";
/// The messages between the suite and the testee.
const PROTOCOL: &str = "conformance/conformance.proto";
/// The messages under test.
const MESSAGES: &str = "google/protobuf/test_messages_proto3.proto";
/// The messages with random values.
const RANDOM: [&str; 2] = ["random.proto", "random2.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed={PROTOS}");
    println!("cargo::rustc-check-cfg=cfg(suite)");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set: build with cargo")?);
    write(Path::new("proto"), &RANDOM, &out.join("random"))?;
    // Only `cargo xtask conformance` downloads the suite. Other builds produce a program without
    // it.
    if let Some(protos) = env::var_os(PROTOS) {
        println!("cargo::rustc-cfg=suite");
        write(Path::new(&protos), &[PROTOCOL, MESSAGES], &out)?;
    }
    Ok(())
}

/// Generates code for the files of a folder, and writes their descriptors beside it.
fn write(folder: &Path, names: &[&str], out: &Path) -> Result<(), Box<dyn Error>> {
    let mut sources = Sources::default();
    for name in names {
        let path = folder.join(name);
        println!("cargo::rerun-if-changed={}", path.display());
        sources.files.insert((*name).to_owned(), fs::read_to_string(path)?);
    }
    let set = sources.compile()?;
    let options = Options::default().layout(Layout::Single).server(Server::Never);
    fs::create_dir_all(out)?;
    for file in generate(&set, &options)?.files {
        fs::write(out.join(&file.path), &file.contents)?;
    }
    fs::write(out.join("descriptors"), set.encode_to_vec())?;
    Ok(())
}
