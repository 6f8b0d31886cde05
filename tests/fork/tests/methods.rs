//! Calls between an invented API and its next version: those fail for which the report of the changes promises it, for
//! the clients that it names.

#![allow(clippy::unwrap_used, clippy::wildcard_imports)]

mod report;

use std::collections::BTreeSet;

use volt_api::{
    BidiCall, Channel, ClientStreamingCall, Error, Message, ServerStreamingCall, Status, UnaryCall,
    server::{Requests, Responses},
    testing::Mock,
};
use volt_codegen::diff::{Clients, Surface, Verdict};
use volt_fork::{changes_new::acme as new, changes_old::acme as old};

use crate::report::{promised, report};

/// A message of these calls: it contains a number.
trait Number: Message {
    fn of(number: i32) -> Self;
    fn get(&self) -> i32;
}

macro_rules! numbers {
    ($($message:ty),*) => {
        $(impl Number for $message {
            fn of(number: i32) -> Self {
                Self::default().with_a(number)
            }

            fn get(&self) -> i32 {
                self.a
            }
        })*
    };
}

numbers!(
    old::v1::Kept,
    old::v1::Other,
    old::v1::Moved,
    old::v1::Scanned,
    new::v1::Kept,
    new::v1::Twin,
    new::v1::Scanned,
    new::v2::Moved
);

impl Number for new::v1::Word {
    fn of(number: i32) -> Self {
        Self::default().with_text(number.to_string())
    }

    fn get(&self) -> i32 {
        self.text.parse().unwrap_or_default()
    }
}

// The handlers: a single number is returned, and several ones are returned or added up.

async fn unary<Req: Number, Res: Number>(request: Req) -> Result<Res, Status> {
    Ok(Res::of(request.get()))
}

async fn server<T: Number>(request: T, mut responses: Responses<T>) -> Result<(), Status> {
    responses.send(T::of(request.get())).await?;
    responses.send(request).await
}

async fn client<T: Number>(mut requests: Requests<T>) -> Result<T, Status> {
    let mut sum = 0;
    while let Some(request) = requests.message().await? {
        sum += request.get();
    }
    Ok(T::of(sum))
}

async fn both<T: Number>(
    mut requests: Requests<T>,
    mut responses: Responses<T>,
) -> Result<(), Status> {
    while let Some(request) = requests.message().await? {
        responses.send(T::of(request.get())).await?;
        responses.send(request).await?;
    }
    Ok(())
}

fn old_volt() -> Channel {
    use old::{v1::*, v2::LateApiClient};

    let mock = Mock::new()
        .on(DriveApiClient::KEEP, unary)
        .on(DriveApiClient::REMOVE, unary)
        .on(DriveApiClient::DO_IT, unary)
        .on(DriveApiClient::SCAN, unary)
        .on(DriveApiClient::FETCH, unary)
        .on(DriveApiClient::ASK, unary)
        .on(DriveApiClient::ANSWER, unary)
        .on(DriveApiClient::ASK_ALIKE, unary)
        .on(DriveApiClient::ANSWER_MOVED, unary)
        .on(DriveApiClient::REPEAT, unary)
        .on(StreamsApiClient::UNARY_SERVER, unary)
        .on(StreamsApiClient::UNARY_CLIENT, unary)
        .on(StreamsApiClient::UNARY_BOTH, unary)
        .on(StreamsApiClient::SERVER_CLIENT, server)
        .on(StreamsApiClient::SERVER_BOTH, server)
        .on(StreamsApiClient::CLIENT_BOTH, client)
        .on(GoneApiClient::KEEP, unary)
        .on(MovedApiClient::KEEP, unary)
        .on(FiledApiClient::KEEP, unary)
        .on(LateApiClient::KEEP, unary);
    mock.channel()
}

fn new_volt() -> Channel {
    use new::{
        v1::*,
        v2::{LateApiClient, MovedApiClient},
    };

    let mock = Mock::new()
        .on(DriveApiClient::KEEP, unary)
        .on(DriveApiClient::DO_IT, unary)
        .on(FileApiClient::SCAN, unary)
        .on(DriveApiClient::GET, unary)
        .on(DriveApiClient::ASK, unary)
        .on(DriveApiClient::ANSWER, unary)
        .on(DriveApiClient::ASK_ALIKE, unary)
        .on(DriveApiClient::ANSWER_MOVED, unary)
        .on(DriveApiClient::REPEAT, unary)
        .on(StreamsApiClient::UNARY_SERVER, server)
        .on(StreamsApiClient::UNARY_CLIENT, client)
        .on(StreamsApiClient::UNARY_BOTH, both)
        .on(StreamsApiClient::SERVER_CLIENT, client)
        .on(StreamsApiClient::SERVER_BOTH, both)
        .on(StreamsApiClient::CLIENT_BOTH, both)
        .on(MovedApiClient::KEEP, unary)
        .on(FiledApiClient::KEEP, unary)
        .on(LateApiClient::KEEP, unary);
    mock.channel()
}

// The callers: whether a Volt of the caller's own version would have answered this.

async fn calls<Req: Number, Res: Number>(call: UnaryCall<Req, Res>) -> bool {
    call.await.is_ok_and(|response| response.get() == 7)
}

async fn lists<T: Number>(call: ServerStreamingCall<T, T>) -> bool {
    let list = async {
        let (mut call, mut list) = (call.await?, Vec::new());
        while let Some(response) = call.message().await? {
            list.push(response.get());
        }
        Ok::<_, Error>(list)
    };
    list.await.is_ok_and(|list| list == [7, 7])
}

async fn adds<T: Number>(call: ClientStreamingCall<T, T>) -> bool {
    let sum = async {
        let mut call = call.await?;
        call.send(T::of(3)).await?;
        call.send(T::of(4)).await?;
        Ok::<_, Error>(call.finish().await?.get())
    };
    sum.await.is_ok_and(|sum| sum == 7)
}

async fn echoes<T: Number>(call: BidiCall<T, T>) -> bool {
    let echo = async {
        let (mut call, mut echo) = (call.await?, Vec::new());
        for number in [3, 4] {
            call.send(T::of(number)).await?;
        }
        call.half_close();
        while let Some(response) = call.message().await? {
            echo.push(response.get());
        }
        Ok::<_, Error>(echo)
    };
    echo.await.is_ok_and(|echo| echo == [3, 3, 4, 4])
}

/// The calls of old clients to a new Volt, and whether each works.
async fn old_clients() -> Vec<(&'static str, bool)> {
    use old::{v1::*, v2::LateApiClient};

    let channel = || new_volt();
    let (drive, streams) = (DriveApiClient::new(channel()), StreamsApiClient::new(channel()));
    let kept = || Kept::of(7);
    vec![
        ("v1.DriveAPI.Keep", calls(drive.keep(kept())).await),
        ("v1.DriveAPI.Remove", calls(drive.remove(kept())).await),
        ("v1.DriveAPI.DoIT", calls(drive.do_it(kept())).await),
        ("v1.DriveAPI.Scan", calls(drive.scan(Scanned::of(7))).await),
        ("v1.DriveAPI.Fetch", calls(drive.fetch(kept())).await),
        ("v1.DriveAPI.Ask", calls(drive.ask(kept())).await),
        ("v1.DriveAPI.Answer", calls(drive.answer(kept())).await),
        ("v1.DriveAPI.AskAlike", calls(drive.ask_alike(Other::of(7))).await),
        ("v1.DriveAPI.AnswerMoved", calls(drive.answer_moved(kept())).await),
        ("v1.StreamsAPI.UnaryServer", calls(streams.unary_server(kept())).await),
        ("v1.StreamsAPI.UnaryClient", calls(streams.unary_client(kept())).await),
        ("v1.StreamsAPI.UnaryBoth", calls(streams.unary_both(kept())).await),
        ("v1.StreamsAPI.ServerClient", lists(streams.server_client(kept())).await),
        ("v1.StreamsAPI.ServerBoth", lists(streams.server_both(kept())).await),
        ("v1.StreamsAPI.ClientBoth", adds(streams.client_both()).await),
        ("v1.GoneAPI", calls(GoneApiClient::new(channel()).keep(kept())).await),
        ("v1.MovedAPI", calls(MovedApiClient::new(channel()).keep(kept())).await),
        ("v1.FiledAPI", calls(FiledApiClient::new(channel()).keep(kept())).await),
        ("v2.LateAPI", calls(LateApiClient::new(channel()).keep(kept())).await),
    ]
}

/// The calls of new clients to an old Volt, without those of new methods, and whether each works.
async fn new_clients() -> Vec<(&'static str, bool)> {
    use new::{
        v1::*,
        v2::{LateApiClient, MovedApiClient},
    };

    let channel = || old_volt();
    let (drive, streams) = (DriveApiClient::new(channel()), StreamsApiClient::new(channel()));
    let kept = || Kept::of(7);
    vec![
        ("v1.DriveAPI.Keep", calls(drive.keep(kept())).await),
        ("v1.DriveAPI.Fetch", calls(drive.get(kept())).await),
        ("v1.DriveAPI.Ask", calls(drive.ask(Word::of(7))).await),
        ("v1.DriveAPI.Answer", calls(drive.answer(kept())).await),
        ("v1.DriveAPI.AskAlike", calls(drive.ask_alike(Twin::of(7))).await),
        ("v1.DriveAPI.AnswerMoved", calls(drive.answer_moved(kept())).await),
        ("v1.StreamsAPI.UnaryServer", lists(streams.unary_server(kept())).await),
        ("v1.StreamsAPI.UnaryClient", adds(streams.unary_client()).await),
        ("v1.StreamsAPI.UnaryBoth", echoes(streams.unary_both()).await),
        ("v1.StreamsAPI.ServerClient", adds(streams.server_client()).await),
        ("v1.StreamsAPI.ServerBoth", echoes(streams.server_both()).await),
        ("v1.StreamsAPI.ClientBoth", echoes(streams.client_both()).await),
        ("v1.MovedAPI", calls(MovedApiClient::new(channel()).keep(kept())).await),
        ("v1.FiledAPI", calls(FiledApiClient::new(channel()).keep(kept())).await),
        ("v2.LateAPI", calls(LateApiClient::new(channel()).keep(kept())).await),
    ]
}

#[tokio::test]
async fn promised_failures_of_calls_are_those_that_are_seen() {
    let report = report();
    let mut differences = Vec::new();
    let seen = [(Clients::Old, old_clients().await), (Clients::New, new_clients().await)];
    for (clients, calls) in seen {
        for (name, works) in calls {
            let element = format!("acme.{name}");
            let promised = promised(&report, &element, Surface::Wire, clients);
            if works == (promised == Verdict::Breaking) {
                let seen = if works { "works" } else { "fails" };
                differences.push(format!(
                    "{element} {seen} for {}, promised {promised:?}",
                    clients.name()
                ));
            }
        }
    }
    assert!(differences.is_empty(), "{differences:#?}");
}

#[tokio::test]
async fn every_promised_failure_is_tried() {
    let tried = [old_clients().await, new_clients().await].concat();
    let tried: BTreeSet<_> = tried.into_iter().map(|(name, _)| format!("acme.{name}")).collect();
    for change in report().changes {
        let is_call = ["service-", "method-"].iter().any(|at| change.kind.name().starts_with(at));
        let is_promised = change.verdict(Surface::Wire) == Verdict::Breaking;
        let (element, what) = (&change.element, &change.what);
        assert!(!is_call || !is_promised || tried.contains(element), "{element}: {what}");
    }
}
