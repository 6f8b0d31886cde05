//! A custom service, generated in a `build.rs`.

mod calls;

include!(concat!(env!("OUT_DIR"), "/volt.rs"));

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    calls::run().await
}
