//! Interceptors of a client.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use prost::Message as _;
use tokio::task::yield_now;
use volt_runtime::{
    Channel, Code, Error, ErrorKind, Executed, Status, Update,
    intercept::{After, OutgoingCall},
    json::{self, Form},
};
use volt_test_support::{Note, soon};

use super::{carried, watched};
use crate::{
    kinds::everywhere,
    support::{NotesClient, Volt, in_process},
};

/// The lengths of notes in both encodings, in all.
fn lengths(notes: &[Note]) -> [u64; 2] {
    let json = |note: &Note| {
        let mut text = Vec::new();
        json::write(note, &mut text, Form::Plain).unwrap();
        text.len() as u64
    };
    [notes.iter().map(json).sum(), notes.iter().map(|note| note.encoded_len() as u64).sum()]
}

#[tokio::test]
async fn every_kind_reports_its_end_and_its_traffic() {
    everywhere(async |client| {
        let (client, mut ends) = watched(client);
        let note = Note::new("héllo \"quoted\" \\ \n\u{1f40e}", u64::MAX);
        client.get(note.clone()).await.unwrap();
        let outcome = ends.code("Get", Code::Ok).await;
        carried(&outcome, 1, 1);
        assert_eq!(outcome.attempts, 1);
        assert!(lengths(&[note]).contains(&outcome.sent.bytes), "{outcome:?}");
        assert_eq!(outcome.sent.bytes, outcome.received.bytes);

        let mut list = client.list(Note::new("n", 3)).await.unwrap();
        while list.message().await.unwrap().is_some() {}
        let outcome = ends.code("List", Code::Ok).await;
        carried(&outcome, 1, 3);
        assert!(lengths(&[Note::new("n", 3)]).contains(&outcome.sent.bytes), "{outcome:?}");
        let listed: Vec<_> = (0..3).map(|number| Note::new("n", number)).collect();
        assert!(lengths(&listed).contains(&outcome.received.bytes), "{outcome:?}");

        let mut upload = client.sum().await.unwrap();
        for number in 1..=4 {
            upload.send(Note::new("", number)).await.unwrap();
        }
        upload.finish().await.unwrap();
        carried(&ends.code("Sum", Code::Ok).await, 4, 1);

        let mut echo = client.echo().await.unwrap();
        for number in 0..5 {
            echo.send(Note::new("ping", number)).await.unwrap();
            echo.message().await.unwrap();
        }
        echo.finish().await.unwrap();
        carried(&ends.code("Echo", Code::Ok).await, 5, 5);
        drop(client);
        ends.none().await;
    })
    .await;
}

/// A single response is parsed after its call has ended.
#[tokio::test]
async fn a_refusal_in_a_response_is_the_outcome() {
    everywhere(async |client| {
        let (client, mut ends) = watched(client);
        client.get(Note::new("refuse", 0)).await.unwrap_err();
        let outcome = ends.code("Get", Code::NotFound).await;
        assert!(outcome.error().unwrap().is_refused(), "{outcome:?}");
        carried(&outcome, 1, 1);

        let mut list = client.list(Note::new("refuse", 1)).await.unwrap();
        list.message().await.unwrap();
        list.message().await.unwrap_err();
        drop(list);
        carried(&ends.code("List", Code::DataLoss).await, 1, 2);

        let mut upload = client.sum().await.unwrap();
        upload.send(Note::new("refuse", 0)).await.unwrap();
        upload.finish().await.unwrap_err();
        ends.code("Sum", Code::InvalidArgument).await;

        // The sending half reports the refusal too.
        let mut upload = client.sum().await.unwrap();
        while upload.send(Note::new("refuse", 0)).await.is_ok() {
            yield_now().await;
        }
        drop(upload);
        ends.code("Sum", Code::InvalidArgument).await;

        let mut echo = client.echo().await.unwrap();
        while echo.send(Note::new("refuse", 0)).await.is_ok() {
            yield_now().await;
        }
        drop(echo);
        ends.code("Echo", Code::InvalidArgument).await;
        client.unknown().await.unwrap_err();
        ends.code("Nothing", Code::Unimplemented).await;
        drop(client);
        ends.none().await;
    })
    .await;
}

/// Logs calls under a name. Refuses them on request.
fn named(
    channel: Channel,
    log: &Arc<Mutex<Vec<String>>>,
    name: &'static str,
    refuses: bool,
) -> Channel {
    let log = Arc::clone(log);
    channel.intercept(move |_: &mut OutgoingCall| {
        log.lock().unwrap().push(format!("{name} before"));
        if refuses {
            let status = Status::new(Code::PermissionDenied, "not today");
            return Err(Error::refused(status));
        }
        let log = Arc::clone(&log);
        Ok(After::new(move |outcome| {
            log.lock().unwrap().push(format!("{name} after: {}", outcome.code().name()));
        }))
    })
}

#[tokio::test]
async fn the_first_interceptor_is_the_outer_one() {
    let (client, _) = in_process();
    let log = Arc::default();
    let channel = ["a", "b", "c"]
        .iter()
        .fold(client.0.clone(), |channel, name| named(channel, &log, name, false));
    NotesClient(channel).get(Note::default()).await.unwrap();
    let seen = std::mem::take(&mut *log.lock().unwrap());
    let expected =
        ["a before", "b before", "c before", "c after: OK", "b after: OK", "a after: OK"];
    assert_eq!(seen, expected);
    // Other handles are unchanged.
    client.get(Note::default()).await.unwrap();
    assert!(log.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_refused_call_is_never_made() {
    everywhere(async |client| {
        let log = Arc::default();
        let channel = named(client.0, &log, "a", false);
        let channel = named(channel, &log, "b", true);
        let client = NotesClient(named(channel, &log, "c", false));
        let errors = [
            client.get(Note::default()).await.unwrap_err(),
            client.list(Note::default()).await.unwrap_err(),
            client.sum().await.unwrap_err(),
            client.echo().await.unwrap_err(),
            client.echo().subscribe(Note::default()).await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!((error.code(), error.executed()), (Code::PermissionDenied, Executed::No));
            assert!(error.method().is_some(), "{error}");
            let seen: Vec<_> = log.lock().unwrap().drain(..3).collect();
            assert_eq!(seen, ["a before", "b before", "a after: PERMISSION_DENIED"]);
        }
        assert!(log.lock().unwrap().is_empty());
        assert_eq!(client.0.open_calls(), 0);
    })
    .await;
}

#[tokio::test]
async fn an_interceptor_changes_the_options_of_a_call() {
    everywhere(async |client| {
        let client = NotesClient(client.0.intercept(|call: &mut OutgoingCall| {
            assert!(call.deadline.is_none());
            call.options.timeout = Some(Duration::from_millis(10));
            Ok(After::nothing())
        }));
        let error = client.get(Note::new("wait", 0)).await.unwrap_err();
        assert!(error.is_deadline(), "{error}");
        let mut list = client.list(Note::new("wait", 0)).await.unwrap();
        assert!(list.message().await.unwrap_err().is_deadline());
    })
    .await;
}

#[tokio::test]
async fn the_retries_of_a_call_are_its_attempts() {
    let volt = Volt::start().await;
    let (client, mut ends) = watched(volt.client_with(|_| {}).await);
    let get = tokio::spawn(client.get(Note::new("first", 1)).idempotent().into_future());
    soon(volt.probe.running(1)).await;
    let _volt = volt.stop().await.start().await;
    soon(get).await.unwrap().unwrap();
    let outcome = ends.code("Get", Code::Ok).await;
    assert_eq!(outcome.attempts, 2);
    carried(&outcome, 2, 1);
    drop(client);
    ends.none().await;
}

#[tokio::test]
async fn a_subscription_passes_the_interceptors_for_each_call() {
    let volt = Volt::start().await;
    let (client, mut ends) = watched(volt.client_with(|_| {}).await);
    let mut notes = client.list(Note::new("wait", 1)).subscribe().await.unwrap();
    soon(notes.update()).await.unwrap();
    let volt = volt.stop().await.start().await;
    assert_eq!(soon(notes.update()).await.unwrap(), Some(Update::Resumed));
    carried(&ends.code("List", Code::Unavailable).await, 1, 1);
    drop(notes);
    ends.code("List", Code::Cancelled).await;

    // A refusal is final.
    let mut notes = client.list(Note::new("refuse", 0)).subscribe().await.unwrap();
    let error = soon(notes.update()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    drop((notes, client, volt));
    ends.code("List", Code::DataLoss).await;
    ends.none().await;
}
