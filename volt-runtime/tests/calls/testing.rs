//! Mocks of closures, connections that are lost on demand, and recorded answers.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use tempfile::TempDir;
use volt_runtime::{
    __private::prost_types::Timestamp,
    CallOptions, Channel, Code, ConnectionState, Error, ErrorKind, Executed, Result,
    ServerStreamingCall, Status, Target, UnaryCall, Update,
    intercept::{After, OutgoingCall},
    json::WellKnown,
    server::{Requests, Responses},
    testing::{Mock, Outage},
};
use volt_test_support::{Note, soon};

use crate::{
    grpc,
    support::{ECHO, GET, LIST, Notes, NotesClient, Probe, SUM, Volt, in_process},
};

fn mock() -> Mock {
    Mock::new()
        .on(GET, |note| async move {
            match &*note.text {
                "refuse" => Err(Status::new(Code::NotFound, "no such note")),
                _ => Ok(Note::new("mocked", note.number)),
            }
        })
        .on(LIST, |note, mut responses| async move {
            for number in 0..note.number {
                responses.send(Note::new("listed", number)).await?;
            }
            Ok(())
        })
        .on(SUM, |mut requests: Requests<Note>| async move {
            let mut sum = 0;
            while let Some(note) = requests.message().await? {
                sum += note.number;
            }
            Ok(Note::new("sum", sum))
        })
        .on(ECHO, |mut requests: Requests<Note>, mut responses: Responses<Note>| async move {
            while let Some(note) = requests.message().await? {
                responses.send(note).await?;
            }
            Ok(())
        })
}

/// Makes a call of each kind, and returns the responses.
async fn all_kinds(client: &NotesClient) -> Result<Vec<Note>> {
    let mut notes = vec![soon(client.get(Note::new("one", 1))).await?];
    let mut list = soon(client.list(Note::new("n", 2))).await?;
    while let Some(note) = soon(list.message()).await? {
        notes.push(note);
    }
    let mut sum = soon(client.sum()).await?;
    for number in 1..=3 {
        soon(sum.send(Note::new("", number))).await?;
    }
    notes.push(soon(sum.finish()).await?);
    let mut echo = soon(client.echo()).await?;
    for number in 7..=8 {
        soon(echo.send(Note::new("e", number))).await?;
        notes.extend(soon(echo.message()).await?);
    }
    notes.extend(soon(echo.finish()).await?);
    Ok(notes)
}

#[tokio::test]
async fn closures_answer_all_four_kinds() {
    let client = NotesClient(mock().channel());
    let notes = all_kinds(&client).await.unwrap();
    let expected = [("mocked", 1), ("listed", 0), ("listed", 1), ("sum", 6), ("e", 7), ("e", 8)];
    assert_eq!(notes, expected.map(|(text, number)| Note::new(text, number)));
    let error = soon(client.get(Note::new("refuse", 0))).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, Code::NotFound));
}

#[tokio::test]
async fn a_method_without_a_closure_is_an_error_that_names_the_others() {
    let client = NotesClient(Mock::new().on(GET, |note| async move { Ok(note) }).channel());
    let error = soon(client.list(Note::default())).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Configuration, Executed::No));
    let text = error.to_string();
    assert!(text.contains("does not answer `/test.Notes/List`"), "{text}");
    assert!(text.contains("It answers `/test.Notes/Get`"), "{text}");
    let error = soon(NotesClient(Mock::new().channel()).get(Note::default())).await.unwrap_err();
    assert!(error.to_string().contains("It answers no method"), "{error}");
}

#[tokio::test]
async fn closures_and_server_traits_answer_together_and_the_last_one_wins() {
    let mock = Mock::new()
        .service(Notes(Probe::default()))
        .on(GET, |_| async move { Ok(Note::new("closure", 0)) });
    let client = NotesClient(mock.channel());
    assert_eq!(soon(client.get(Note::default())).await.unwrap().text, "closure");
    let mut echo = soon(client.echo()).await.unwrap();
    soon(echo.send(Note::new("trait", 1))).await.unwrap();
    assert_eq!(soon(echo.message()).await.unwrap(), Some(Note::new("trait", 1)));
}

#[tokio::test]
async fn an_outage_fails_open_calls_and_later_ones_wait_for_its_end() {
    let (client, probe) = in_process();
    let (channel, outage) = Outage::of(client.0);
    let client = NotesClient(channel);
    let sent = tokio::spawn(client.get(Note::new("wait", 0)).into_future());
    let mut unsent = soon(client.echo()).await.unwrap();
    soon(probe.running(2)).await;
    outage.lose();
    let error = soon(sent).await.unwrap().unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Connection, Executed::Maybe));
    let error = soon(unsent.message()).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Connection, Executed::No));
    // The other end is notified of the cancellations.
    soon(probe.running(0)).await;
    let state = client.0.watch_state().current();
    assert!(matches!(state, ConnectionState::Reconnecting { .. }), "{state}");
    let waiting = tokio::spawn(client.get(Note::new("later", 1)).into_future());
    outage.restore();
    assert_eq!(soon(waiting).await.unwrap().unwrap(), Note::new("later", 1));
    outage.close();
    outage.restore();
    let error = soon(client.get(Note::default())).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Connection, Executed::No));
}

#[tokio::test]
async fn a_subscription_resumes_after_an_outage() {
    let calls = Arc::<AtomicU32>::default();
    let counted = Arc::clone(&calls);
    let mock = Mock::new().on(LIST, move |_, mut responses: Responses<Note>| {
        let call = counted.fetch_add(1, Ordering::SeqCst);
        async move {
            responses.send(Note::new("call", u64::from(call))).await?;
            std::future::pending().await
        }
    });
    let (channel, outage) = Outage::of(mock.channel());
    let mut updates = soon(NotesClient(channel).list(Note::default()).subscribe()).await.unwrap();
    assert_eq!(soon(updates.update()).await.unwrap(), Some(Update::Message(Note::new("call", 0))));
    outage.lose_with(Error::connection("the cable was pulled"));
    outage.restore();
    assert_eq!(soon(updates.update()).await.unwrap(), Some(Update::Resumed));
    assert_eq!(soon(updates.update()).await.unwrap(), Some(Update::Message(Note::new("call", 1))));
}

/// Records the calls of a function against a real connection, and returns the record's path.
async fn record<F: Future<Output = ()>>(
    folder: &TempDir,
    calls: impl FnOnce(NotesClient) -> F,
) -> std::path::PathBuf {
    let path = folder.path().join("notes.jsonl");
    let volt = Volt::start().await;
    let client = volt.client().await;
    calls(NotesClient(client.0.record(&path).unwrap())).await;
    path
}

#[tokio::test]
async fn a_record_answers_all_four_kinds_like_the_volt() {
    let folder = tempfile::tempdir().unwrap();
    let mut recorded = Vec::new();
    let path = record(&folder, |client| {
        let recorded = &mut recorded;
        async move {
            *recorded = all_kinds(&client).await.unwrap();
            let error = soon(client.get(Note::new("refuse", 0))).await.unwrap_err();
            assert_eq!(error.code(), Code::NotFound);
            let error = soon(client.unknown()).await.unwrap_err();
            assert_eq!(error.code(), Code::Unimplemented);
        }
    })
    .await;
    let client = NotesClient(Channel::replay(&path).unwrap());
    // In another order.
    let error = soon(client.unknown()).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Failed, Code::Unimplemented));
    assert_eq!(all_kinds(&client).await.unwrap(), recorded);
    let error = soon(client.get(Note::new("refuse", 0))).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, Code::NotFound));
    assert_eq!(client.0.open_calls(), 0);
    // One line for each call, readable.
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 1 + 6, "{text}");
    assert!(text.contains(r#""sent":{"number":1,"text":"one"}"#), "{text}");
}

#[tokio::test]
async fn calls_with_equal_requests_are_answered_in_recorded_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("counted.jsonl");
    let count = Arc::<AtomicU32>::default();
    let mock = Mock::new().on(GET, move |_| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        async move { Ok(Note::new("call", u64::from(number))) }
    });
    let client = NotesClient(mock.channel().record(&path).unwrap());
    for _ in 0..3 {
        soon(client.get(Note::new("same", 0))).await.unwrap();
    }
    let client = NotesClient(Channel::replay(&path).unwrap());
    for number in 0..3 {
        assert_eq!(soon(client.get(Note::new("same", 0))).await.unwrap().number, number);
    }
    let error = soon(client.get(Note::new("same", 0))).await.unwrap_err();
    assert!(error.to_string().contains("already replayed (line 2, 3, 4)"), "{error}");
}

#[tokio::test]
async fn a_request_that_is_not_in_the_record_is_an_error_with_the_difference() {
    let folder = tempfile::tempdir().unwrap();
    let path = record(&folder, |client| async move {
        soon(client.get(Note::new("one", 1))).await.unwrap();
        let mut sum = soon(client.sum()).await.unwrap();
        soon(sum.send(Note::new("a", 1))).await.unwrap();
        soon(sum.send(Note::new("b", 2))).await.unwrap();
        soon(sum.finish()).await.unwrap();
    })
    .await;
    let client = NotesClient(Channel::replay(&path).unwrap());
    let error = soon(client.get(Note::new("two", 1))).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Configuration, Executed::No));
    let text = error.to_string();
    assert!(text.contains("line 2, differs at `text`: recorded \"one\", sent \"two\""), "{text}");
    let error = soon(client.get(Note::new("one", 1)).service(Target::new("other"))).await;
    let text = error.unwrap_err().to_string();
    assert!(text.contains("the service: recorded None, sent Some(\"other\")"), "{text}");
    let error = soon(client.list(Note::new("one", 1))).await.unwrap().message().await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("no call of the method, only of /test.Notes/Get, /test.Notes/Sum"),
        "{text}"
    );
    // Later requests of a stream.
    let mut sum = soon(client.sum()).await.unwrap();
    soon(sum.send(Note::new("a", 1))).await.unwrap();
    soon(sum.send(Note::new("c", 2))).await.unwrap();
    let text = soon(sum.finish()).await.unwrap_err().to_string();
    assert!(text.contains("request 2 of the call in line 3 differs at `text`"), "{text}");
}

#[tokio::test]
async fn a_file_that_is_not_a_record_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wrong.jsonl");
    let error = Channel::replay(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    for (text, reason) in [
        ("", "line 1 of"),
        ("{\"volt_record\":9}\n", "a record of version 9"),
        ("{\"volt_record\":1}\n\n{\"method\":1}\n", "line 3 of"),
    ] {
        fs::write(&path, text).unwrap();
        let error = Channel::replay(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains(reason), "{error}");
    }
    let missing = folder.path().join("no/folder");
    assert_eq!(mock().channel().record(missing).unwrap_err().kind(), ErrorKind::Io);
}

#[tokio::test]
async fn a_dropped_call_is_recorded_up_to_the_drop() {
    let folder = tempfile::tempdir().unwrap();
    let path = record(&folder, |client| async move {
        let mut list = soon(client.list(Note::new("wait", 1))).await.unwrap();
        soon(list.message()).await.unwrap();
    })
    .await;
    let client = NotesClient(Channel::replay(&path).unwrap());
    let mut list = soon(client.list(Note::new("wait", 1))).await.unwrap();
    assert_eq!(soon(list.message()).await.unwrap(), Some(Note::new("wait", 0)));
    let error = soon(list.message()).await.unwrap_err();
    assert!(error.to_string().contains("cancelled here by its caller"), "{error}");
}

#[tokio::test]
async fn own_secret_fields_are_hidden_and_may_differ() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hidden.jsonl");
    let channel = mock().channel().record_hiding(&path, &["text"]).unwrap();
    soon(NotesClient(channel).get(Note::new("SECRET", 5))).await.unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(!text.contains("SECRET") && text.contains("(hidden)"), "{text}");
    let client = NotesClient(Channel::replay(&path).unwrap());
    assert_eq!(soon(client.get(Note::new("another", 5))).await.unwrap().number, 5);
}

#[tokio::test]
async fn a_record_over_grpc_equals_that_of_a_websocket() {
    let folder = tempfile::tempdir().unwrap();
    let (websocket, over_grpc) = (Volt::start().await, grpc::start().await);
    let mut records = Vec::new();
    for client in [websocket.client().await, grpc::client(&over_grpc).await] {
        let path = folder.path().join("notes.jsonl");
        let channel = client.0.record_hiding(&path, &["text"]).unwrap();
        // Interceptors may replace the options of a call.
        let client = NotesClient(channel.intercept(|call: &mut OutgoingCall| {
            call.options = CallOptions::default();
            Ok(After::nothing())
        }));
        let recorded = numbers(&client).await;
        let replayed = numbers(&NotesClient(Channel::replay(&path).unwrap())).await;
        assert_eq!(replayed, recorded);
        records.push(fs::read_to_string(&path).unwrap());
    }
    assert_eq!(records[1], records[0]);
    assert!(!records[0].contains("listed") && records[0].contains("(hidden)"), "{}", records[0]);
}

/// Makes a call of each kind and a subscription, and returns the numbers in the responses.
async fn numbers(client: &NotesClient) -> Vec<u64> {
    let mut numbers: Vec<_> =
        all_kinds(client).await.unwrap().into_iter().map(|note| note.number).collect();
    let mut updates = soon(client.list(Note::new("subscribed", 2)).subscribe()).await.unwrap();
    while let Some(update) = soon(updates.update()).await.unwrap() {
        let Update::Message(note) = update else { panic!("{update:?}") };
        numbers.push(note.number);
    }
    numbers
}

#[tokio::test]
async fn a_request_without_a_json_form_is_not_sent_while_recording() {
    let folder = tempfile::tempdir().unwrap();
    let volt = grpc::start().await;
    let channel = grpc::client(&volt).await.0.record(folder.path().join("late.jsonl")).unwrap();
    // Beyond the year 9999.
    let late = WellKnown(Timestamp { seconds: i64::MAX, nanos: 0 });
    let get = UnaryCall::<_, Note>::new(&channel, GET.method(), late);
    let of_get = soon(get).await.unwrap_err();
    let list = ServerStreamingCall::<_, Note>::new(&channel, LIST.method(), late);
    let of_list = soon(soon(list).await.unwrap().message()).await.unwrap_err();
    for error in [of_get, of_list] {
        assert_eq!((error.kind(), error.executed()), (ErrorKind::Protocol, Executed::No));
        assert!(error.to_string().contains("cannot be written"), "{error}");
    }
}
