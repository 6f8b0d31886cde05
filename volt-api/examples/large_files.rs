//! Uploads a file or folder and downloads it again, with progress. Run it with the path of a client
//! configuration, the path of the file or folder, and the path for the copy.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use volt_api::{Client, ClientConfig, Result};

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |default: &str| arguments.next().unwrap_or_else(|| default.to_owned());
    let config = ClientConfig::from_file(next("volt.config.json"))?;
    let (source, copy) = (next("films"), next("copy of films"));
    let client = Client::connect(config).await?;
    client.volt().ensure_folder("@films").await?;

    let style = "{prefix} [{bar:40}] {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
    let style =
        ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
    let show = |what: &'static str| {
        let bar = ProgressBar::no_length().with_style(style.clone()).with_prefix(what);
        move |done: u64, total: Option<u64>| {
            bar.update(|state| {
                state.set_pos(done);
                state.set_len(total.unwrap_or(done));
            });
        }
    };
    let hour = Duration::from_hours(1);
    let upload = client.file().upload("@films/all").from_path(source);
    let bytes = upload.on_progress(show("up")).timeout(hour).await?;
    let download = client.file().download("@films/all").to_path(copy);
    download.on_progress(show("down")).concurrency(8).retries(10).timeout(hour).await?;
    println!("\n{bytes} bytes uploaded and downloaded");
    Ok(())
}
