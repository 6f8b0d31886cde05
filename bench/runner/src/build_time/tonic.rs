//! The same program with tonic and prost, for comparison.

use std::path::Path;

use prost::Message as _;
use prost_types::FileDescriptorSet;

use super::Probe;

/// The dependencies of a client with TLS, as tonic's guide has them. The generator reads descriptors, because
/// tonic's users have protobuf's compiler installed already.
const DEPENDENCIES: &str = r#"
[dependencies]
prost = "0.14"
tokio = { version = "1", features = ["macros", "rt-multi-thread"] }
tonic = { version = "0.14", features = ["tls-aws-lc", "tls-native-roots"] }
tonic-prost = "0.14"

[build-dependencies]
prost = "0.14"
prost-types = "0.14"
tonic-prost-build = "0.14"
"#;

const BUILD: &str = r#"
use prost::Message;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let set = prost_types::FileDescriptorSet::decode(&*std::fs::read("api.bin")?)?;
    tonic_prost_build::configure()
        .build_server(false)
        // Its function `connect` has the name of a method of the API.
        .build_transport(false)
        .include_file("api.rs")
        .compile_fds(set)?;
    Ok(())
}
"#;

/// Calls one method. All messages and clients are compiled.
const PROGRAM: &str = r#"
#![allow(dead_code)]

mod api {
    include!(concat!(env!("OUT_DIR"), "/api.rs"));
}

use api::tdx::volt_api::volt::v1::{DownloadFileRequest, file_api_client::FileApiClient};
use tonic::transport::Channel;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let channel = Channel::from_static("https://localhost").connect().await?;
    let mut client = FileApiClient::new(channel);
    let mut answers = client.download_file(DownloadFileRequest::default()).await?.into_inner();
    while answers.message().await?.is_some() {}
    Ok(())
}
"#;

pub(super) fn probe(root: &Path, set: &FileDescriptorSet, release: bool) -> anyhow::Result<Probe> {
    let files = [("build.rs", BUILD.to_owned()), ("src/main.rs", PROGRAM.to_owned())];
    let probe = Probe::with(root, DEPENDENCIES, &files, release)?;
    std::fs::write(probe.folder.path().join("api.bin"), set.encode_to_vec())?;
    Ok(probe)
}
