//! The ends of callers at a host that is not this SDK's. The published client for gRPC recognizes
//! an end only in a message with `client_end` and without a payload, and keeps the state of a call
//! until then.

use volt_api::{
    Client, Duplex, Target,
    key::SigningKey,
    volt::{
        ConnectHello, ConnectRequest, ConnectResponse, InvokeRequest, InvokeResponse,
        connect_response::Payload,
    },
};
use volt_embedded::EmbeddedVolt;
use volt_test_support::soon;

use crate::{
    grpc::{connect, opening},
    shop::shop::v1::{GetArticleRequest, ShopApiClient},
    support::{identity, start},
};

/// A host that reads its messages itself.
struct Host {
    call: Duplex<ConnectRequest, ConnectResponse>,
    did: String,
}

impl Host {
    async fn new(volt: &EmbeddedVolt) -> Self {
        let config = volt.guest("host").unwrap();
        let did = identity(&config);
        let mut call = connect(config).await.volt().connect().await.unwrap();
        let hello = ConnectHello::default().with_accept_invocation(true);
        call.send(ConnectRequest::default().with_hello(hello)).await.unwrap();
        assert!(soon(call.message()).await.unwrap().is_some());
        Self { call, did }
    }

    /// Receives a caller's next message.
    async fn invoked(&mut self) -> InvokeRequest {
        let message = soon(self.call.message()).await.unwrap().unwrap();
        let Some(Payload::InvokeRequest(request)) = message.payload else { panic!("{message:?}") };
        request
    }

    /// Ends a call.
    async fn end(&mut self, invoke_id: u64) {
        let last = InvokeResponse::default()
            .with_invoke_id(invoke_id)
            .with_payload([0; 16])
            .with_server_end(true);
        self.call.send(ConnectRequest::default().with_invoke_response(last)).await.unwrap();
    }

    /// Receives the end of this call's caller.
    async fn hears_the_end(&mut self, invoke_id: u64) {
        let end = self.invoked().await;
        assert_eq!(end.invoke_id, invoke_id);
        assert!(end.client_end && end.request_payload.is_none(), "{end:?}");
    }
}

/// Opens a call to a host over gRPC.
async fn invoke(
    client: &Client,
    volt: &EmbeddedVolt,
    host: &Host,
) -> Duplex<InvokeRequest, InvokeResponse> {
    let mut call = client.volt().invoke().await.unwrap();
    call.send(opening(volt).with_target_did([&*host.did])).await.unwrap();
    call
}

/// A published client half-closes a call that has one request only after the answer, or never.
#[tokio::test]
async fn a_host_that_ends_a_call_first_is_notified_of_its_end() {
    let (volt, _) = start().await;
    let mut host = Host::new(&volt).await;
    let client = connect(volt.config()).await;
    let mut call = invoke(&client, &volt, &host).await;
    let id = host.invoked().await.invoke_id;
    host.end(id).await;
    host.hears_the_end(id).await;
    // The caller has not half-closed, and its call has ended all the same.
    while soon(call.message()).await.unwrap().is_some() {}
}

#[tokio::test]
async fn a_half_close_is_not_repeated_after_the_hosts_end() {
    let (volt, _) = start().await;
    let mut host = Host::new(&volt).await;
    let client = connect(volt.config()).await;
    let mut call = invoke(&client, &volt, &host).await;
    let id = host.invoked().await.invoke_id;
    call.half_close();
    host.hears_the_end(id).await;
    host.end(id).await;
    while soon(call.message()).await.unwrap().is_some() {}
    // The next message belongs to the next call.
    let _call = invoke(&client, &volt, &host).await;
    assert_ne!(host.invoked().await.invoke_id, id);
}

#[tokio::test]
async fn a_host_is_notified_of_callers_that_disconnect() {
    let (volt, websocket) = start().await;
    let mut host = Host::new(&volt).await;
    let client = connect(volt.config()).await;
    let call = invoke(&client, &volt, &host).await;
    let id = host.invoked().await.invoke_id;
    drop(call);
    host.hears_the_end(id).await;

    // The host does not exchange keys, so its key does not matter.
    let key = SigningKey::generate().unwrap().verifying_key().to_pem();
    let target = Target::new("shop").hosted_by(&*host.did, &*key).relayed("shop");
    let shop = ShopApiClient::new(websocket.channel().clone());
    let call = shop.get_article(GetArticleRequest::default()).service(target).into_future();
    let call = tokio::spawn(call);
    let id = host.invoked().await.invoke_id;
    websocket.close().await;
    host.hears_the_end(id).await;
    assert!(soon(call).await.unwrap().is_err());
}
