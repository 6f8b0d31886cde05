//! The four kinds of call, without failures.

use futures_util::StreamExt as _;

use volt_runtime::__core::Encoding;
use volt_test_support::{Note, soon};

use crate::support::{NotesClient, Volt, in_process_with};

/// Runs the same check in process, in both encodings, over both protocols of the websocket, and over
/// gRPC: typed calls cannot tell them apart.
pub(crate) async fn everywhere(check: impl AsyncFn(NotesClient)) {
    for encoding in [Encoding::Json, Encoding::Protobuf] {
        soon(check(in_process_with(encoding).0)).await;
    }
    let volt = Volt::start().await;
    soon(check(volt.client().await)).await;
    let volt = Volt::start_legacy().await;
    soon(check(volt.client().await)).await;
    let volt = crate::grpc::start().await;
    soon(check(crate::grpc::client(&volt).await)).await;
}

#[tokio::test]
async fn unary_returns_the_response() {
    everywhere(async |client| {
        let note = Note::new("héllo \"quoted\" \n\u{1f40e}", u64::MAX);
        assert_eq!(client.get(note.clone()).await.unwrap(), note);
    })
    .await;
}

#[tokio::test]
async fn server_streaming_returns_all_responses_in_order() {
    everywhere(async |client| {
        let mut notes = client.list(Note::new("n", 500)).await.unwrap();
        for number in 0..500 {
            assert_eq!(notes.message().await.unwrap(), Some(Note::new("n", number)));
        }
        assert_eq!(notes.message().await.unwrap(), None);
        assert_eq!(notes.message().await.unwrap(), None, "the end stays the end");
    })
    .await;
}

#[tokio::test]
async fn client_streaming_answers_once() {
    everywhere(async |client| {
        let mut upload = client.sum().await.unwrap();
        for number in 1..=100 {
            upload.send(Note::new("", number)).await.unwrap();
        }
        assert_eq!(upload.finish().await.unwrap(), Note::new("sum", 5050));

        let notes = futures_util::stream::iter((1..=10).map(|number| Note::new("", number)));
        let upload = client.sum().await.unwrap();
        assert_eq!(upload.send_all(notes).await.unwrap().number, 55);
    })
    .await;
}

#[tokio::test]
async fn bidi_halves_work_together_and_split() {
    everywhere(async |client| {
        let mut echo = client.echo().await.unwrap();
        for number in 0..10 {
            echo.send(Note::new("ping", number)).await.unwrap();
            assert_eq!(echo.message().await.unwrap().unwrap().number, number);
        }
        let (mut requests, responses) = echo.into_split();
        let sender = tokio::spawn(async move {
            for number in 0..1000 {
                requests.send(Note::new("apart", number)).await.unwrap();
            }
        });
        let numbers: Vec<_> = responses.map(|note| note.unwrap().number).collect().await;
        assert_eq!(numbers, (0..1000).collect::<Vec<_>>());
        sender.await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn large_messages_pass() {
    everywhere(async |client| {
        let note = Note::new("0123456789abcdef".repeat(256 << 10), 1);
        assert_eq!(client.get(note.clone()).await.unwrap(), note);
    })
    .await;
}
