//! A Volt whose handlers take no time, so that only the client and the transport are measured.

use std::sync::{Arc, OnceLock};

use anyhow::{Context as _, Result};
use tokio::net::TcpListener;
use volt_api::{
    ClientConfig, Code, Status,
    key::{SigningKey, VerifyingKey},
    server::{
        Authenticator, Caller, Context, Requests, Responses, Router, Server, ServerTls,
        ServiceHost, Token, serve, serve_grpc, serve_grpc_tls,
    },
    volt::{
        ConnectAcknowledge, ConnectRequest, ConnectResponse, DownloadFileRequest,
        DownloadFileResponse, FileApi, FileApiServer, GetResourceRequest, GetResourceResponse,
        UploadFileRequest, UploadFileResponse, VoltApi, VoltApiServer, connect_request,
        upload_file_request,
    },
};

/// A running mock and the configurations of its clients.
pub struct Mock {
    pub config: ClientConfig,
    /// For gRPC.
    pub grpc_config: ClientConfig,
    pub legacy_config: ClientConfig,
    _servers: [Server; 2],
}

/// A certificate for this machine and its key, as PEM.
pub struct Certificate {
    pub certificate: String,
    pub key: String,
}

/// Starts a mock for the clients of another Volt's configurations. Without a certificate, gRPC is not
/// encrypted.
pub async fn start(
    config: &ClientConfig,
    legacy_config: &ClientConfig,
    certificate: Option<&Certificate>,
) -> Result<Mock> {
    let id = config.volt_id()?;
    let (key, legacy_key) = (SigningKey::generate()?, SigningKey::generate_rsa()?);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let here = |config: &ClientConfig, key: &SigningKey| {
        let mut config = config.clone();
        config.volt.http_address = Some(url.clone());
        config.volt.public_key = Some(key.verifying_key().to_pem());
        config.volt.fingerprint = Some(key.verifying_key().fingerprint());
        config
    };
    let (config, legacy_config) = (here(config, &key), here(legacy_config, &legacy_key));

    let router =
        || Router::new().with(VoltApiServer::new(Handlers)).with(FileApiServer::new(Handlers));
    let authority = Clients { key: public(&config)?, legacy_key: public(&legacy_config)? };
    let endpoint = ServiceHost::new(id, key, router(), authority)
        .with_legacy(Arc::new(OnceLock::from(legacy_key)), router());
    let endpoint = Arc::new(endpoint);
    let grpc = TcpListener::bind("127.0.0.1:0").await?;
    let address = grpc.local_addr()?.to_string();
    let mut grpc_config = config.clone();
    let grpc = match certificate {
        Some(Certificate { certificate, key }) => {
            grpc_config.volt.address = Some(address);
            grpc_config.volt.ca_pem = Some(certificate.clone());
            if let Some(credential) = &mut grpc_config.credential {
                // The published client trusts this authority.
                credential.ca = Some(certificate.clone());
            }
            let mut tls = ServerTls::new(certificate, key)?;
            // One published client sends a certificate instead of tokens.
            if let Some(authority) = &config.volt.ca_pem {
                tls = tls.accepting_clients_of(authority)?;
            }
            serve_grpc_tls(grpc, tls, Arc::clone(&endpoint))?
        }
        None => {
            grpc_config.volt.address = Some(format!("http://{address}"));
            serve_grpc(grpc, Arc::clone(&endpoint))?
        }
    };
    let servers = [serve(listener, endpoint)?, grpc];
    Ok(Mock { config, grpc_config, legacy_config, _servers: servers })
}

fn public(config: &ClientConfig) -> Result<VerifyingKey> {
    let key = config.credential.as_ref().and_then(|credential| credential.key.as_deref());
    Ok(SigningKey::from_pem(key.context("the configuration has no key")?)?.verifying_key())
}

/// Admits one client by its key, and one that speaks the legacy protocol.
struct Clients {
    key: VerifyingKey,
    legacy_key: VerifyingKey,
}

impl Authenticator for Clients {
    fn authenticate(&self, token: &Token) -> Result<Caller, Status> {
        let key = if token.key_id().is_some() { &self.legacy_key } else { &self.key };
        match token.verify(key) {
            Ok(()) => Ok(Caller::new("session", "did:volt:client")),
            Err(error) => Err(Status::new(Code::Unauthenticated, error.to_string())),
        }
    }

    fn authenticate_key(&self, key: &VerifyingKey) -> Result<Caller, Status> {
        if *key == self.key {
            Ok(Caller::new("session", "did:volt:client"))
        } else {
            Err(Status::new(Code::Unauthenticated, "the certificate is another client's"))
        }
    }
}

struct Handlers;

impl VoltApi for Handlers {
    async fn get_resource(
        &self,
        _: Context,
        request: GetResourceRequest,
    ) -> Result<GetResourceResponse, Status> {
        Ok(echo(request))
    }

    async fn connect(
        &self,
        _: Context,
        mut requests: Requests<ConnectRequest>,
        mut responses: Responses<ConnectResponse>,
    ) -> Result<(), Status> {
        while let Some(request) = requests.message().await? {
            if let Some(connect_request::Payload::Hello(_)) = request.payload {
                let acknowledge = ConnectAcknowledge::default().with_connection_id("connection");
                responses.send(ConnectResponse::default().with_acknowledge(acknowledge)).await?;
            }
        }
        Ok(())
    }
}

impl FileApi for Handlers {
    async fn download_file(
        &self,
        _: Context,
        request: DownloadFileRequest,
        mut responses: Responses<DownloadFileResponse>,
    ) -> Result<(), Status> {
        let (count, response) = blocks(&request)?;
        for _ in 0..count {
            responses.send(response.clone()).await?;
        }
        Ok(())
    }

    async fn upload_file(
        &self,
        _: Context,
        mut requests: Requests<UploadFileRequest>,
        mut responses: Responses<UploadFileResponse>,
    ) -> Result<(), Status> {
        let mut ack = 0;
        while let Some(request) = requests.message().await? {
            if let Some(upload_file_request::Payload::Block(_)) = request.payload {
                ack += 1;
                responses.send(UploadFileResponse::default().with_ack(ack)).await?;
            }
        }
        Ok(())
    }
}

/// The answer of `GetResource`.
pub fn echo(request: GetResourceRequest) -> GetResourceResponse {
    let resource = volt_api::volt::Resource::default().with_id(request.resource_id);
    GetResourceResponse::default().with_resource(resource)
}

/// The number of blocks of a file, and its only block. The id of the file is its size and block size.
pub fn blocks(request: &DownloadFileRequest) -> Result<(u64, DownloadFileResponse), Status> {
    let numbers = request.resource_id.split_once('/');
    let numbers =
        numbers.and_then(|(bytes, block)| Some((bytes.parse().ok()?, block.parse().ok()?)));
    match numbers {
        Some((bytes, block)) if block > 0 => {
            let bytes: u64 = bytes;
            let content: Vec<u8> = (0..=u8::MAX).cycle().take(block).collect();
            Ok((bytes / block as u64, DownloadFileResponse::default().with_block(content)))
        }
        _ => Err(Status::new(Code::InvalidArgument, "the id of a file is BYTES/BLOCK")),
    }
}
