//! Compatibility checks between the versions of the SDK and a Volt.

use volt_api::{
    API_VERSION, ApiVersion, Channel, Client, Status,
    server::{Context, Router},
    volt::{
        CheckCompatibilityRequest, CheckCompatibilityResponse, Version, VoltApi, VoltApiServer,
    },
};

use crate::support::start;

#[tokio::test]
async fn a_volt_of_the_same_api_fits() {
    let (_volt, client) = start().await;
    let found = client.check_compatibility().await.unwrap();
    assert!(found.is_compatible() && !found.is_volt_newer());
    assert_eq!(found.sdk.to_string(), API_VERSION);
    assert_eq!(found.volt, Some(found.sdk));
}

struct Other(Result<Version, Status>);

impl VoltApi for Other {
    async fn check_compatibility(
        &self,
        _: Context,
        request: CheckCompatibilityRequest,
    ) -> Result<CheckCompatibilityResponse, Status> {
        let sdk = ApiVersion::of_sdk();
        assert_eq!(request.version.unwrap_or_default().version_minor, sdk.minor);
        Ok(CheckCompatibilityResponse::default().with_version(self.0.clone()?))
    }
}

fn client(answer: Result<Version, Status>) -> Client {
    Client::from_channel(Channel::in_process(Router::new().with(VoltApiServer::new(Other(answer)))))
}

#[tokio::test]
async fn newer_and_objecting_volts_are_distinguished() {
    let newer = Version::default().with_version_minor(99);
    let found = client(Ok(newer)).check_compatibility().await.unwrap();
    assert!(found.is_compatible() && found.is_volt_newer());
    let objection = Status::new(volt_api::Code::FailedPrecondition, "too old");
    let found = client(Err(objection)).check_compatibility().await.unwrap();
    assert_eq!(found.objection.as_deref(), Some("too old"));
    let broken = Status::new(volt_api::Code::Internal, "broken");
    client(Err(broken)).check_compatibility().await.unwrap_err();
}

#[test]
fn versions_are_read_and_compared_by_their_numbers() {
    let version = |text: &str| text.parse::<ApiVersion>().unwrap();
    assert!(version("0.20.34") < version("0.20.100") && version("1") > version("0.99.99"));
    "0.x".parse::<ApiVersion>().unwrap_err();
}
