//! Runs the example `web_server` against an embedded Volt.

#![allow(clippy::unwrap_used)]

#[path = "../examples/web_server.rs"]
#[expect(dead_code, reason = "the test serves the routes itself")]
mod web_server;

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use volt_api::Client;
use volt_embedded::EmbeddedVolt;
use volt_test_support::soon;

/// Returns the code and the body of a page.
async fn page(server: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(server).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[tokio::test]
async fn requests_share_one_client() {
    let volt = EmbeddedVolt::start().await.unwrap();
    let client = Client::connect(volt.config()).await.unwrap();
    client.volt().ensure_folder("@web").await.unwrap();
    client.file().upload("@web/note.txt").from_bytes("hello").await.unwrap();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let server = listener.local_addr().unwrap();
    let app = web_server::app(client.clone());
    let serving = tokio::spawn(async move { axum::serve(listener, app).await });

    let pages = (0..8).map(|_| tokio::spawn(page(server, "/files/@web/note.txt")));
    for one in pages.collect::<Vec<_>>() {
        assert_eq!(soon(one).await.unwrap(), (200, "hello".to_owned()));
    }
    let (code, text) = soon(page(server, "/files/@web/missing.txt")).await;
    assert_eq!(code, 404, "{text}");
    assert_eq!(soon(page(server, "/health")).await, (200, "connected".to_owned()));
    client.close().await;
    let (code, text) = soon(page(server, "/health")).await;
    assert_eq!(code, 503);
    assert!(text.starts_with("closed"), "{text}");
    serving.abort();
}
