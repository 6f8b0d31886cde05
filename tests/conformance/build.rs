//! Generates the messages of the suite from its .proto files, as for any API.

use std::{env, error::Error, fs, path::PathBuf};

use volt_codegen::{Layout, Options, Server, Sources, generate};

/// The environment variable with the folder of the suite's .proto files.
const PROTOS: &str = "CONFORMANCE_PROTOS";
/// The messages between the suite and the testee.
const PROTOCOL: &str = "conformance/conformance.proto";
/// The messages under test.
const MESSAGES: &str = "google/protobuf/test_messages_proto3.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed={PROTOS}");
    println!("cargo::rustc-check-cfg=cfg(suite)");
    // Only `cargo xtask conformance` downloads the suite. Other builds get a program without it.
    let Some(protos) = env::var_os(PROTOS) else { return Ok(()) };
    println!("cargo::rustc-cfg=suite");
    let mut sources = Sources::default();
    for name in [PROTOCOL, MESSAGES] {
        let path = PathBuf::from(&protos).join(name);
        println!("cargo::rerun-if-changed={}", path.display());
        sources.files.insert(name.to_owned(), fs::read_to_string(path)?);
    }
    let set = sources.compile()?;
    let options = Options::default().layout(Layout::Single).server(Server::Never);
    let directory = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    for file in generate(&set, &options)?.files {
        fs::write(directory.join(&file.path), &file.contents)?;
    }
    Ok(())
}
