//! A Volt that breaks the protocol once, for `cargo xtask hostile`.
//!
//! It applies its input to the first call of the first connection, and answers every later call
//! correctly. Its frames are built with the SDK's own protocol core.

mod connection;
mod input;
mod stages;

use std::{fs, io::Write as _, path::PathBuf, sync::Arc};

use anyhow::Context as _;
use clap::Parser;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use volt_interop_trial::NEVER;
use volt_runtime::{__core::frame::FrameKind, key::SigningKey};

use self::{connection::Connection, input::Input};

/// A Volt that breaks the protocol once.
#[derive(Parser)]
struct Args {
    /// The input that is applied to the first call.
    input: Input,
    /// The file for the client configuration.
    config: PathBuf,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let (key, client) = (Arc::new(SigningKey::generate()?), SigningKey::generate()?);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    // With the members that each client requires.
    let config = json!({
        "client_name": "trial",
        "volt": {
            "id": "did:volt:hostile",
            "display_name": "hostile",
            "address": address,
            "http_address": format!("http://{address}"),
            "public_key": key.verifying_key().to_pem(),
        },
        "credential": { "key": *client.to_pem()?, "session_id": "session" },
    });
    fs::write(&args.config, config.to_string())
        .with_context(|| args.config.display().to_string())?;
    println!("{address}");
    std::io::stdout().flush()?;

    let mut input = args.input;
    loop {
        let (stream, _) = listener.accept().await?;
        let key = Arc::clone(&key);
        tokio::spawn(async move {
            if let Err(error) = serve(stream, key, input).await {
                eprintln!("{error:#}");
            }
        });
        input = Input::Good;
    }
}

/// Serves one connection.
async fn serve(mut stream: TcpStream, key: Arc<SigningKey>, input: Input) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    stages::connecting(input, &mut stream).await?;
    let mut connection = Connection::accept(stream, key).await?;
    while let Some(frame) = connection.frame().await? {
        if frame.kind == FrameKind::KeyExchange {
            stages::opened(input, &mut connection, &frame).await?;
        } else if let Some((method, request)) = connection.invoked(&frame)?
            && !request.contains(NEVER)
        {
            // A client may open another connection for a download.
            if method.ends_with("/DownloadFile") {
                stages::download(&mut connection, frame.call).await?;
            } else {
                stages::invoked(input, &mut connection, frame.call).await?;
            }
        }
    }
    Ok(())
}
