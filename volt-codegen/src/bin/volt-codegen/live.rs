//! Asks a Volt for its services.
//!
//! Reads the messages as untyped JSON: their types are in the crate `volt-api`, which depends on
//! this one.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use volt_runtime::{
    ClientConfig, ConnectOptions, Message, Method, MethodKind, Status, UnaryCall, connect,
};

const DISCOVER_SERVICES: Method =
    Method { path: "/tdx.volt_api.volt.v1.VoltAPI/DiscoverServices", kind: MethodKind::Unary };

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
struct Request(Value);

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
struct Response(Value);

impl Message for Request {
    const NAME: &'static str = "tdx.volt_api.volt.v1.DiscoverServicesRequest";
}

impl Message for Response {
    const NAME: &'static str = "tdx.volt_api.volt.v1.DiscoverServicesResponse";

    fn refusal(&self) -> Option<Status> {
        let status = self.0.get("status")?;
        let text = |name| status.get(name).and_then(Value::as_str).unwrap_or_default();
        let code = status.get("code").and_then(Value::as_i64).unwrap_or_default();
        Status::from_parts(i32::try_from(code).unwrap_or(2), text("message"), text("description"))
    }
}

/// All services that the configuration's client can see, with their files.
pub(crate) fn discover(config: &Path) -> anyhow::Result<Value> {
    let config = ClientConfig::from_file(config)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let channel = connect(&config, ConnectOptions::default()).await?;
        let request = Request(json!({ "include_protobuf": true, "include_offline": true }));
        let call = UnaryCall::<_, Response>::new(&channel, &DISCOVER_SERVICES, request);
        Ok(call.await?.0)
    })
}
