//! A client's interceptor sees each end of a call, once.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use tokio::time::sleep;
use volt_runtime::{Code, Executed};
use volt_test_support::{Note, soon};

use super::watched;
use crate::{
    kinds::everywhere,
    support::{Volt, in_process, quick},
};

/// Polls a future once. It must wait.
async fn begin(mut future: Pin<&mut impl Future>) {
    poll_fn(|cx| {
        assert!(future.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
}

#[tokio::test]
async fn a_dropped_call_was_cancelled() {
    everywhere(async |client| {
        let (client, mut ends) = watched(client);
        {
            let mut get = pin!(client.get(Note::new("wait", 0)).into_future());
            begin(get.as_mut()).await;
        }
        let outcome = ends.code("Get", Code::Cancelled).await;
        assert_eq!(outcome.attempts, 1);

        let mut list = client.list(Note::new("wait", 1)).await.unwrap();
        list.message().await.unwrap();
        drop(list);
        ends.code("List", Code::Cancelled).await;

        let mut upload = client.sum().await.unwrap();
        upload.send(Note::default()).await.unwrap();
        drop(upload);
        ends.code("Sum", Code::Cancelled).await;

        let mut upload = client.sum().await.unwrap();
        upload.send(Note::default()).await.unwrap();
        {
            let mut finish = pin!(upload.finish());
            begin(finish.as_mut()).await;
        }
        ends.code("Sum", Code::Cancelled).await;

        let (requests, responses) = client.echo().await.unwrap().into_split();
        drop(responses);
        ends.code("Echo", Code::Cancelled).await;
        drop((requests, client));
        ends.none().await;
    })
    .await;
}

#[tokio::test]
async fn a_call_that_is_never_polled_has_not_begun() {
    let (client, _) = in_process();
    let (client, ends) = watched(client);
    drop(client.get(Note::default()));
    drop(client.get(Note::default()).into_future());
    drop(client);
    ends.none().await;
}

#[tokio::test]
async fn a_deadline_on_either_half_is_the_outcome() {
    everywhere(async |client| {
        let (client, mut ends) = watched(client);
        let short = Duration::from_millis(10);
        client.get(Note::new("wait", 0)).timeout(short).await.unwrap_err();
        ends.code("Get", Code::DeadlineExceeded).await;

        let mut list = client.list(Note::new("wait", 0)).timeout(short).await.unwrap();
        list.message().await.unwrap_err();
        // The stream may be kept: the call has ended.
        ends.code("List", Code::DeadlineExceeded).await;

        let mut upload = client.sum().timeout(short).await.unwrap();
        sleep(2 * short).await;
        upload.send(Note::default()).await.unwrap_err();
        drop(upload);
        ends.code("Sum", Code::DeadlineExceeded).await;

        // Only the sending half has noticed.
        let (mut requests, responses) = client.echo().timeout(short).await.unwrap().into_split();
        sleep(2 * short).await;
        requests.send(Note::default()).await.unwrap_err();
        drop(responses);
        ends.code("Echo", Code::DeadlineExceeded).await;
        drop((list, requests, client));
        ends.none().await;
    })
    .await;
}

#[tokio::test]
async fn a_lost_connection_is_the_outcome_of_every_open_call() {
    let volt = Volt::start().await;
    let mut options = quick();
    options.reconnect = None;
    let (client, mut ends) = watched(volt.client_with(|changed| *changed = options).await);
    let mut list = client.list(Note::new("wait", 1)).await.unwrap();
    soon(list.message()).await.unwrap();
    let mut echo = client.echo().await.unwrap();
    echo.send(Note::default()).await.unwrap();
    soon(echo.message()).await.unwrap();
    volt.stop().await;
    soon(list.message()).await.unwrap_err();
    let outcome = ends.code("List", Code::Unavailable).await;
    assert_eq!(outcome.error().unwrap().executed(), Executed::Maybe);
    soon(echo.message()).await.unwrap_err();
    ends.code("Echo", Code::Unavailable).await;

    // The connection is lost.
    client.get(Note::default()).await.unwrap_err();
    let outcome = ends.code("Get", Code::Unavailable).await;
    assert_eq!((outcome.attempts, outcome.sent.messages), (0, 0));
    client.sum().await.unwrap_err();
    ends.code("Sum", Code::Unavailable).await;
    drop((list, echo, client));
    ends.none().await;
}

/// It is not cancelled when it is dropped.
#[tokio::test]
async fn a_call_that_only_sends_ends_with_the_volts_end() {
    everywhere(async |client| {
        let (client, mut ends) = watched(client);
        let mut echo = client.echo().await.unwrap();
        echo.send(Note::new("take", 0)).await.unwrap();
        echo.half_close();
        drop(echo);
        ends.code("Echo", Code::Ok).await;
        drop(client);
        ends.none().await;
    })
    .await;
}
