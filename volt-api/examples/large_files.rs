//! Uploads a file or folder and downloads it again, with progress. Run it with the path of a client
//! configuration, the path of the file or folder, and the path for the copy.

use std::time::Duration;

use volt_api::{Client, ClientConfig, Result};

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |default: &str| arguments.next().unwrap_or_else(|| default.to_owned());
    let config = ClientConfig::from_file(next("volt.config.json"))?;
    let (source, copy) = (next("films"), next("copy of films"));
    let client = Client::connect(config).await?;
    client.volt().ensure_folder("@films").await?;

    let show = |what: &'static str| {
        move |done: u64, total: Option<u64>| match total {
            Some(total) if total > 0 => print!("\r{what}: {} %  ", done * 100 / total),
            _ => print!("\r{what}: {done} bytes  "),
        }
    };
    let hour = Duration::from_hours(1);
    let upload = client.file().upload("@films/all").from_path(source);
    let bytes = upload.on_progress(show("up")).timeout(hour).await?;
    let download = client.file().download("@films/all").to_path(copy);
    download.on_progress(show("down")).concurrency(8).retries(10).timeout(hour).await?;
    println!("\n{bytes} bytes there and back");
    Ok(())
}
