//! A web server with one client of a Volt, which all requests share. Run it with the path of a client
//! configuration, then `curl http://127.0.0.1:3000/files/@home/note.txt`.

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    routing::get,
};
use volt_api::{Client, ClientConfig, Error};

/// The routes. Cloning a client is cheap: each clone is a handle to the same connection.
pub(crate) fn app(client: Client) -> Router {
    Router::new()
        .route("/files/{*path}", get(download))
        .route("/health", get(health))
        .with_state(client)
}

async fn download(
    State(client): State<Client>,
    Path(path): Path<String>,
) -> Result<Vec<u8>, (StatusCode, String)> {
    client.file().download(&*path).bytes().await.map_err(|error| answer(&error))
}

/// A load balancer asks whether this server can reach the Volt.
async fn health(State(client): State<Client>) -> (StatusCode, String) {
    let state = client.channel().watch_state().current();
    let code = if state.is_connected() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, state.to_string())
}

fn answer(error: &Error) -> (StatusCode, String) {
    let code = StatusCode::from_u16(error.code().http_status());
    (code.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), error.to_string())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = std::env::args().nth(1).unwrap_or_else(|| "volt.config.json".to_owned());
    let client = Client::connect(ClientConfig::from_file(config)?).await?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app(client)).await?;
    Ok(())
}
