//! The scenario `hosted-by-grpc`: calls of all four kinds to a service that the published client for gRPC hosts.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use volt_api::{Client, Target, volt::DiscoverServicesRequest};

use crate::refusal;

mod proto {
    volt_api::include_proto!(
        "../tests/interop/echo.proto",
        includes = ["../tests/interop"],
        server = false,
    );
}

use proto::interop::v1::{EchoApiClient, EchoRequest};

/// A number that floating-point numbers cannot represent.
const NUMBER: u64 = (1 << 53) + 1;
const DATA: [u8; 3] = [0, 255, 128];

/// Runs the scenario.
pub(crate) async fn run(client: &Client) -> Result<Value> {
    let request = DiscoverServicesRequest::default().with_service_api([EchoApiClient::NAME]);
    let found = client.volt().discover_services(request).await?.resource;
    let service = Target::from(found.last().context("no service has been found")?);
    let echo = EchoApiClient::new(client.channel().clone());

    let request = text("naïve ☃").with_number(NUMBER).with_data(DATA);
    let said = echo.say(request).service(service.clone()).await?;
    let refused = refusal(echo.say(text("refuse")).service(service.clone()).await)?;
    let Err(failed) = echo.say(text("fail")).service(service.clone()).await else {
        bail!("the call did not fail");
    };

    let request = text("again").with_number(3);
    let mut repeat = echo.repeat(request).service(service.clone()).await?;
    let mut repeated = Vec::new();
    while let Some(answer) = repeat.message().await? {
        repeated.push(answer.text);
    }
    let mut gather = echo.gather().service(service.clone()).await?;
    for word in ["one", "two", "three"] {
        gather.send(text(word)).await?;
    }
    let gathered = gather.finish().await?.text;

    let mut ended_by_caller = Vec::new();
    let mut converse = echo.converse().service(service.clone()).await?;
    for word in ["one", "two"] {
        converse.send(text(word)).await?;
        ended_by_caller.push(converse.message().await?.context("the host ended the call")?.text);
    }
    converse.half_close();
    while let Some(answer) = converse.message().await? {
        ended_by_caller.push(answer.text);
    }
    let mut ended_by_host = Vec::new();
    let mut converse = echo.converse().service(service.clone()).await?;
    for word in ["three", "end"] {
        converse.send(text(word)).await?;
        ended_by_host.push(converse.message().await?.context("the host ended the call")?.text);
    }
    ensure!(converse.message().await?.is_none(), "the host did not end the call");

    let mut gather = echo.gather().service(service.clone()).await?;
    gather.send(text("one")).await?;
    let mut converse = echo.converse().service(service.clone()).await?;
    converse.send(text("one")).await?;
    converse.message().await?.context("the host ended the call")?;
    // The caller leaves, and the host must forget both calls.
    drop((gather, converse));
    while echo.say(text("open")).service(service.clone()).await?.open > 0 {}

    Ok(json!({
        "caller": said.caller,
        "said": said.text,
        "intact": said.number == NUMBER && said.data == DATA,
        "code": refused["code"],
        "failed": failed.status().context("the host failed the call")?.message(),
        "repeated": repeated,
        "gathered": gathered,
        "ended_by_caller": ended_by_caller,
        "ended_by_host": ended_by_host,
        "open": 0,
    }))
}

fn text(text: &str) -> EchoRequest {
    EchoRequest::default().with_text(text)
}
