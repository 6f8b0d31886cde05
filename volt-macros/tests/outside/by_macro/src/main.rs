//! A custom service, generated with the macro.

mod calls;

volt_api::include_proto!("proto/kinds/v1/kinds.proto", includes = ["proto"]);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    calls::run().await
}
