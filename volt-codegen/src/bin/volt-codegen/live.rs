//! Asks a Volt for its services.
//!
//! The messages have only the fields that are needed here: the whole types are in the crate
//! `volt-api`, which depends on this one.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use volt_runtime::{
    ClientConfig, ConnectOptions, Message, Method, MethodKind, Status, UnaryCall, connect,
};

const DISCOVER_SERVICES: Method =
    Method { path: "/tdx.volt_api.volt.v1.VoltAPI/DiscoverServices", kind: MethodKind::Unary };

#[derive(Clone, PartialEq, Serialize, Deserialize, prost::Message)]
#[serde(default)]
struct Request {
    #[prost(bool, tag = "2")]
    include_offline: bool,
    #[prost(bool, tag = "4")]
    include_protobuf: bool,
}

#[derive(Clone, PartialEq, Serialize, Deserialize, prost::Message)]
#[serde(default)]
struct Response {
    #[prost(message, optional, tag = "1")]
    status: Option<Refusal>,
    #[prost(message, repeated, tag = "2")]
    resource: Vec<Resource>,
}

#[derive(Clone, PartialEq, Serialize, Deserialize, prost::Message)]
#[serde(default)]
struct Refusal {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(string, tag = "3")]
    description: String,
}

#[derive(Clone, PartialEq, Serialize, Deserialize, prost::Message)]
#[serde(default)]
struct Resource {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "4")]
    name: String,
    #[prost(message, optional, tag = "8")]
    #[serde(alias = "serviceDescription")]
    service_description: Option<ServiceDescription>,
}

#[derive(Clone, PartialEq, Serialize, Deserialize, prost::Message)]
#[serde(default)]
struct ServiceDescription {
    #[prost(message, repeated, tag = "12")]
    #[serde(alias = "protoFile")]
    proto_file: Vec<ProtoFile>,
    #[prost(string, repeated, tag = "13")]
    #[serde(alias = "serviceApi")]
    service_api: Vec<String>,
}

#[derive(Clone, PartialEq, Serialize, Deserialize, prost::Message)]
#[serde(default)]
struct ProtoFile {
    #[prost(string, tag = "1")]
    #[serde(alias = "filePath")]
    file_path: String,
    #[prost(string, tag = "2")]
    protobuf: String,
}

impl Message for Request {
    const NAME: &'static str = "tdx.volt_api.volt.v1.DiscoverServicesRequest";
}

impl Message for Response {
    const NAME: &'static str = "tdx.volt_api.volt.v1.DiscoverServicesResponse";

    fn refusal(&self) -> Option<Status> {
        let Refusal { code, message, description } = self.status.as_ref()?;
        Status::from_parts(*code, message, description)
    }
}

/// All services that the configuration's client can see, with their files, as JSON.
pub(crate) fn discover(config: &Path) -> anyhow::Result<Value> {
    let config = ClientConfig::from_file(config)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let channel = connect(&config, ConnectOptions::default()).await?;
        let request = Request { include_protobuf: true, include_offline: true };
        let call = UnaryCall::<_, Response>::new(&channel, &DISCOVER_SERVICES, request);
        Ok(serde_json::to_value(call.await?.resource)?)
    })
}
