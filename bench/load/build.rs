//! Generates the gRPC service of the tonic peer, with the SDK's messages.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "tonic")]
    generate();
}

#[cfg(feature = "tonic")]
fn generate() {
    use tonic_build::manual::{Builder, Method, Service};

    let method = |name: &str, route: &str| {
        Method::builder()
            .name(name)
            .route_name(route)
            .input_type(format!("volt_api::volt::{route}Request"))
            .output_type(format!("volt_api::volt::{route}Response"))
            .codec_path("tonic_prost::ProstCodec")
    };
    let service = Service::builder()
        .name("Load")
        .package("bench")
        .method(method("get_resource", "GetResource").build())
        .method(method("download_file", "DownloadFile").server_streaming().build())
        .method(method("upload_file", "UploadFile").client_streaming().server_streaming().build())
        .build();
    Builder::new().compile(&[service]);
}
