//! Answers of all kinds, and the errors that they become.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use h2::Reason;
use prost::Message as _;
use volt_runtime::{Code, Error, ErrorKind, Executed, Status};
use volt_test_support::{Note, Refusal, soon};

use crate::{
    Notes, once, says,
    server::{Call, Server},
};

/// The error of a unary call, and of a stream, which this function answers.
async fn errors(answer: fn(&mut Call)) -> [Error; 2] {
    let server = Server::start(move |mut call| async move { answer(&mut call) }).await;
    let client = Notes(once(&Notes::connect(&server).await.0));
    let unary = soon(client.get("a")).await.unwrap_err();
    let mut stream = soon(client.list("a")).await.unwrap();
    let streamed = loop {
        match soon(stream.message()).await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("a clean end"),
            Err(error) => break error,
        }
    };
    assert_eq!(client.0.open_calls(), 0);
    [unary, streamed]
}

/// Like [`errors`], for errors that must all be alike.
async fn error(answer: fn(&mut Call)) -> Error {
    let [unary, streamed] = errors(answer).await;
    let facts = |error: &Error| (error.kind(), error.code(), error.executed());
    assert_eq!(facts(&unary), facts(&streamed), "{unary}; {streamed}");
    unary
}

#[track_caller]
fn is(error: &Error, kind: ErrorKind, code: Code, executed: Executed) {
    assert_eq!((error.kind(), error.code(), error.executed()), (kind, code, executed), "{error}");
}

#[tokio::test]
async fn a_status_in_the_message_is_a_refusal() {
    let error = error(|call| {
        let refused = Refusal { code: 7, message: "not you".to_owned() };
        call.answer(&Note { refused: Some(refused), ..Note::default() });
    })
    .await;
    is(&error, ErrorKind::Refused, Code::PermissionDenied, Executed::Yes);
    assert_eq!(error.status(), Some(&Status::new(Code::PermissionDenied, "not you")));
}

#[tokio::test]
async fn a_status_in_the_trailers_is_a_failure() {
    let error = error(|call| call.begin().end("5", "no such note: 100%25 gr%C3%B6%C3%9Fer")).await;
    is(&error, ErrorKind::Failed, Code::NotFound, Executed::Yes);
    says(&error, &["/test.Notes/Get", "no such note: 100% größer"]);
}

#[tokio::test]
async fn a_status_in_the_headers_is_a_failure_too() {
    let error = error(|call| {
        call.only(
            200,
            &[
                ("content-type", "application/grpc"),
                ("grpc-status", "12"),
                ("grpc-message", "no such method"),
            ],
        );
    })
    .await;
    is(&error, ErrorKind::Failed, Code::Unimplemented, Executed::Yes);
    says(&error, &["no such method"]);
}

#[tokio::test]
async fn an_unavailable_volt_may_have_acted() {
    let error = error(|call| call.begin().end("14", "overloaded")).await;
    is(&error, ErrorKind::Failed, Code::Unavailable, Executed::Maybe);
}

#[tokio::test]
async fn an_invalid_session_is_recognized() {
    let error = error(|call| call.only(200, &REJECTED)).await;
    is(&error, ErrorKind::Routing, Code::Unauthenticated, Executed::No);
    assert!(error.is_session_invalid());
}

/// The headers of a rejected call, which are its whole answer.
const REJECTED: [(&str, &str); 3] = [
    ("content-type", "application/grpc"),
    ("grpc-status", "16"),
    ("grpc-message", "session invalid"),
];

/// Once an answer has begun, nothing shows that the call was not executed.
#[tokio::test]
async fn a_session_that_ends_during_a_call_may_have_been_used() {
    let begun = error(|call| call.begin().end("16", "session invalid")).await;
    is(&begun, ErrorKind::Failed, Code::Unauthenticated, Executed::Maybe);
    assert!(begun.is_session_invalid());
    let answered = error(|call| {
        let mut answer = call.begin();
        answer.send(&Note::new("a", 1));
        answer.end("16", "session invalid");
    })
    .await;
    is(&answered, ErrorKind::Failed, Code::Unauthenticated, Executed::Yes);
}

/// The library for HTTP/2 then resets the stream by itself.
#[tokio::test]
async fn an_answer_that_violates_http2_ends_only_its_call() {
    let server = Server::start(|mut call| async move {
        if call.single().await.text != "bad" {
            return call.answer(&Note::new("good", 1));
        }
        let headers = [("content-type", "application/grpc"), ("content-length", "100")];
        let mut answer = call.begin_with(200, &headers);
        answer.send(&Note::new("short", 1));
        answer.stop();
    })
    .await;
    let client = Notes::connect(&server).await;
    let error = soon(client.get("bad")).await.unwrap_err();
    is(&error, ErrorKind::Protocol, Code::Internal, Executed::Maybe);
    says(&error, &["violated HTTP/2", "PROTOCOL_ERROR"]);
    soon(client.get("again")).await.unwrap();
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_rejected_session_explains_authentication() {
    for (session, reason, explained) in [
        (None, "who?", Some("is missing")),
        (Some("ended"), "session invalid", Some("names no valid session")),
        // The Volt may reject a caller for other reasons.
        (Some("valid"), "who?", None),
    ] {
        let server = Server::start(move |mut call| async move {
            let headers = [
                ("content-type", "application/grpc"),
                ("grpc-status", "16"),
                ("grpc-message", reason),
            ];
            call.only(200, &headers);
        })
        .await;
        let mut config = crate::config(&server.address());
        config.credential.as_mut().unwrap().session_id = session.map(str::to_owned);
        let channel = soon(volt_runtime::connect(&config, crate::grpc())).await.unwrap();
        let error = soon(Notes(channel).get("a")).await.unwrap_err();
        is(&error, ErrorKind::Routing, Code::Unauthenticated, Executed::No);
        assert_eq!(error.is_session_invalid(), reason == "session invalid");
        match explained {
            Some(problem) => {
                let field = format!("`credential.session_id` {problem}");
                says(&error, &[&field, "authenticate", reason]);
            }
            None => assert!(!error.to_string().contains("session_id"), "{error}"),
        }
    }
}

#[tokio::test]
async fn a_deadline_that_the_volt_noticed_first_is_a_deadline() {
    let [unary, streamed] = errors(|call| call.begin().end("4", "")).await;
    is(&unary, ErrorKind::Deadline, Code::DeadlineExceeded, Executed::Maybe);
    // The stream has no deadline.
    is(&streamed, ErrorKind::Failed, Code::DeadlineExceeded, Executed::Maybe);
}

#[tokio::test]
async fn an_answer_without_a_status_is_an_error() {
    for answer in [
        (|call| call.begin().stop()) as fn(&mut Call),
        |call| {
            let mut answer = call.begin();
            answer.send(&Note::new("a", 1));
            answer.stop();
        },
        |call| {
            let mut answer = call.begin();
            answer.send(&Note::new("a", 1));
            answer.end_without_status();
        },
        |call| {
            let mut answer = call.begin();
            answer.send(&Note::new("a", 1));
            answer.reset(Reason::NO_ERROR);
        },
    ] {
        let [unary, streamed] = errors(answer).await;
        for error in [unary, streamed] {
            assert!(error.code() == Code::Internal, "{error}");
            assert_eq!(error.executed(), Executed::Maybe, "{error}");
        }
    }
}

#[tokio::test]
async fn a_unary_call_has_exactly_one_response() {
    for (count, text) in [(0, "without a response"), (2, "more than one response")] {
        let server = Server::start(move |mut call| async move {
            let mut answer = call.begin();
            for number in 0..count {
                answer.send(&Note::new("a", number));
            }
            answer.end("0", "");
        })
        .await;
        let error = soon(Notes::connect(&server).await.get("a")).await.unwrap_err();
        is(&error, ErrorKind::Protocol, Code::Internal, Executed::Maybe);
        says(&error, &[text]);
    }
    // Headers alone, with status OK.
    let server = Server::start(|mut call| async move {
        call.only(200, &[("content-type", "application/grpc"), ("grpc-status", "0")]);
    })
    .await;
    let error = soon(Notes::connect(&server).await.get("a")).await.unwrap_err();
    is(&error, ErrorKind::Protocol, Code::Internal, Executed::Maybe);
}

#[tokio::test]
async fn damaged_messages_are_protocol_errors() {
    for wire in [
        // The body breaks off within the prefix, after it, and within the message.
        &[0, 0][..],
        &[0, 0, 0, 0, 9],
        &[0, 0, 0, 0, 9, 1],
        // An unknown compression flag, and a compressed message without an encoding.
        &[7, 0, 0, 0, 0],
        &[1, 0, 0, 0, 0],
        // Not a note.
        &[0, 0, 0, 0, 2, 0xff, 0xff],
    ] {
        let server = Server::start(move |mut call| async move {
            let mut answer = call.begin();
            answer.data(wire);
            answer.end("0", "");
        })
        .await;
        let error = soon(Notes::connect(&server).await.get("a")).await.unwrap_err();
        is(&error, ErrorKind::Protocol, Code::Internal, Executed::Maybe);
    }
}

#[tokio::test]
async fn a_response_above_the_limit_is_refused_before_it_arrives() {
    let error = error(|call| {
        let mut answer = call.begin();
        answer.data(&[0, 0x04, 0, 0, 1][..]);
        // The rest never arrives.
        std::mem::forget(answer);
    })
    .await;
    is(&error, ErrorKind::ResourceExhausted, Code::ResourceExhausted, Executed::Maybe);
    says(&error, &["67108864"]);
}

#[tokio::test]
async fn compressed_answers_are_read() {
    let server = Server::start(|mut call| async move {
        let note = Note::new("squeezed ".repeat(1000), 1);
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&note.encode_to_vec()).unwrap();
        let body = encoder.finish().unwrap();
        let headers = [("content-type", "application/grpc"), ("grpc-encoding", "gzip")];
        let mut answer = call.begin_with(200, &headers);
        let mut frame = vec![1];
        frame.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
        frame.extend(body);
        answer.data(frame);
        answer.end("0", "");
    })
    .await;
    let note = soon(Notes::connect(&server).await.get("a")).await.unwrap();
    assert_eq!(note.text, "squeezed ".repeat(1000));
}

#[tokio::test]
async fn an_unknown_compression_is_named() {
    let error = error(|call| {
        let headers = [("content-type", "application/grpc"), ("grpc-encoding", "snappy")];
        call.begin_with(200, &headers);
    })
    .await;
    is(&error, ErrorKind::Protocol, Code::Internal, Executed::Maybe);
    says(&error, &["`snappy`"]);
}

#[tokio::test]
async fn an_answer_that_is_not_grpc_names_its_sender() {
    for (answer, code, texts) in [
        (
            (|call| {
                let mut answer = call.begin_with(503, &[("content-type", "text/plain")]);
                answer.data("no healthy upstream");
                answer.stop();
            }) as fn(&mut Call),
            Code::Unavailable,
            &["503 Service Unavailable", "no healthy upstream"][..],
        ),
        (|call| call.only(404, &[]), Code::Unimplemented, &["404 Not Found", "no content type"]),
        (
            |call| {
                let mut answer = call.begin_with(200, &[("content-type", "text/html")]);
                answer.data("<html><head><title>Sign in</title></head></html>");
                answer.stop();
            },
            Code::Unknown,
            &["200 OK", "`text/html`", "Sign in"],
        ),
        // Do not wait for a body that never ends.
        (
            |call| std::mem::forget(call.begin_with(502, &[("content-type", "text/html")])),
            Code::Unavailable,
            &["502 Bad Gateway"],
        ),
    ] {
        let error = error(answer).await;
        is(&error, ErrorKind::Routing, code, Executed::Maybe);
        says(&error, &["is not gRPC"]);
        says(&error, texts);
    }
}

#[tokio::test]
async fn a_reset_stream_has_the_code_of_its_reason() {
    for (answer, code, text) in [
        (
            (|call| call.reset(Reason::INTERNAL_ERROR)) as fn(&mut Call),
            Code::Internal,
            "INTERNAL_ERROR",
        ),
        (|call| call.reset(Reason::CANCEL), Code::Cancelled, "CANCEL"),
        (
            |call| call.reset(Reason::ENHANCE_YOUR_CALM),
            Code::ResourceExhausted,
            "ENHANCE_YOUR_CALM",
        ),
        (
            |call| {
                let mut answer = call.begin();
                answer.send(&Note::new("a", 1));
                answer.reset(Reason::PROTOCOL_ERROR);
            },
            Code::Internal,
            "PROTOCOL_ERROR",
        ),
    ] {
        let error = error(answer).await;
        is(&error, ErrorKind::Failed, code, Executed::Maybe);
        says(&error, &["reset the stream", text]);
    }
}
