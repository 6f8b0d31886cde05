//! Hosts the service on an embedded Volt and calls it there, in all four kinds.

use std::{error::Error, time::Duration};

use volt_api::{
    Client, Code, Status, Target,
    server::{Context, Requests, Responses},
    volt::{
        Access, AttributeValue, DiscoverServicesRequest, Resource, SaveAccessRequest,
        SaveResourceRequest,
    },
};
use volt_embedded::EmbeddedVolt;

use crate::kinds::v1::{
    Answer, Text,
    KindsApi, KindsApiClient, KindsApiServer,
};

struct Kinds;

fn text(text: &str) -> Text {
    Text::default().with_text(text)
}

fn answer(text: &str) -> Answer {
    Answer::default().with_text(text)
}

impl KindsApi for Kinds {
    async fn shout(&self, _: Context, request: Text) -> Result<Answer, Status> {
        if request.text.is_empty() {
            return Err(Status::new(Code::InvalidArgument, "nothing to shout"));
        }
        let value = AttributeValue::default().with_integer(7);
        Ok(answer(&request.text.to_uppercase()).with_value(value))
    }

    async fn letters(
        &self,
        _: Context,
        request: Text,
        mut answers: Responses<Answer>,
    ) -> Result<(), Status> {
        for letter in request.text.chars() {
            answers.send(answer(&letter.to_string())).await?;
        }
        Ok(())
    }

    async fn join(&self, _: Context, mut requests: Requests<Text>) -> Result<Answer, Status> {
        let mut joined = String::new();
        while let Some(part) = requests.message().await? {
            joined += &part.text;
        }
        Ok(answer(&joined))
    }

    async fn echo(
        &self,
        _: Context,
        mut requests: Requests<Text>,
        mut answers: Responses<Answer>,
    ) -> Result<(), Status> {
        while let Some(request) = requests.message().await? {
            answers.send(answer(&request.text)).await?;
        }
        Ok(())
    }
}

/// No glob import has a module with the crate's name: that would make every path below ambiguous.
mod globs {
    use volt_api::{Client, ClientConfig, api::*, data::*, volt::*};

    pub(super) async fn name(config: ClientConfig, id: &str) -> volt_api::Result<String> {
        let client = Client::connect(config).await?;
        let request = GetResourceRequest::default().with_resource_id(id);
        let resource: volt_api::volt::Resource =
            client.volt().get_resource(request).await?.resource.unwrap_or_default();
        let _: (SqlExecuteStart, relay::v1::RelayApiClient) =
            (SqlExecuteStart::default(), relay::v1::RelayApiClient::new(client.channel().clone()));
        Ok(resource.name)
    }
}

pub async fn run() -> Result<(), Box<dyn Error>> {
    tokio::time::timeout(Duration::from_secs(60), calls()).await?
}

async fn calls() -> Result<(), Box<dyn Error>> {
    let volt = EmbeddedVolt::start().await?;
    let host = Client::connect(volt.guest("host")?).await?;
    let server = KindsApiServer::new(Kinds);
    let request = SaveResourceRequest::default()
        .with_create(true)
        .with_resource(Resource::hosted_service("kinds", &server));
    let resource = host.volt().save_resource(request).await?.resource.ok_or("no resource")?;
    let presence = host.presence().host(&resource, server).await?;

    let config = volt.guest("caller")?;
    let identity = config.credential.as_ref().and_then(|credential| credential.identity_did.clone());
    let rule = Access::default()
        .with_resource_id(&resource.id)
        .with_identity_did(identity.ok_or("no identity")?)
        .with_access("volt:resource-read");
    host.volt().save_access(SaveAccessRequest::default().with_access(rule)).await?;

    assert_eq!(globs::name(config.clone(), &resource.id).await?, resource.name);
    let caller = Client::connect(config).await?;
    let request = DiscoverServicesRequest::default().with_service_api([KindsApiClient::NAME]);
    let found = caller.volt().discover_services(request).await?.resource;
    let target = Target::from(found.first().ok_or("the service is not found")?);
    let kinds = KindsApiClient::new(caller.channel().clone());

    let shouted = kinds.shout(text("hat")).service(target.clone()).await?;
    assert_eq!(shouted, answer("HAT").with_value(AttributeValue::default().with_integer(7)));
    // In the message's status field.
    let refused = kinds.shout(text("")).service(target.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");

    let mut letters = kinds.letters(text("abc")).service(target.clone()).await?;
    for letter in ["a", "b", "c"] {
        assert_eq!(letters.message().await?, Some(answer(letter)));
    }
    assert_eq!(letters.message().await?, None);

    let mut join = kinds.join().service(target.clone()).await?;
    for part in ["a", "b", "c"] {
        join.send(text(part)).await?;
    }
    assert_eq!(join.finish().await?, answer("abc"));

    let mut echo = kinds.echo().service(target).await?;
    for word in ["a", "b", "c"] {
        echo.send(text(word)).await?;
        assert_eq!(echo.message().await?, Some(answer(word)));
    }
    echo.half_close();
    assert_eq!(echo.message().await?, None);

    presence.close().await?;
    println!("all four kinds were answered");
    Ok(())
}
