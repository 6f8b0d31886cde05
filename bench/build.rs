//! Makes the gRPC service of the tonic peer, with the SDK's own messages.

use tonic_build::manual::{Builder, Method, Service};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let method = |name: &str, route: &str, message: &str| {
        Method::builder()
            .name(name)
            .route_name(route)
            .input_type(format!("volt_api::volt::{message}Request"))
            .output_type(format!("volt_api::volt::{message}Response"))
            .codec_path("tonic_prost::ProstCodec")
    };
    let service = Service::builder()
        .name("Load")
        .package("bench")
        .method(method("get_resource", "GetResource", "GetResource").build())
        .method(method("download_file", "DownloadFile", "DownloadFile").server_streaming().build())
        .build();
    Builder::new().compile(&[service]);
}
