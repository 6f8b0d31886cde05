//! Types that two versions of the API have in common.

use std::any::Any;

use volt_api::{Client, testing::Mock, v0_15, volt};
use volt_codegen::{Options, Sources, VERSIONS, VOLT_API, same_types};

/// Returns whether the definitions of a type are the same in API 0.15.1 and in the SDK's own API.
fn is_same(name: &str) -> bool {
    let compile = |files: &[(&str, &str)]| {
        let mut sources = Sources::default();
        let files = files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        sources.files.extend(files);
        sources.compile().unwrap()
    };
    let (_, old) = VERSIONS.iter().find(|(version, _)| *version == v0_15::API_VERSION).unwrap();
    let sets = [&compile(old), &compile(VOLT_API)];
    same_types(sets, [&Options::default(), &Options::default()]).unwrap().contains_key(name)
}

#[tokio::test]
async fn one_value_suits_the_clients_of_two_versions() {
    let mock = Mock::new().on(volt::VoltApiClient::DELETE_RESOURCE, |request| async move {
        assert_eq!(request.resource_id, "@old");
        Ok(volt::DeleteResourceResponse::default())
    });
    let channel = mock.channel();
    let old = v0_15::Client::from_channel(channel.clone());
    let new = Client::from_channel(channel);
    let request = v0_15::volt::DeleteResourceRequest::default().with_resource_id("@old");
    old.volt().delete_resource(request.clone()).await.unwrap();

    // A later API may separate the types, so this does not rely on their equality.
    let one: Result<Box<volt::DeleteResourceRequest>, _> =
        (Box::new(request) as Box<dyn Any>).downcast();
    assert_eq!(one.is_ok(), is_same("tdx.volt_api.volt.v1.DeleteResourceRequest"));
    if let Ok(one) = one {
        new.volt().delete_resource(*one).await.unwrap();
    }
}

#[test]
fn differing_versions_of_a_type_are_separate_types() {
    let pair = |old: &dyn Any, new: &dyn Any| old.type_id() == new.type_id();
    for (one, name) in [
        (pair(&v0_15::volt::Resource::default(), &volt::Resource::default()), "Resource"),
        (pair(&v0_15::volt::Status::default(), &volt::Status::default()), "Status"),
        (pair(&v0_15::volt::ShareMode::Trusted, &volt::ShareMode::Trusted), "ShareMode"),
    ] {
        assert_eq!(one, is_same(&format!("tdx.volt_api.volt.v1.{name}")), "{name}");
    }
}
