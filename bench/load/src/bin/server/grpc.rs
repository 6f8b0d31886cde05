//! The same work with tonic over TLS.

use std::pin::Pin;

use anyhow::Result;
use futures_util::{Stream, stream};
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status, Streaming,
    transport::{Identity, Server, ServerTlsConfig, server::TcpIncoming},
};
use volt_api::volt::{
    DownloadFileRequest, DownloadFileResponse, GetResourceRequest, GetResourceResponse,
    UploadFileRequest, UploadFileResponse, upload_file_request,
};
use volt_bench_load::{
    Grpc,
    grpc::load_server::{Load, LoadServer},
};

use crate::mock::{self, Certificate};

/// Creates a certificate for this machine.
pub fn certify() -> Result<Certificate> {
    let names = ["localhost", "127.0.0.1"].map(str::to_owned);
    let certified = rcgen::generate_simple_self_signed(names)?;
    let key = certified.signing_key.serialize_pem();
    Ok(Certificate { certificate: certified.cert.pem(), key })
}

/// Starts the server.
pub async fn start(certificate: &Certificate) -> Result<Grpc> {
    let Certificate { certificate, key } = certificate;
    let identity = Identity::from_pem(certificate, key);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let server = Server::builder()
        .tls_config(ServerTlsConfig::new().identity(identity))?
        .add_service(LoadServer::new(Handlers));
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    tokio::spawn(server.serve_with_incoming(incoming));
    Ok(Grpc { port, certificate: certificate.clone() })
}

struct Handlers;

type Acks = Pin<Box<dyn Stream<Item = Result<UploadFileResponse, Status>> + Send>>;
type Blocks = Pin<Box<dyn Stream<Item = Result<DownloadFileResponse, Status>> + Send>>;

#[tonic::async_trait]
impl Load for Handlers {
    type DownloadFileStream = Blocks;
    type UploadFileStream = Acks;

    async fn upload_file(
        &self,
        request: Request<Streaming<UploadFileRequest>>,
    ) -> Result<Response<Acks>, Status> {
        let state = (request.into_inner(), 0);
        let acks = stream::try_unfold(state, async |(mut requests, mut ack)| {
            while let Some(request) = requests.message().await? {
                if let Some(upload_file_request::Payload::Block(_)) = request.payload {
                    ack += 1;
                    let response = UploadFileResponse::default().with_ack(ack);
                    return Ok(Some((response, (requests, ack))));
                }
            }
            Ok(None)
        });
        Ok(Response::new(Box::pin(acks)))
    }

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
