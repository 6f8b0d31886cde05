//! Compatibility checks between the versions of the SDK and a Volt.

use volt_api::{
    API_VERSION, ApiVersion, Channel, Client, Code, Status, VoltAge,
    server::{Context, Router},
    volt::{
        CheckCompatibilityRequest, CheckCompatibilityResponse, GetSessionsRequest, Version,
        VoltApi, VoltApiClient, VoltApiServer,
    },
};

use crate::support::start;

#[tokio::test]
async fn a_volt_of_the_same_api_is_compatible() {
    let (_volt, client) = start().await;
    let found = client.check_compatibility().await.unwrap();
    assert!(found.is_compatible() && !found.is_volt_newer());
    assert_eq!(found.sdk.to_string(), API_VERSION);
    assert_eq!(found.volt, Some(found.sdk));
    assert_eq!(found.age(), VoltAge::Same);
    assert!(found.lacks(VoltApiClient::METHODS).is_empty());
}

/// A Volt with its answers to a client that names its version, and to one that does not.
struct Other {
    named: Result<Version, Status>,
    unnamed: Result<Version, Status>,
}

impl VoltApi for Other {
    async fn check_compatibility(
        &self,
        _: Context,
        request: CheckCompatibilityRequest,
    ) -> Result<CheckCompatibilityResponse, Status> {
        let answer = match request.version {
            Some(version) => {
                assert_eq!(version.version_minor, ApiVersion::of_sdk().minor);
                &self.named
            }
            None => &self.unnamed,
        };
        Ok(CheckCompatibilityResponse::default().with_version(answer.clone()?))
    }
}

fn client(named: Result<Version, Status>, unnamed: Result<Version, Status>) -> Client {
    let server = VoltApiServer::new(Other { named, unnamed });
    Client::from_channel(Channel::in_process(Router::new().with(server)))
}

fn version(text: &str) -> Version {
    let version: ApiVersion = text.parse().unwrap();
    Version::default()
        .with_version_major(version.major)
        .with_version_minor(version.minor)
        .with_version_patch(version.patch)
}

fn refused(code: Code) -> Status {
    Status::new(code, "too old")
}

#[tokio::test]
async fn volts_that_accept_the_sdk_are_older_or_newer() {
    let unused = || Err(refused(Code::Internal));
    let sdk = ApiVersion::of_sdk();
    let newer = version(&format!("{}.{}.0", sdk.major, sdk.minor + 1));
    let newer = client(Ok(newer), unused()).check_compatibility().await.unwrap();
    assert!(newer.is_compatible() && newer.is_volt_newer());
    assert_eq!(newer.age(), VoltAge::Newer);
    assert!(newer.lacks(VoltApiClient::METHODS).is_empty());
    let older = client(Ok(version("0.15.1")), unused()).check_compatibility().await.unwrap();
    assert!(older.is_compatible() && !older.is_volt_newer());
    assert_eq!(older.age(), VoltAge::Older);
}

#[tokio::test]
async fn an_incompatible_volt_is_queried_for_its_version() {
    let objects = || Err(refused(Code::FailedPrecondition));
    let found = client(objects(), Ok(version("0.15.1"))).check_compatibility().await.unwrap();
    assert_eq!(found.objection.as_deref(), Some("too old"));
    assert_eq!(found.volt, Some("0.15.1".parse().unwrap()));
    assert_eq!(found.age(), VoltAge::Older);
    // It may refuse to answer without a version.
    let found = client(objects(), Err(refused(Code::InvalidArgument))).check_compatibility().await;
    let found = found.unwrap();
    assert_eq!((found.objection.as_deref(), found.volt), (Some("too old"), None));
    assert_eq!(found.age(), VoltAge::Unknown);
    // Other failures are errors.
    let broken = client(Err(refused(Code::Internal)), Ok(version("0.15.1")));
    broken.check_compatibility().await.unwrap_err();
}

#[tokio::test]
async fn an_older_volt_lacks_the_methods_that_are_newer() {
    let older = client(Ok(version("0.15.1")), Err(refused(Code::Internal)));
    let found = older.check_compatibility().await.unwrap();
    let lacking = found.lacks(VoltApiClient::METHODS);
    let has = |name: &str| lacking.iter().any(|method| method.path.ends_with(name));
    assert!(has("/GetSessions") && has("/Authenticate"), "{lacking:?}");
    assert!(!has("/GetResource"), "{lacking:?}");
    // The error of such a call names the version that has the method.
    let error = older.volt().get_sessions(GetSessionsRequest::default()).await.unwrap_err();
    assert_eq!((error.code(), error.since()), (Code::Unimplemented, Some("0.20.34")));
    assert!(error.to_string().contains("the method exists since API 0.20.34"), "{error}");
}

#[test]
fn versions_are_read_and_compared_by_their_numbers() {
    let version = |text: &str| text.parse::<ApiVersion>().unwrap();
    assert!(version("0.20.34") < version("0.20.100") && version("1") > version("0.99.99"));
    "0.x".parse::<ApiVersion>().unwrap_err();
}
