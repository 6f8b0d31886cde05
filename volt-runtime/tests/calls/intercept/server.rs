//! Interceptors of a server.

use std::{
    pin::pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use volt_runtime::{
    __core::Encoding,
    Channel, Code, ConnectOptions, Status,
    intercept::After,
    server::{Context, Router, serve, serve_grpc},
};
use volt_test_support::{Note, soon};

use super::{Ends, carried};
use crate::{
    grpc,
    support::{Notes, NotesClient, Parts, Probe, Volt},
};

/// A server with interceptors, and a client of it.
struct Served {
    client: NotesClient,
    probe: Probe,
    volt: Option<Volt>,
}

impl Served {
    fn in_process(route: impl FnOnce(Router) -> Router, encoding: Encoding) -> Self {
        let probe = Probe::default();
        let router = route(Router::new().with(Notes(probe.clone())));
        let client = NotesClient(Channel::in_process_with(router, encoding));
        Self { client, probe, volt: None }
    }

    async fn websocket(route: impl FnOnce(Router) -> Router) -> Self {
        let parts = Parts::routed(route, |host| host);
        let volt = parts.serve_by("http", "127.0.0.1", 0, serve).await;
        Self { client: volt.client().await, probe: volt.probe.clone(), volt: Some(volt) }
    }

    async fn grpc(route: impl FnOnce(Router) -> Router) -> Self {
        let parts = Parts::routed(route, |host| host);
        let volt = parts.serve_by("http", "127.0.0.1", 0, serve_grpc).await;
        Self { client: grpc::client(&volt).await, probe: volt.probe.clone(), volt: Some(volt) }
    }

    async fn all(route: impl Fn(Router) -> Router) -> [Self; 4] {
        [
            Self::in_process(&route, Encoding::Json),
            Self::in_process(&route, Encoding::Protobuf),
            Self::websocket(&route).await,
            Self::grpc(&route).await,
        ]
    }

    async fn stop(self) {
        let Self { client, volt, .. } = self;
        drop(client);
        if let Some(volt) = volt {
            volt.server.shutdown().await;
        }
    }
}

/// Runs the same check over every transport, with a server whose calls are reported. Nothing may be
/// reported that the check has not seen.
async fn everywhere(check: impl AsyncFn(&Served, &mut Ends)) {
    let (report, mut ends) = Ends::new();
    let all = Served::all(|router| report.clone().server(router)).await;
    drop(report);
    for served in all {
        soon(check(&served, &mut ends)).await;
        soon(served.stop()).await;
    }
    ends.none().await;
}

#[tokio::test]
async fn every_kind_reports_its_end_and_its_traffic() {
    everywhere(async |served, ends| {
        let client = &served.client;
        client.get(Note::new("get", 1)).await.unwrap();
        let outcome = ends.code("Get", Code::Ok).await;
        carried(&outcome, 1, 1);
        assert_eq!(outcome.sent.bytes, outcome.received.bytes);
        assert!(outcome.sent.bytes > 0);
        let mut list = client.list(Note::new("n", 3)).await.unwrap();
        while list.message().await.unwrap().is_some() {}
        carried(&ends.code("List", Code::Ok).await, 3, 1);
        let mut upload = client.sum().await.unwrap();
        for number in 1..=4 {
            upload.send(Note::new("", number)).await.unwrap();
        }
        upload.finish().await.unwrap();
        carried(&ends.code("Sum", Code::Ok).await, 1, 4);
        let mut echo = client.echo().await.unwrap();
        for number in 0..5 {
            echo.send(Note::new("ping", number)).await.unwrap();
            echo.message().await.unwrap();
        }
        echo.finish().await.unwrap();
        carried(&ends.code("Echo", Code::Ok).await, 5, 5);
    })
    .await;
}

#[tokio::test]
async fn the_status_of_a_handler_is_the_outcome() {
    everywhere(async |served, ends| {
        let client = &served.client;
        client.get(Note::new("refuse", 0)).await.unwrap_err();
        let outcome = ends.code("Get", Code::NotFound).await;
        assert_eq!(outcome.error().unwrap().status().unwrap().message(), "no such note");
        client.get(Note::new("panic", 0)).await.unwrap_err();
        ends.code("Get", Code::Internal).await;
        let mut list = client.list(Note::new("refuse", 1)).await.unwrap();
        while list.message().await.is_ok() {}
        ends.code("List", Code::DataLoss).await;
        let mut upload = client.sum().await.unwrap();
        upload.send(Note::new("refuse", 0)).await.unwrap();
        upload.finish().await.unwrap_err();
        ends.code("Sum", Code::InvalidArgument).await;
        // It names no method here, so no interceptor sees it.
        client.unknown().await.unwrap_err();
    })
    .await;
}

#[tokio::test]
async fn a_call_that_its_caller_drops_was_cancelled() {
    everywhere(async |served, ends| {
        let Served { client, probe, .. } = served;
        {
            let mut get = pin!(client.get(Note::new("wait", 0)).into_future());
            tokio::select! {
                _ = &mut get => panic!("it waits"),
                () = probe.running(1) => {}
            }
        }
        ends.code("Get", Code::Cancelled).await;
        let mut list = client.list(Note::new("wait", 1)).await.unwrap();
        list.message().await.unwrap();
        drop(list);
        carried(&ends.code("List", Code::Cancelled).await, 1, 1);
        let mut echo = client.echo().await.unwrap();
        echo.send(Note::new("wait", 0)).await.unwrap();
        probe.running(1).await;
        drop(echo);
        ends.code("Echo", Code::Cancelled).await;
    })
    .await;
}

/// Both ends know the deadline, and either may be first.
#[tokio::test]
async fn a_call_that_times_out_over_grpc_is_reported_once() {
    let (report, mut ends) = Ends::new();
    let served = Served::grpc(|router| report.server(router)).await;
    for kind in ["Get", "List"] {
        let short = Duration::from_millis(50);
        let note = Note::new("wait", 0);
        if kind == "Get" {
            served.client.get(note).timeout(short).await.unwrap_err();
        } else {
            let mut list = served.client.list(note).timeout(short).await.unwrap();
            list.message().await.unwrap_err();
        }
        let outcome = ends.next(kind).await;
        let code = outcome.code();
        assert!([Code::DeadlineExceeded, Code::Cancelled].contains(&code), "{outcome:?}");
    }
    soon(served.stop()).await;
    ends.none().await;
}

#[tokio::test]
async fn a_stopped_server_reports_the_calls_that_it_cuts() {
    for over_grpc in [false, true] {
        let (report, mut ends) = Ends::new();
        let route = |router| report.server(router);
        let served =
            if over_grpc { Served::grpc(route).await } else { Served::websocket(route).await };
        let Served { client, probe, volt } = served;
        let mut list = client.list(Note::new("wait", 0)).await.unwrap();
        soon(async {
            tokio::select! {
                _ = list.message() => panic!("it waits"),
                () = probe.running(1) => {}
            }
        })
        .await;
        soon(volt.unwrap().server.shutdown()).await;
        let outcome = ends.next("List").await;
        let code = if over_grpc { Code::Unavailable } else { Code::Cancelled };
        assert_eq!(outcome.code(), code, "{outcome:?}");
        drop((list, client));
        ends.none().await;
    }
}

/// An interceptor that logs, and refuses callers on request.
fn named(
    router: Router,
    log: &Arc<Mutex<Vec<String>>>,
    name: &'static str,
    refuses: bool,
) -> Router {
    let log = Arc::clone(log);
    router.intercept(move |context: &Context| {
        log.lock().unwrap().push(format!("{name} before {}", context.method().full_name()));
        if refuses {
            return Err(Status::new(Code::PermissionDenied, "not here"));
        }
        let log = Arc::clone(&log);
        Ok(After::new(move |outcome| {
            log.lock().unwrap().push(format!("{name} after: {}", outcome.code().name()));
        }))
    })
}

#[tokio::test]
async fn a_refused_call_never_reaches_its_handler() {
    let log = Arc::default();
    let route = |router| {
        let router = named(router, &log, "a", false);
        let router = named(router, &log, "b", true);
        named(router, &log, "c", false)
    };
    for served in Served::all(route).await {
        let Served { client, probe, .. } = &served;
        let mut list = client.list(Note::new("take", 1)).await.unwrap();
        let mut upload = client.sum().await.unwrap();
        upload.send(Note::default()).await.unwrap();
        let mut echo = client.echo().await.unwrap();
        echo.send(Note::new("take", 0)).await.unwrap();
        let refusals = [
            soon(client.get(Note::default())).await.unwrap_err(),
            soon(list.message()).await.unwrap_err(),
            soon(upload.finish()).await.unwrap_err(),
            soon(echo.message()).await.unwrap_err(),
        ];
        for refusal in refusals {
            assert_eq!(refusal.code(), Code::PermissionDenied, "{refusal}");
        }
        soon(probe.running(0)).await;
        assert_eq!(probe.taken.load(std::sync::atomic::Ordering::SeqCst), 0);
        soon(served.stop()).await;
    }
    let log = log.lock().unwrap();
    let count = |text: &str| log.iter().filter(|line| line.contains(text)).count();
    assert_eq!((count("a before"), count("b before"), count("c before")), (16, 16, 0), "{log:?}");
    assert_eq!((count("a after: PERMISSION_DENIED"), log.len()), (16, 48), "{log:?}");
    assert_eq!(count("b before test.Notes/Get"), 4);
}

#[tokio::test]
async fn an_interceptor_sees_the_caller() {
    let callers = Arc::<Mutex<Vec<Option<String>>>>::default();
    let route = |router: Router| {
        let callers = Arc::clone(&callers);
        router.intercept(move |context: &Context| {
            callers.lock().unwrap().push(context.caller().identity.clone());
            Ok(After::nothing())
        })
    };
    for served in Served::all(route).await {
        soon(served.client.get(Note::default())).await.unwrap();
        soon(served.stop()).await;
    }
    let client = Some("did:volt:client".to_owned());
    assert_eq!(*callers.lock().unwrap(), [None, None, client.clone(), client]);
}

/// The handler is dropped when the task of its call is.
#[tokio::test]
async fn a_connection_that_ends_cancels_its_calls() {
    let (report, mut ends) = Ends::new();
    let Served { client, probe, volt } = Served::websocket(|router| report.server(router)).await;
    let mut options = ConnectOptions::default();
    options.reconnect = None;
    drop(client);
    let volt = volt.unwrap();
    let client = volt.client_with(|changed| *changed = options).await;
    let list = client.list(Note::new("wait", 0)).await.unwrap();
    soon(probe.running(1)).await;
    soon(client.0.close()).await;
    ends.code("List", Code::Cancelled).await;
    drop((list, client));
    soon(volt.server.shutdown()).await;
    ends.none().await;
}
