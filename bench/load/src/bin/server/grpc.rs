//! The same work with tonic over TLS.

use std::pin::Pin;

use anyhow::Result;
use futures_util::{Stream, stream};
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status,
    transport::{Identity, Server, ServerTlsConfig, server::TcpIncoming},
};
use volt_api::volt::{
    DownloadFileRequest, DownloadFileResponse, GetResourceRequest, GetResourceResponse,
};
use volt_bench_load::{
    Grpc,
    grpc::load_server::{Load, LoadServer},
};

use crate::mock;

/// Starts the server with a new certificate.
pub async fn start() -> Result<Grpc> {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let certificate = certified.cert.pem();
    let identity = Identity::from_pem(&certificate, certified.signing_key.serialize_pem());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let server = Server::builder()
        .tls_config(ServerTlsConfig::new().identity(identity))?
        .add_service(LoadServer::new(Handlers));
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    tokio::spawn(server.serve_with_incoming(incoming));
    Ok(Grpc { port, certificate })
}

struct Handlers;

type Blocks = Pin<Box<dyn Stream<Item = Result<DownloadFileResponse, Status>> + Send>>;

#[tonic::async_trait]
impl Load for Handlers {
    type DownloadFileStream = Blocks;

    async fn get_resource(
        &self,
        request: Request<GetResourceRequest>,
    ) -> Result<Response<GetResourceResponse>, Status> {
        Ok(Response::new(mock::echo(request.into_inner())))
    }

    async fn download_file(
        &self,
        request: Request<DownloadFileRequest>,
    ) -> Result<Response<Blocks>, Status> {
        let (count, response) = mock::blocks(request.get_ref())
            .map_err(|status| Status::invalid_argument(status.message()))?;
        let blocks = (0..count).map(move |_| Ok(response.clone()));
        Ok(Response::new(Box::pin(stream::iter(blocks))))
    }
}
