//! From an address to a websocket.

use tokio::net::TcpStream;
use tokio_tungstenite::{
    client_async_with_config,
    tungstenite::{self, client::IntoClientRequest as _, http::Uri},
};

use super::connect::ConnectOptions;
use crate::socket::websocket_config;

pub(super) type Socket = tokio_tungstenite::WebSocketStream<TcpStream>;

pub(super) async fn open_socket(
    url: &str,
    options: &ConnectOptions,
) -> Result<Socket, tungstenite::Error> {
    let request = url.into_client_request()?;
    let (host, port) = host_and_port(request.uri())?;
    let stream = TcpStream::connect((host, port)).await?;
    // Frames are small and wait for one another: without this each would wait for Nagle's timer.
    stream.set_nodelay(true)?;
    let config = websocket_config(options.max_message_size);
    let (socket, _) = client_async_with_config(request, stream, Some(config)).await?;
    Ok(socket)
}

fn host_and_port(uri: &Uri) -> Result<(&str, u16), tungstenite::Error> {
    let host = uri.host().ok_or(tungstenite::error::UrlError::NoHostName)?;
    // IPv6 addresses stand in brackets in a URL, and without them everywhere else.
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    Ok((host, uri.port_u16().unwrap_or(80)))
}
