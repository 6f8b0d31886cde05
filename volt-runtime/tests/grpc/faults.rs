//! Every fault of a server, with the code with which the calls end, and whether they may have been executed.
//!
//! Each fault meets a unary call and a stream, both with a deadline, so that none may hang.

use std::time::Duration;

use h2::Reason;
use volt_runtime::{Code, Error, Executed};
use volt_test_support::{Note, soon};

use crate::{
    Notes, once,
    server::{Call, Order, Server},
};

/// The end of a call: after this many messages, or with an error.
type End = Result<usize, (Code, Executed)>;

struct Fault {
    name: &'static str,
    answer: fn(&mut Call),
    unary: End,
    stream: End,
}

const fn fault(name: &'static str, answer: fn(&mut Call), code: Code, executed: Executed) -> Fault {
    Fault { name, answer, unary: Err((code, executed)), stream: Err((code, executed)) }
}

fn note() -> Note {
    Note::new("a", 1)
}

/// One message, and then nothing until the client times out.
fn unfinished(call: &mut Call) {
    let mut answer = call.begin();
    answer.send(&note());
    std::mem::forget(answer);
}

#[allow(clippy::too_many_lines, reason = "a table, one line for each fault")]
fn faults() -> Vec<Fault> {
    use Code::{
        Cancelled, DeadlineExceeded, Internal, ResourceExhausted, Unavailable, Unimplemented,
        Unknown,
    };
    use Executed::{Maybe, No};
    vec![
        fault("RST_STREAM 0", |call| call.begin().reset(Reason::NO_ERROR), Internal, Maybe),
        fault("RST_STREAM 1", |call| call.reset(Reason::PROTOCOL_ERROR), Internal, Maybe),
        fault("RST_STREAM 2", |call| call.reset(Reason::INTERNAL_ERROR), Internal, Maybe),
        fault("RST_STREAM 7", |call| call.reset(Reason::REFUSED_STREAM), Unavailable, No),
        fault("RST_STREAM 8", |call| call.reset(Reason::CANCEL), Cancelled, Maybe),
        fault(
            "RST_STREAM 11",
            |call| call.reset(Reason::ENHANCE_YOUR_CALM),
            ResourceExhausted,
            Maybe,
        ),
        fault(
            "GOAWAY 11, and closed",
            |call| call.orders.send(Order::Abort(Reason::ENHANCE_YOUR_CALM)).unwrap(),
            Unavailable,
            Maybe,
        ),
        fault("connection lost", |call| call.orders.send(Order::Drop).unwrap(), Unavailable, Maybe),
        fault("UNAVAILABLE", |call| call.begin().end("14", "busy"), Unavailable, Maybe),
        fault(
            "HTTP 503",
            |call| call.only(503, &[("content-type", "text/plain")]),
            Unavailable,
            Maybe,
        ),
        fault("HTTP 404", |call| call.only(404, &[]), Unimplemented, Maybe),
        fault(
            "a page of HTML",
            |call| {
                let mut answer = call.begin_with(200, &[("content-type", "text/html")]);
                answer.data("<html>");
                answer.stop();
            },
            Unknown,
            Maybe,
        ),
        fault("no trailers", |call| call.begin().stop(), Internal, Maybe),
        fault(
            "no trailers after a message",
            |call| {
                let mut answer = call.begin();
                answer.send(&note());
                answer.stop();
            },
            Internal,
            Maybe,
        ),
        fault("no grpc-status", |call| call.begin().end_without_status(), Internal, Maybe),
        fault(
            "a truncated message, and status 0",
            |call| {
                let mut answer = call.begin();
                answer.data(&[0, 0, 0, 0, 9, 1][..]);
                answer.end("0", "");
            },
            Internal,
            Maybe,
        ),
        fault(
            "a message above the limit",
            |call| {
                let mut answer = call.begin();
                answer.data(&[0, 0x04, 0, 0, 1][..]);
                std::mem::forget(answer);
            },
            ResourceExhausted,
            Maybe,
        ),
        fault(
            "a message of another type",
            |call| {
                let mut answer = call.begin();
                answer.data(&[0, 0, 0, 0, 2, 0xff, 0xff][..]);
                answer.end("0", "");
            },
            Internal,
            Maybe,
        ),
        fault(
            "an unknown compression",
            |call| {
                let headers = [("content-type", "application/grpc"), ("grpc-encoding", "br")];
                call.begin_with(200, &headers).end("0", "");
            },
            Internal,
            Maybe,
        ),
        fault(
            "a compressed message without an encoding",
            |call| {
                let mut answer = call.begin();
                answer.data(&[1, 0, 0, 0, 0][..]);
                answer.end("0", "");
            },
            Internal,
            Maybe,
        ),
        Fault {
            name: "two messages",
            answer: |call| {
                let mut answer = call.begin();
                answer.send(&note());
                answer.send(&note());
                answer.end("0", "");
            },
            unary: Err((Internal, Maybe)),
            stream: Ok(2),
        },
        // Nothing shows that messages are missing.
        Fault {
            name: "status 0 in the middle of a stream",
            answer: |call| call.answer(&note()),
            unary: Ok(1),
            stream: Ok(1),
        },
        Fault {
            name: "graceful GOAWAY",
            answer: |call| {
                call.orders.send(Order::Leave).unwrap();
                call.answer(&note());
            },
            unary: Ok(1),
            stream: Ok(1),
        },
        fault("silence", |call| std::mem::forget(call.begin()), DeadlineExceeded, Maybe),
        fault("a message, and no end", unfinished, DeadlineExceeded, Maybe),
    ]
}

fn facts(error: &Error) -> (Code, Executed) {
    (error.code(), error.executed())
}

/// Faults that end the connection are repeated on the next one.
#[tokio::test]
async fn each_fault_ends_its_calls_with_the_right_code() {
    let mut wrong = Vec::new();
    for Fault { name, answer, unary, stream } in faults() {
        let server = Server::start(move |mut call| async move {
            let text = call.single().await.text;
            if text == "fine" {
                return call.answer(&note());
            }
            answer(&mut call);
            // The handles of the call stay, so that only the fault ends it.
            std::future::pending::<()>().await;
        })
        .await;
        let client = Notes(once(&Notes::connect(&server).await.0));
        let expires = matches!(unary, Err((Code::DeadlineExceeded, _)));
        let limit = if expires { Duration::from_millis(200) } else { Duration::from_secs(30) };
        let got = soon(client.get("a").timeout(limit)).await.map(|_| 1);
        if got.as_ref().copied().map_err(facts) != unary {
            wrong.push(format!("{name}: unary {got:?}, expected {unary:?}"));
        }
        let got = match soon(client.list("a").timeout(limit)).await {
            Ok(mut call) => loop_to_end(&mut call).await,
            Err(error) => Err(error),
        };
        if got.as_ref().copied().map_err(facts) != stream {
            wrong.push(format!("{name}: stream {got:?}, expected {stream:?}"));
        }
        // The next call works, on the same connection or another.
        let next = soon(client.get("fine").wait_for_ready(true)).await;
        if next.is_err() {
            wrong.push(format!("{name}: next {next:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

async fn loop_to_end(call: &mut volt_runtime::Streaming<Note>) -> volt_runtime::Result<usize> {
    let mut count = 0;
    while soon(call.message()).await?.is_some() {
        count += 1;
    }
    Ok(count)
}
