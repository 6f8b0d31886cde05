//! A service of one's own, by a `build.rs`.

mod calls;

include!(concat!(env!("OUT_DIR"), "/volt.rs"));

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    calls::run().await
}
