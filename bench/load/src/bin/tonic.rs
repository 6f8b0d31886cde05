//! The unary call, the download and the upload with tonic over TLS, with the SDK's messages.

use anyhow::{Context as _, Result, bail, ensure};
use clap::Parser as _;
use tonic::{
    Request,
    transport::{Certificate, Channel, ClientTlsConfig},
};
use volt_api::volt::{
    DownloadFileRequest, GetResourceRequest, UploadFileRequest, UploadFileStart,
    download_file_response::Payload,
};
use volt_bench_load::{Peers, grpc::load_client::LoadClient};
use volt_bench_measure::{Load, Measured, Span, Work, closed_loop};

#[tokio::main]
async fn main() -> Result<()> {
    let load = Load::parse();
    let peers: Peers = volt_bench_load::read(&load.config)?;
    let server = peers.grpc.context("the server was built without tonic")?;
    let certificate = Certificate::from_pem(server.certificate);
    let tls = ClientTlsConfig::new().ca_certificate(certificate).domain_name("localhost");
    let channel = Channel::from_shared(format!("https://127.0.0.1:{}", server.port))?;
    let client = LoadClient::new(channel.tls_config(tls)?.connect().await?);
    let measured = match load.work {
        Work::Unary => unary(&load, client).await?,
        Work::Download => download(&load, client).await?,
        Work::Upload => upload(&load, client).await?,
        _ => bail!("this program does not support {:?}", load.work),
    };
    load.finish(&measured).with_context(|| load.out.display().to_string())
}

async fn unary(load: &Load, client: LoadClient<Channel>) -> Result<Measured> {
    let size = load.size;
    let request = GetResourceRequest::default().with_resource_id(load.text());
    let call = move || {
        let (mut client, request) = (client.clone(), request.clone());
        async move {
            let answer = client.get_resource(Request::new(request)).await?.into_inner();
            let answered = answer.resource.map_or(0, |resource| resource.id.len());
            ensure!(answered == size, "{answered} bytes were returned");
            Ok(())
        }
    };
    closed_loop(load, call).await
}

async fn download(load: &Load, mut client: LoadClient<Channel>) -> Result<Measured> {
    let span = Span::start(load);
    let request = DownloadFileRequest::default().with_resource_id(load.file());
    let mut call = client.download_file(Request::new(request)).await?.into_inner();
    let (mut blocks, mut bytes) = (0, 0);
    while let Some(answer) = call.message().await? {
        if let Some(Payload::Block(block)) = answer.payload {
            blocks += 1;
            bytes += block.len() as u64;
        }
    }
    ensure!(blocks == load.blocks(), "{blocks} blocks came");
    Ok(span.finish(blocks, bytes))
}

async fn upload(load: &Load, mut client: LoadClient<Channel>) -> Result<Measured> {
    let block: Vec<u8> = (0..=u8::MAX).cycle().take(load.size).collect();
    let blocks = load.blocks();
    let span = Span::start(load);
    let start = UploadFileStart::default().with_resource_id(load.file());
    let start = UploadFileRequest::default().with_start(start);
    let requests = (0..blocks).map(move |_| UploadFileRequest::default().with_block(&*block));
    let requests = futures_util::stream::iter(std::iter::once(start).chain(requests));
    let mut answers = client.upload_file(requests).await?.into_inner();
    let mut acks = 0;
    while answers.message().await?.is_some() {
        acks += 1;
    }
    ensure!(acks == blocks, "{acks} blocks were acknowledged");
    Ok(span.finish(blocks, blocks * load.size as u64))
}
