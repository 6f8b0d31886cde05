//! The four kinds of call, without failures.

use volt_test_support::{Note, soon};

use crate::{
    Notes,
    server::{Call, Server},
};

/// Answers as the service of the websocket's tests does.
async fn service(mut call: Call) {
    match &*call.path {
        "/test.Notes/Get" => {
            let note = call.single().await;
            call.answer(&note);
        }
        "/test.Notes/List" => {
            let note = call.single().await;
            let mut answer = call.begin();
            for number in 0..500 {
                answer.send(&Note::new(&note.text, number));
            }
            answer.end("0", "");
        }
        "/test.Notes/Sum" => {
            let mut sum = 0;
            while let Some(note) = call.request().await.unwrap() {
                sum += note.number;
            }
            call.answer(&Note::new("sum", sum));
        }
        _ => {
            let mut answer = call.begin();
            while let Some(note) = call.request().await.unwrap() {
                answer.send(&note);
            }
            answer.end("0", "");
        }
    }
}

async fn client() -> Notes {
    Notes::connect(&Server::start(service).await).await
}

#[tokio::test]
async fn unary_returns_the_response() {
    let client = client().await;
    for text in ["", "héllo \"quoted\" \n\u{1f40e}"] {
        assert_eq!(soon(client.get(text)).await.unwrap(), Note::new(text, 1));
    }
    assert_eq!(client.0.open_calls(), 0);
}

#[tokio::test]
async fn server_streaming_returns_every_response_in_order_then_a_clean_end() {
    let mut notes = soon(client().await.list("n")).await.unwrap();
    for number in 0..500 {
        assert_eq!(soon(notes.message()).await.unwrap(), Some(Note::new("n", number)));
    }
    assert_eq!(soon(notes.message()).await.unwrap(), None);
}

#[tokio::test]
async fn client_streaming_sends_many_and_returns_one() {
    let mut upload = soon(client().await.sum()).await.unwrap();
    for number in 1..=100 {
        soon(upload.send(Note::new("", number))).await.unwrap();
    }
    assert_eq!(soon(upload.finish()).await.unwrap(), Note::new("sum", 5050));
}

#[tokio::test]
async fn bidi_halves_work_together_and_split() {
    let mut echo = soon(client().await.echo()).await.unwrap();
    for number in 0..10 {
        soon(echo.send(Note::new("ping", number))).await.unwrap();
        assert_eq!(soon(echo.message()).await.unwrap().unwrap().number, number);
    }
    let (mut requests, mut responses) = echo.into_split();
    let sender = tokio::spawn(async move {
        for number in 0..1000 {
            soon(requests.send(Note::new("apart", number))).await.unwrap();
        }
    });
    for number in 0..1000 {
        assert_eq!(soon(responses.message()).await.unwrap().unwrap().number, number);
    }
    sender.await.unwrap();
    assert_eq!(soon(responses.message()).await.unwrap(), None);
}

/// Larger than all windows together.
#[tokio::test]
async fn large_messages_pass() {
    let client = client().await;
    let text = "0123456789abcdef".repeat(256 << 10);
    assert_eq!(soon(client.get(&text)).await.unwrap().text, text);
}

#[tokio::test]
async fn many_calls_share_one_connection() {
    let server = Server::start(service).await;
    let client = Notes::connect(&server).await;
    let calls: Vec<_> = (0..500)
        .map(|number| tokio::spawn(client.get(&number.to_string()).into_future()))
        .collect();
    for (number, call) in calls.into_iter().enumerate() {
        assert_eq!(soon(call).await.unwrap().unwrap().text, number.to_string());
    }
    assert_eq!(server.connections(), 1);
}
