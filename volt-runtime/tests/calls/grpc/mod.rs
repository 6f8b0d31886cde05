//! The gRPC server, with clients of bare HTTP/2.

mod callers;
mod ends;
mod kinds;
mod limits;
mod raw;
mod tls;

use volt_runtime::{
    ConnectOptions, TransportKind, connect,
    server::{ServerOptions, ServiceHost, serve_grpc},
};

use crate::support::{NotesClient, Parts, Volt};

/// This crate's client of a Volt that is served over gRPC.
pub(crate) async fn client(volt: &Volt) -> NotesClient {
    let mut config = volt.config.clone();
    config.volt.address = Some(format!("http://{}", volt.server.local_addr()));
    let mut options = ConnectOptions::default();
    options.transport = TransportKind::Grpc;
    NotesClient(connect(&config, options).await.unwrap())
}

/// A Volt that is served only over gRPC.
pub(crate) async fn start() -> Volt {
    start_as(|endpoint| endpoint).await
}

async fn start_with(change: impl FnOnce(&mut ServerOptions)) -> Volt {
    let mut options = ServerOptions::default();
    change(&mut options);
    start_as(|endpoint| endpoint.with_options(options)).await
}

async fn start_as(change: impl FnOnce(ServiceHost) -> ServiceHost) -> Volt {
    let parts = Parts::new(change);
    parts.serve_by("http", "127.0.0.1", 0, serve_grpc).await
}
