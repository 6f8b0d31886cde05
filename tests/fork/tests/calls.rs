//! Calls of a fork's methods, through a `Client` with an accessor for each service.

#![allow(clippy::unwrap_used)]

use volt_api::{
    Channel, Code, Status,
    server::{Context, Router},
    testing::Mock,
    volt::{self, VoltApiClient},
};
use volt_fork::{
    before, by_macro,
    fork::{
        self,
        volt::{
            v1::{
                GetMoodRequest, GetMoodResponse, GetResourceRequest, GetResourceResponse, Resource,
                VoltApi, VoltApiServer,
            },
            v2,
        },
    },
    whole,
};

struct Moods;

impl VoltApi for Moods {
    async fn get_resource(
        &self,
        _: Context,
        request: GetResourceRequest,
    ) -> Result<GetResourceResponse, Status> {
        let resource = Resource::default().with_id(request.resource_id).with_mood("calm");
        Ok(GetResourceResponse::default().with_resource(resource))
    }

    async fn get_mood(&self, _: Context, _: GetMoodRequest) -> Result<GetMoodResponse, Status> {
        Err(Status::new(Code::NotFound, "no mood"))
    }
}

impl v2::VoltApi for Moods {
    async fn get_mood(
        &self,
        _: Context,
        request: GetMoodRequest,
    ) -> Result<GetMoodResponse, Status> {
        Ok(GetMoodResponse::default().with_mood(format!("{} is calm", request.resource_id)))
    }
}

fn channel() -> Channel {
    let router = Router::new().with(VoltApiServer::new(Moods)).with(v2::VoltApiServer::new(Moods));
    Channel::in_process(router)
}

#[tokio::test]
async fn new_methods_and_fields_of_a_fork_exist() {
    let client = fork::Client::from_channel(channel());
    let request = GetResourceRequest::default().with_resource_id("garden");
    let resource = client.volt().get_resource(request).await.unwrap().resource.unwrap();
    assert_eq!((resource.id.as_str(), resource.mood.as_str()), ("garden", "calm"));
    // Each package of the service has its accessor.
    let request = || GetMoodRequest::default().with_resource_id("garden");
    let answer = client.volt_v2().get_mood(request()).await.unwrap();
    assert_eq!(answer.mood, "garden is calm");
    // The status in a response is an error, as in the SDK.
    let error = client.volt().get_mood(request()).await.unwrap_err();
    assert!(error.is_refused() && error.code() == Code::NotFound, "{error}");
}

#[tokio::test]
async fn programs_of_an_earlier_fork_still_work() {
    let client = before::Client::from_channel(channel());
    let request = before::volt::v1::GetResourceRequest::default().with_resource_id("garden");
    let resource = client.volt().get_resource(request).await.unwrap().resource.unwrap();
    assert_eq!(resource.id, "garden");
}

#[tokio::test]
async fn the_macro_generates_the_same_client() {
    let client = by_macro::Client::from_channel(channel());
    let request = by_macro::volt::v1::GetResourceRequest::default().with_resource_id("garden");
    let resource = client.volt().get_resource(request).await.unwrap().resource.unwrap();
    assert_eq!(resource.mood, "calm");
}

#[test]
fn secrets_of_the_sdk_are_secrets_of_a_fork() {
    let resource = Resource::default().with_key_passphrase("open sesame");
    let shown = format!("{resource:?}");
    assert!(!shown.contains("sesame"), "{shown}");
}

#[test]
fn fields_of_a_fork_that_look_secret_are_hidden() {
    let resource = Resource::default().with_api_token("open sesame");
    let by_macro = by_macro::volt::v1::Resource::default().with_api_token("open sesame");
    for shown in [format!("{resource:?}"), format!("{by_macro:?}")] {
        assert!(shown.contains("api_token") && !shown.contains("sesame"), "{shown}");
    }
}

#[tokio::test]
async fn one_value_suits_the_clients_of_the_sdk_and_of_a_fork() {
    let mock = Mock::new().on(VoltApiClient::DELETE_RESOURCE, |_| async {
        Ok(volt::DeleteResourceResponse::default())
    });
    let channel = mock.channel();
    let sdk = volt_api::Client::from_channel(channel.clone());
    let fork = whole::Client::from_channel(channel);
    let request = volt::DeleteResourceRequest::default();
    let first: volt::DeleteResourceResponse =
        fork.volt().delete_resource(request.clone()).await.unwrap();
    assert_eq!(sdk.volt().delete_resource(request).await.unwrap(), first);
    // The changed message, and those that contain it, are the fork's own.
    let resource = whole::volt::v1::Resource::default().with_mood("calm");
    let answer = whole::volt::v1::GetResourceResponse::default().with_resource(resource);
    assert_eq!(answer.resource.unwrap().mood, "calm");
}
