//! Failures are errors that state their cause, and never look like a clean end.

use std::{error::Error as _, time::Duration};

use tokio::net::TcpListener;
use volt_runtime::{
    ClientConfig, Code, ConnectOptions, ErrorKind, Executed, Overflow, connect, key::SigningKey,
};
use volt_test_support::{Note, soon};

use crate::support::{NotesClient, Volt, in_process, no_open_calls};

async fn connect_error(config: &ClientConfig) -> String {
    soon(connect(config, ConnectOptions::default())).await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_refusal_carries_the_status_for_every_kind() {
    let (volt, legacy) = (Volt::start().await, Volt::start_legacy().await);
    for client in [in_process().0, volt.client().await, legacy.client().await] {
        let error = soon(client.get(Note::new("refuse", 0))).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, Code::NotFound));
        assert_eq!(error.to_string(), "/test.Notes/Get: refused: not found: no such note");
        assert_eq!(error.executed(), Executed::Yes);

        let mut notes = client.list(Note::new("refuse", 2)).await.unwrap();
        assert!(soon(notes.message()).await.unwrap().is_some());
        assert!(soon(notes.message()).await.unwrap().is_some());
        for _ in 0..2 {
            let error = soon(notes.message()).await.unwrap_err();
            assert_eq!(error.code(), Code::DataLoss, "the error stays");
        }

        let mut upload = client.sum().await.unwrap();
        upload.send(Note::new("refuse", 0)).await.unwrap();
        let error = soon(upload.finish()).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, Code::InvalidArgument));
    }
}

#[tokio::test]
async fn an_upload_that_is_refused_early_stops_sending() {
    let (volt, legacy) = (Volt::start().await, Volt::start_legacy().await);
    for client in [in_process().0, volt.client().await, legacy.client().await] {
        let mut upload = client.sum().await.unwrap();
        upload.send(Note::new("refuse", 0)).await.unwrap();
        let error = soon(async {
            loop {
                if let Err(error) = upload.send(Note::new("more", 1)).await {
                    break error;
                }
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert_eq!(error.code(), Code::InvalidArgument, "{error}");
    }
}

#[tokio::test]
async fn sending_after_a_refusal_reports_it_behind_unread_responses() {
    let (volt, legacy) = (Volt::start().await, Volt::start_legacy().await);
    for client in [in_process().0, volt.client().await, legacy.client().await] {
        let mut echo = client.echo().await.unwrap();
        for number in 0..3 {
            echo.send(Note::new("unread", number)).await.unwrap();
        }
        echo.send(Note::new("refuse", 0)).await.unwrap();
        let error = soon(async {
            loop {
                match echo.send(Note::new("more", 1)).await {
                    Err(error) if error.kind() != ErrorKind::Ended => break error,
                    _ => tokio::task::yield_now().await,
                }
            }
        })
        .await;
        assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, Code::InvalidArgument));
        // Nothing that arrived before is lost.
        for number in 0..3 {
            assert_eq!(soon(echo.message()).await.unwrap(), Some(Note::new("unread", number)));
        }
        let error = soon(echo.message()).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{error}");
    }
}

#[tokio::test]
async fn the_requests_of_a_split_call_share_its_reason() {
    let (volt, legacy) = (Volt::start().await, Volt::start_legacy().await);
    for client in [in_process().0, volt.client().await, legacy.client().await] {
        let (mut requests, mut responses) = client.echo().await.unwrap().into_split();
        requests.send(Note::new("refuse", 0)).await.unwrap();
        let error = soon(async {
            loop {
                match requests.send(Note::new("more", 1)).await {
                    Err(error) => break error,
                    Ok(()) => tokio::task::yield_now().await,
                }
            }
        })
        .await;
        // The responses have not been read. The connection still works.
        assert_eq!(error.kind(), ErrorKind::Ended, "{error}");
        assert!(soon(responses.message()).await.unwrap_err().is_refused());
        let error = soon(requests.send(Note::default())).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, Code::InvalidArgument));
    }
}

#[tokio::test]
async fn an_upload_answered_early_keeps_its_response() {
    let (volt, legacy) = (Volt::start().await, Volt::start_legacy().await);
    for client in [in_process().0, volt.client().await, legacy.client().await] {
        let mut upload = client.sum().await.unwrap();
        upload.send(Note::new("enough", 7)).await.unwrap();
        let error = soon(async {
            loop {
                match upload.send(Note::new("more", 1)).await {
                    Err(error) => break error,
                    Ok(()) => tokio::task::yield_now().await,
                }
            }
        })
        .await;
        assert_eq!(error.kind(), ErrorKind::Ended, "{error}");
        assert_eq!(soon(upload.finish()).await.unwrap(), Note::new("sum", 7));
    }
}

#[tokio::test]
async fn sending_after_a_half_close_is_not_a_connection_error() {
    let volt = Volt::start().await;
    for client in [in_process().0, volt.client().await] {
        let mut echo = client.echo().await.unwrap();
        echo.send(Note::new("last", 1)).await.unwrap();
        echo.half_close();
        let error = soon(echo.send(Note::default())).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Ended, "{error}");
        assert_eq!(soon(echo.finish()).await.unwrap(), Some(Note::new("last", 1)));
    }
}

#[tokio::test]
async fn an_unknown_method_is_unimplemented() {
    let (volt, legacy) = (Volt::start().await, Volt::start_legacy().await);
    for client in [in_process().0, volt.client().await, legacy.client().await] {
        let error = soon(client.unknown()).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Failed, Code::Unimplemented));
        assert!(error.to_string().contains("/test.Notes/Nothing"), "{error}");
    }
}

#[tokio::test]
async fn a_handler_that_panics_ends_only_its_call() {
    let (volt, legacy) = (Volt::start().await, Volt::start_legacy().await);
    for client in [in_process().0, volt.client().await, legacy.client().await] {
        let error = soon(client.get(Note::new("panic", 0))).await.unwrap_err();
        assert_eq!(error.code(), Code::Internal, "{error}");
        soon(client.get(Note::new("fine", 0))).await.unwrap();
    }
}

#[tokio::test]
async fn configuration_errors_name_the_field() {
    let volt = Volt::start().await;
    let broken = |change: fn(&mut ClientConfig)| {
        let mut config = volt.config.clone();
        change(&mut config);
        config
    };
    for (config, expected) in [
        (broken(|c| c.credential = None), "`credential.key` is missing"),
        (broken(|c| c.volt.id = None), "`volt.id` is missing"),
        (broken(|c| c.volt.public_key = None), "`volt.public_key` is missing"),
        (broken(|c| c.volt.public_key = Some("nonsense".into())), "`volt.public_key` is invalid"),
        (broken(|c| c.volt.http_address = None), "`volt.http_address` is missing"),
        (broken(|c| c.volt.http_address = Some("volt.example:1".into())), "lacks a scheme"),
        (
            broken(|c| c.credential.as_mut().unwrap().key = Some("x".into())),
            "`credential.key` is invalid",
        ),
    ] {
        let message = connect_error(&config).await;
        assert!(message.contains(expected), "{message}");
    }
}

#[tokio::test]
async fn a_refused_connection_names_the_address() {
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = unused.local_addr().unwrap();
    drop(unused);
    let mut config = Volt::start().await.config;
    config.volt.http_address = Some(format!("http://{address}"));
    let message = connect_error(&config).await;
    assert!(message.contains(&address.to_string()), "{message}");
    assert!(message.to_lowercase().contains("refused"), "{message}");
}

#[tokio::test]
async fn a_wrong_volt_key_fails_each_call() {
    let volt = Volt::start().await;
    let mut config = volt.config.clone();
    config.volt.public_key = Some(SigningKey::generate().unwrap().verifying_key().to_pem());
    let client = NotesClient(connect(&config, ConnectOptions::default()).await.unwrap());
    let error = soon(client.get(Note::default())).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Protocol, Executed::No));
    let cause = error.source().unwrap().to_string();
    assert!(cause.contains("volt.public_key"), "{cause}");
    no_open_calls(&client).await;
}

#[tokio::test]
async fn unknown_sessions_and_keys_are_rejected() {
    let volt = Volt::start().await;
    let mut config = volt.config.clone();
    config.credential.as_mut().unwrap().session_id = Some("forged".into());
    let client = NotesClient(connect(&config, ConnectOptions::default()).await.unwrap());
    let error = soon(client.get(Note::default())).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Routing, Executed::No));
    assert!(error.to_string().contains("session invalid"), "{error}");

    let stranger = SigningKey::generate().unwrap().to_pem().unwrap();
    config.credential.as_mut().unwrap().key = Some(stranger.to_string());
    let client = NotesClient(connect(&config, ConnectOptions::default()).await.unwrap());
    let mut echo = client.echo().await.unwrap();
    let error = soon(echo.message()).await.unwrap_err();
    assert!(error.to_string().contains("signature"), "{error}");
    let error = soon(echo.send(Note::default())).await.unwrap_err();
    assert!(error.to_string().contains("signature"), "{error}");
    no_open_calls(&client).await;
}

#[tokio::test]
async fn a_deadline_ends_the_call_on_both_sides() {
    let volt = Volt::start().await;
    let client = volt.client().await;
    let soon_over = Duration::from_millis(50);
    let error = soon(client.get(Note::new("wait", 0)).timeout(soon_over)).await.unwrap_err();
    assert!(error.is_deadline(), "{error}");
    let mut notes = client.list(Note::new("wait", 1)).timeout(soon_over).await.unwrap();
    assert!(soon(notes.message()).await.unwrap().is_some());
    let error = soon(notes.message()).await.unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded);
    soon(volt.probe.running(0)).await;
    no_open_calls(&client).await;
}

#[tokio::test]
async fn only_the_unread_stream_fails_when_its_buffer_is_full() {
    let volt = Volt::start().await;
    let client = volt.client().await;
    let mut notes = client
        .list(Note::new("x".repeat(1000), 10_000))
        .receive_buffer(64 << 10, Overflow::Fail)
        .await
        .unwrap();
    // The first response starts the flood; then nothing is read until another call has been
    // answered.
    assert!(soon(notes.message()).await.unwrap().is_some());
    soon(volt.probe.running(0)).await;
    soon(client.get(Note::new("other", 1))).await.unwrap();
    let error = soon(async {
        loop {
            if let Err(error) = notes.message().await {
                break error;
            }
        }
    })
    .await;
    assert_eq!(error.kind(), ErrorKind::ResourceExhausted, "{error}");
    no_open_calls(&client).await;
}

#[tokio::test]
async fn a_slow_reader_slows_the_connection_and_loses_nothing() {
    let volt = Volt::start().await;
    let client = volt.client().await;
    let mut notes = client
        .list(Note::new("x".repeat(1000), 5_000))
        .receive_buffer(16 << 10, Overflow::Wait(Duration::from_secs(20)))
        .await
        .unwrap();
    for number in 0..5_000 {
        if number % 100 == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(soon(notes.message()).await.unwrap().unwrap().number, number);
    }
    assert!(soon(notes.message()).await.unwrap().is_none());
}

/// A message that cannot be serialized.
#[derive(Clone, serde::Deserialize, prost::Message)]
struct Unwritable {}

impl serde::Serialize for Unwritable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("no such time"))
    }
}

impl volt_runtime::Message for Unwritable {
    const NAME: &'static str = "test.Unwritable";
}

#[tokio::test]
async fn an_unencodable_request_fails_its_call_at_once() {
    use volt_runtime::{Executed, Method, MethodKind, ServerStreamingCall, UnaryCall};
    static METHODS: [Method; 2] = [
        Method { path: "/test.Notes/Get", kind: MethodKind::Unary },
        Method { path: "/test.Notes/List", kind: MethodKind::ServerStreaming },
    ];
    let volt = Volt::start().await;
    for client in [in_process().0, volt.client().await] {
        let call = UnaryCall::<_, Note>::new(&client.0, &METHODS[0], Unwritable {});
        let error = soon(call).await.unwrap_err();
        assert_eq!((error.kind(), error.executed()), (ErrorKind::Protocol, Executed::No));
        assert!(format!("{error:?}").contains("no such time"), "{error:?}");
        let call = ServerStreamingCall::<_, Note>::new(&client.0, &METHODS[1], Unwritable {});
        let error = soon(call.await.unwrap().message()).await.unwrap_err();
        assert!(format!("{error:?}").contains("no such time"), "{error:?}");
    }
}

#[tokio::test]
async fn a_stream_that_never_pauses_does_not_outlive_its_deadline() {
    let volt = Volt::start().await;
    let client = volt.client().await;
    let call = client.list(Note::new("n", u64::MAX)).timeout(Duration::from_millis(50));
    let mut notes = call.await.unwrap();
    let error = soon(async {
        loop {
            if let Err(error) = notes.message().await {
                break error;
            }
        }
    })
    .await;
    assert_eq!(error.kind(), ErrorKind::Deadline, "{error}");
    drop(notes);
    soon(volt.probe.running(0)).await;
}
