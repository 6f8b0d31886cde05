//! The API 0.15.1, generated and compiled by a crate of its own, works.

use volt_api_older::tdx::volt_api::volt::v1::{
    GetResourceRequest, GetResourceResponse,
    volt_api::{self, VoltApi, VoltApiClient, VoltApiServer},
};
use volt_runtime::{
    Channel, Code, Status,
    server::{Context, Router},
};

struct Volt;

impl VoltApi for Volt {
    async fn get_resource(
        &self,
        _: Context,
        _: GetResourceRequest,
    ) -> Result<GetResourceResponse, Status> {
        Err(Status::new(Code::NotFound, "no such resource"))
    }
}

#[tokio::test]
async fn the_older_api_compiles_and_can_be_called() {
    assert_eq!(volt_api::NAME, "tdx.volt_api.volt.v1.VoltAPI");
    let channel = Channel::in_process(Router::new().with(VoltApiServer::new(Volt)));
    let call = VoltApiClient::new(channel).get_resource(GetResourceRequest::default());
    assert_eq!(call.await.expect_err("it is refused").code(), Code::NotFound);
}
