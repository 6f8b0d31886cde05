//! The four kinds of call on the wire. Published clients never half-close calls with one request.

use hyper::StatusCode;
use volt_runtime::Code;
use volt_test_support::{Note, Refusal};

use super::{
    raw::{Raw, bad, framed, good},
    start,
};

fn refusal(code: Code, message: &str) -> Note {
    let refused = Some(Refusal { code: code.into(), message: message.to_owned() });
    Note { refused, ..Note::default() }
}

#[tokio::test]
async fn a_unary_call_is_answered_without_its_half_close() {
    let volt = start().await;
    let mut client = Raw::connect(&volt).await;
    let note = Note::new("one", 1);
    assert_eq!(client.get(&note).await, good([note.clone()]));
    // With the half-close, and byte by byte.
    let mut call = client.open("Get").await;
    for byte in framed(&note) {
        call.send_bytes(vec![byte]);
        tokio::task::yield_now().await;
    }
    call.half_close();
    assert_eq!(call.outcome().await, good([note.clone()]));
    // Messages after the request are ignored.
    let mut call = client.open("Get").await;
    call.send_bytes([framed(&note), framed(&Note::new("two", 2))].concat());
    assert_eq!(call.outcome().await, good([note]));
}

/// A half-close is often on its way when the answer leaves. h2 counts it as an error if it has reset the stream, and ends
/// the connection after 1,024 of them.
#[tokio::test]
async fn a_half_close_may_come_after_the_answer() {
    let volt = start().await;
    let mut client = Raw::connect(&volt).await;
    let note = Note::new("one", 1);
    for _ in 0..3 {
        let mut call = client.open("Get").await;
        call.send(&note);
        assert_eq!(call.message().await, note);
        let trailers = call.next().await.unwrap().unwrap_err();
        assert_eq!(trailers["grpc-status"], "0");
        // Sending fails on a stream that has been reset.
        call.half_close();
    }
}

#[tokio::test]
async fn a_server_stream_starts_without_its_half_close() {
    let volt = start().await;
    let mut client = Raw::connect(&volt).await;
    let mut call = client.open("List").await;
    call.send(&Note::new("n", 3));
    let expected = (0..3).map(|number| Note::new("n", number));
    assert_eq!(call.outcome().await, good(expected));
}

#[tokio::test]
async fn a_client_stream_is_answered_at_its_half_close() {
    let volt = start().await;
    let mut client = Raw::connect(&volt).await;
    let mut call = client.open("Sum").await;
    // The headers of the answer come first: some clients wait for them before they send anything.
    assert_eq!(call.headers().await.unwrap(), StatusCode::OK);
    for number in 1..=3 {
        call.send(&Note::new("", number));
    }
    call.half_close();
    assert_eq!(call.outcome().await, good([Note::new("sum", 6)]));
}

#[tokio::test]
async fn both_directions_of_a_stream_are_open_at_once() {
    let volt = start().await;
    let mut client = Raw::connect(&volt).await;
    let mut call = client.open("Echo").await;
    assert_eq!(call.headers().await.unwrap(), StatusCode::OK);
    for number in 0..3 {
        let note = Note::new("x", number);
        call.send(&note);
        assert_eq!(call.message().await, note);
    }
    call.half_close();
    assert_eq!(call.outcome().await, good([]));
}

#[tokio::test]
async fn a_refusal_is_in_a_message_and_other_failures_are_in_the_trailers() {
    let volt = start().await;
    let mut client = Raw::connect(&volt).await;
    let outcome = client.get(&Note::new("refuse", 0)).await;
    assert_eq!(outcome, good([refusal(Code::NotFound, "no such note")]));
    let mut call = client.open("List").await;
    call.send(&Note::new("refuse", 1));
    let expected = [Note::new("refuse", 0), refusal(Code::DataLoss, "the rest is discarded")];
    assert_eq!(call.outcome().await, good(expected));
    for (method, first) in [("Sum", "refuse"), ("Echo", "refuse")] {
        let mut call = client.open(method).await;
        call.send(&Note::new(first, 0));
        assert_eq!(call.outcome().await, good([refusal(Code::InvalidArgument, "not this one")]));
    }
    // Not a valid `Note`: a field has the wrong type.
    for method in ["Get", "List"] {
        let mut call = client.open(method).await;
        call.send_bytes(vec![0, 0, 0, 0, 2, 0x08, 1]);
        let outcome = call.outcome().await;
        assert_eq!((outcome.status.code(), outcome.messages), (Code::InvalidArgument, vec![]));
        assert!(outcome.status.message().contains("test.Note"), "{:?}", outcome.status);
    }
    assert_eq!(client.get(&Note::new("panic", 0)).await.status.code(), Code::Internal);
    let mut call = client.open("Nothing").await;
    call.send(&Note::default());
    let outcome = call.outcome().await;
    assert_eq!(outcome, bad(Code::Unimplemented, "there is no method `/test.Notes/Nothing` here"));
}

#[tokio::test]
async fn a_call_without_a_message_is_not_invoked() {
    let volt = start().await;
    let mut client = Raw::connect(&volt).await;
    for method in ["Get", "List", "Sum", "Echo"] {
        let mut call = client.open(method).await;
        call.half_close();
        let outcome = call.outcome().await;
        assert_eq!(outcome, bad(Code::InvalidArgument, "no request message"), "{method}");
    }
    // Half of a message does not count as one.
    let mut call = client.open("Get").await;
    call.send_bytes(vec![0, 0, 0, 0, 9, 1]);
    call.half_close();
    assert_eq!(call.outcome().await.status.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn the_id_of_a_volt_before_the_method_is_ignored() {
    let volt = start().await;
    let mut client = Raw::connect(&volt).await;
    let mut call = client.open("/did:volt:test/test.Notes/Get").await;
    call.send(&Note::new("one", 1));
    assert_eq!(call.outcome().await, good([Note::new("one", 1)]));
}

#[tokio::test]
async fn requests_that_are_not_grpc_get_an_http_status() {
    let volt = start().await;
    let mut client = Raw::connect(&volt).await;
    for other in ["text/html", "application/grpc-web", "application/grpc+json"] {
        let mut call = client.open_with("Get", &[("content-type", other)]).await;
        assert_eq!(call.headers().await.unwrap(), StatusCode::UNSUPPORTED_MEDIA_TYPE, "{other}");
    }
    let mut call = client.open_with("Get", &[("grpc-encoding", "snappy")]).await;
    call.send(&Note::default());
    assert_eq!(call.outcome().await.status.code(), Code::Unimplemented);
    assert_eq!(client.get(&Note::new("one", 1)).await, good([Note::new("one", 1)]));
}
