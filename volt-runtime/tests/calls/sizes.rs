//! Messages that are larger than a limit.

use volt_runtime::{ErrorKind, Executed};
use volt_test_support::{Note, soon};

use crate::support::{Volt, no_open_calls};

/// A message of about this size.
fn long(bytes: usize) -> Note {
    Note::new("x".repeat(bytes), 1)
}

#[tokio::test]
async fn a_request_above_the_limit_fails_only_its_call() {
    let (volt, legacy) = (Volt::start().await, Volt::start_legacy().await);
    for volt in [volt, legacy] {
        let client = volt.client_with(|options| options.max_sent_message_size = 10_000).await;
        let mut beside = client.list(Note::new("wait", 1)).await.unwrap();
        assert!(soon(beside.message()).await.unwrap().is_some());
        let mut list = client.list(long(20_000)).await.unwrap();
        let mut echo = client.echo().await.unwrap();
        for error in [
            soon(client.get(long(20_000))).await.unwrap_err(),
            soon(list.message()).await.unwrap_err(),
            soon(echo.send(long(20_000))).await.unwrap_err(),
        ] {
            let expected = (ErrorKind::ResourceExhausted, Executed::No);
            assert_eq!((error.kind(), error.executed()), expected, "{error}");
            let text = error.to_string();
            assert!(text.contains("more than the limit of 10000"), "{text}");
        }
        // A smaller message can be sent instead.
        soon(echo.send(Note::new("a", 1))).await.unwrap();
        assert!(soon(echo.message()).await.unwrap().is_some());
        let error = soon(echo.send(long(20_000))).await.unwrap_err();
        assert_eq!(error.executed(), Executed::Maybe, "the method is running");
        soon(client.get(Note::default())).await.unwrap();
        assert!(client.0.watch_state().current().is_connected());
        drop((beside, list, echo));
        no_open_calls(&client).await;
    }
}

#[tokio::test]
async fn a_response_above_the_limit_ends_a_subscription() {
    let volt = Volt::start().await;
    let client = volt.client_with(|options| options.max_message_size = 10_000).await;
    let error = soon(client.get(long(20_000))).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Connection, Executed::Maybe));
    let text = error.to_string();
    assert!(text.contains("more than the limit of 10000"), "{text}");
    let mut subscription = client.list(long(20_000)).subscribe().await.unwrap();
    let error = soon(subscription.update()).await.unwrap_err();
    assert!(error.to_string().contains("more than the limit of 10000"), "{error}");
    soon(client.get(Note::default())).await.unwrap();
}

#[tokio::test]
async fn a_call_that_ends_without_a_message_fails_at_once() {
    let (volt, legacy) = (Volt::start().await, Volt::start_legacy().await);
    for volt in [volt, legacy] {
        let client = volt.client().await;
        let mut echo = client.echo().await.unwrap();
        echo.half_close();
        let (requests, mut responses) = client.echo().await.unwrap().into_split();
        drop(requests);
        for error in [
            soon(echo.message()).await.unwrap_err(),
            soon(responses.message()).await.unwrap_err(),
            soon(client.echo().await.unwrap().finish()).await.unwrap_err(),
            soon(client.sum().await.unwrap().finish()).await.unwrap_err(),
        ] {
            assert!(error.to_string().contains("no message was sent"), "{error}");
            assert_eq!(error.executed(), Executed::No);
        }
        drop((echo, responses));
        no_open_calls(&client).await;
    }
}
