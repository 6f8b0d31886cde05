//! Calls by name.

use std::fs;

use serde_json::{Value, json};
use volt_api::{
    Channel, Client, Code, ErrorKind, Executed, Status, TypedMethod,
    server::{Context, Responses, Router},
    testing::Mock,
    volt::{
        DiscoverServicesRequest, DiscoverServicesResponse, DownloadFileRequest,
        DownloadFileResponse, FileApi, FileApiServer, GetResourceRequest, GetResourceResponse,
        ProtoFile, Resource, ServiceDescription, ServiceHostType, VoltApi, VoltApiClient,
        VoltApiServer,
    },
    well_known::WellKnown,
};
use volt_runtime::{__core::Encoding, Method, MethodKind, call::Unary};
use volt_test_support::soon;

use crate::support::{shop, start};

struct Volt;

impl VoltApi for Volt {
    async fn get_resource(
        &self,
        _: Context,
        request: GetResourceRequest,
    ) -> Result<GetResourceResponse, Status> {
        if request.resource_id == "@none" {
            return Err(Status::new(Code::NotFound, "no such resource").with_description("why"));
        }
        let service = ServiceDescription::default().with_host_type(ServiceHostType::Relayed);
        let resource = Resource::default()
            .with_id(request.resource_id)
            .with_created(1_700_000_000_000)
            .with_kind(["volt:folder"])
            .with_service_description(service);
        Ok(GetResourceResponse::default().with_resource(resource))
    }
}

impl FileApi for Volt {
    async fn download_file(
        &self,
        _: Context,
        request: DownloadFileRequest,
        mut responses: Responses<DownloadFileResponse>,
    ) -> Result<(), Status> {
        for block in [request.resource_id.into_bytes(), vec![0, 255]] {
            responses.send(DownloadFileResponse::default().with_block(block)).await?;
        }
        Err(Status::new(Code::DataLoss, "the disk is broken"))
    }
}

/// Clients of the same services, whose messages travel as JSON and as protobuf.
fn clients() -> [Client; 2] {
    [Encoding::Json, Encoding::Protobuf].map(|encoding| {
        let router = Router::new().with(VoltApiServer::new(Volt)).with(FileApiServer::new(Volt));
        Client::from_channel(Channel::in_process_with(router, encoding))
    })
}

#[tokio::test]
async fn a_record_is_the_same_over_both_encodings() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("calls.jsonl");
    let mut records = Vec::new();
    for client in clients() {
        let client = Client::from_channel(client.channel().record(&path).unwrap());
        let recorded = resource_and_block(&client).await;
        let replay = Client::from_channel(Channel::replay(&path).unwrap());
        assert_eq!(resource_and_block(&replay).await, recorded);
        records.push(fs::read_to_string(&path).unwrap());
    }
    assert_eq!(records[1], records[0]);
}

/// Makes two calls by name, and returns what they received.
async fn resource_and_block(client: &Client) -> [Value; 2] {
    let request = json!({ "resource_id": "@a" });
    let resource = soon(client.call("VoltAPI/GetResource", request.clone())).await.unwrap();
    let download = client.call("FileAPI/DownloadFile", request);
    let mut blocks = soon(download.stream()).await.unwrap();
    let block = soon(blocks.message()).await.unwrap().unwrap();
    [resource, block]
}

#[tokio::test]
async fn a_response_is_the_same_json_over_both_encodings() {
    for client in clients() {
        for name in [
            "VoltAPI/GetResource",
            "tdx.volt_api.volt.v1.VoltAPI/GetResource",
            "/tdx.volt_api.volt.v1.VoltAPI/GetResource",
        ] {
            // Names of the `.proto` and in camelCase are both accepted.
            for request in [json!({ "resource_id": "@a" }), json!({ "resourceId": "@a" })] {
                let answer = soon(client.call(name, request)).await.unwrap();
                let expected = json!({ "resource": {
                    "id": "@a",
                    "created": "1700000000000",
                    "kind": ["volt:folder"],
                    "service_description": { "host_type": "SERVICE_HOST_TYPE_RELAYED" },
                }});
                assert_eq!(answer, expected);
            }
        }
    }
}

#[tokio::test]
async fn a_refusal_is_an_error_as_in_a_typed_call() {
    for client in clients() {
        let call = client.call("VoltAPI/GetResource", json!({ "resource_id": "@none" }));
        let error = soon(call).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, Code::NotFound));
        assert_eq!(error.status().unwrap().description(), "why");
    }
}

#[tokio::test]
async fn responses_stream_and_end_with_the_error_of_the_volt() {
    for client in clients() {
        let call = client.call("FileAPI/DownloadFile", json!({ "resource_id": "id" }));
        let mut blocks = soon(call.stream()).await.unwrap();
        assert_eq!(soon(blocks.message()).await.unwrap(), Some(json!({ "block": "aWQ=" })));
        assert_eq!(soon(blocks.message()).await.unwrap(), Some(json!({ "block": "AP8=" })));
        assert_eq!(soon(blocks.message()).await.unwrap_err().code(), Code::DataLoss);
        let call = client.call("FileAPI/DownloadFile", json!({}));
        let error = soon(call).await.unwrap_err();
        assert!(error.to_string().contains("use `call(…).stream()`"), "{error}");
    }
}

#[tokio::test]
async fn mistakes_are_found_before_anything_is_sent() {
    // A mock without closures, which would refuse every call.
    let client = Client::from_channel(Mock::new().channel());
    for (name, request, text) in [
        ("GetResource", json!({}), "expected `Service/Method`"),
        ("VoltApi2/GetResource", json!({}), "no service `VoltApi2`: did you mean `VoltAPI`?"),
        ("Zebra/GetResource", json!({}), "there is no service `Zebra`"),
        (
            "VoltAPI/GetResorce",
            json!({}),
            "`tdx.volt_api.volt.v1.VoltAPI` has no method `GetResorce`: did you mean `GetResource`?",
        ),
        (
            "VoltAPI/GetResource",
            json!({ "resource": "@a" }),
            "`resource` is not a field of `tdx.volt_api.volt.v1.GetResourceRequest`: did you mean \
             `resource_id`?",
        ),
        (
            "VoltAPI/SaveResource",
            json!({ "resource": { "attribute": [{}, { "naem": 1 }] } }),
            "`resource.attribute[1].naem` is not a field",
        ),
        (
            "VoltAPI/GetSessions",
            json!({ "status": "SESSION_STATUS_LIV" }),
            "`SESSION_STATUS_LIV` at `status` is not a value of \
             `tdx.volt_api.volt.v1.SessionStatus`: did you mean `SESSION_STATUS_LIVE`?",
        ),
        (
            "VoltAPI/SaveResource",
            json!({ "resource": { "kind": "x" } }),
            "`resource.kind` must be a list",
        ),
        ("VoltAPI/SaveResource", json!({ "resource": [] }), "`resource` must be an object"),
        ("VoltAPI/GetResource", json!([]), "the request must be an object"),
        ("VoltAPI/GetResource", json!({ "resource_id": 5 }), "`resource_id` must be text"),
        ("VoltAPI/SaveResource", json!({ "create": "yes" }), "`create` must be true or false"),
        (
            "VoltAPI/GetResourceDescendants",
            json!({ "depth": "SECRET" }),
            "`depth` must be a whole number",
        ),
    ] {
        let error = soon(client.call(name, request)).await.unwrap_err();
        assert_eq!((error.kind(), error.executed()), (ErrorKind::Configuration, Executed::No));
        assert!(error.to_string().contains(text), "{error}");
        assert!(!format!("{error:#}").contains("SECRET"), "{error:#}");
    }
}

#[tokio::test]
async fn all_kinds_work_on_a_volt() {
    let (volt, client) = start().await;
    shop(&client).await;
    let request = json!({ "resource_id": volt.id() });
    let root = soon(client.call("VoltAPI/GetResource", request)).await.unwrap();
    assert_eq!(root["resource"]["id"], volt.id());
    let statement = json!({ "start": { "database_id": "@shop", "statement": "SELECT 1 AS one" } });
    let call = client.call("SqliteDatabaseAPI/Execute", statement);
    let mut rows = soon(call.stream()).await.unwrap();
    rows.half_close();
    let mut seen = Vec::new();
    while let Some(row) = soon(rows.message()).await.unwrap() {
        seen.push(row);
    }
    assert!(seen.iter().any(|row| row.to_string().contains("one")), "{seen:?}");
    let error = soon(client.call("VoltAPI/GetResource", json!({ "resource_id": "@none" }))).await;
    assert_eq!(error.unwrap_err().code(), Code::NotFound);
}

static GET_PRICE: Method = Method { path: "/shop.v1.ShopAPI/GetPrice", kind: MethodKind::Unary };

const PROTO: &str = "syntax = \"proto3\";\npackage shop.v1;\n\
    import \"google/protobuf/wrappers.proto\";\n\
    service ShopAPI {\n\
      rpc GetPrice(google.protobuf.StringValue) returns (google.protobuf.DoubleValue);\n\
    }\n";

#[tokio::test]
async fn a_service_on_the_volt_is_called_by_its_published_files() {
    let price: TypedMethod<Unary<WellKnown<String>, WellKnown<f64>>> = TypedMethod::new(&GET_PRICE);
    let mock = Mock::new()
        .on(VoltApiClient::DISCOVER_SERVICES, |request: DiscoverServicesRequest| async move {
            assert!(request.include_protobuf);
            let file =
                ProtoFile::default().with_file_path("./shop/v1/shop.proto").with_protobuf(PROTO);
            let shop = ServiceDescription::default()
                .with_service_api(["shop.v1.ShopAPI"])
                .with_proto_file([file]);
            let named = |id: &str| Resource::default().with_id(id).with_name("empty");
            let resource = [
                Resource::default().with_id("1").with_name("shop").with_service_description(shop),
                named("2"),
                named("3"),
            ];
            Ok(DiscoverServicesResponse::default().with_resource(resource))
        })
        .on(price, |article: WellKnown<String>| async move {
            if article.0 == "apple" { Ok(1.5.into()) } else { Ok(0.25.into()) }
        });
    let client = Client::from_channel(mock.channel());
    for wanted in ["shop.v1.ShopAPI", "shop", "1"] {
        let shop = soon(client.named_service(wanted)).await.unwrap();
        assert_eq!(shop.services(), ["shop.v1.ShopAPI"]);
        let price = soon(shop.call("ShopAPI/GetPrice", "apple")).await.unwrap();
        assert_eq!(price, json!(1.5));
        let error = soon(shop.call("ShopAPI/GetPrize", Value::Null)).await.unwrap_err();
        assert!(error.to_string().contains("did you mean `GetPrice`?"), "{error}");
    }
    for (wanted, text) in [
        ("shopp", "there is no service `shopp` on the Volt: did you mean `shop`?"),
        ("empty", "several services match `empty`: use one of `2`, `3`"),
        ("2", "does not publish its .proto files"),
    ] {
        let error = soon(client.named_service(wanted)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains(text), "{error}");
    }
}
