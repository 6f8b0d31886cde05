//! The spans of calls.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    sync::{Arc, Mutex},
};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt as _},
    registry,
    registry::LookupSpan,
};
use volt_runtime::{
    Channel, Method, MethodKind, UnaryCall,
    server::{self, IncomingCall, Router, Service},
    transport::BoxFuture,
};
use volt_test_support::{Note, soon};

use crate::support::{NotesClient, Volt, in_process};

type Fields = BTreeMap<String, String>;
/// The text of an event, and the kinds of the spans around it.
type Logged = (String, Vec<String>);

/// Keeps the fields of spans that have ended.
#[derive(Clone, Default)]
struct Spans {
    ended: Arc<Mutex<Vec<Fields>>>,
    events: Arc<Mutex<Vec<Logged>>>,
}

struct Collect<'a>(&'a mut Fields);

impl Visit for Collect<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if attributes.metadata().target() != "volt_runtime::call" {
            return;
        }
        let mut fields = Fields::new();
        attributes.record(&mut Collect(&mut fields));
        context.span(id).unwrap().extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        if let Some(fields) = context.span(id).unwrap().extensions_mut().get_mut::<Fields>() {
            record.record(&mut Collect(fields));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::new();
        event.record(&mut Collect(&mut fields));
        let Some(message) = fields.remove("message") else { return };
        let scope = context.event_scope(event).into_iter().flatten();
        let kinds = scope.filter_map(|span| {
            span.extensions().get::<Fields>().and_then(|fields| fields.get("otel.kind").cloned())
        });
        self.events.lock().unwrap().push((message, kinds.collect()));
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        if let Some(fields) = context.span(&id).unwrap().extensions_mut().remove::<Fields>() {
            self.ended.lock().unwrap().push(fields);
        }
    }
}

impl Spans {
    /// Takes the ended span of this kind.
    fn take(&self, kind: &str) -> Fields {
        let mut ended = self.ended.lock().unwrap();
        let place = ended.iter().position(|span| span["otel.kind"] == kind);
        ended.remove(place.expect("a span"))
    }
}

fn field<'a>(span: &'a Fields, name: &str) -> Option<&'a str> {
    span.get(name).map(String::as_str)
}

/// Waits until the handlers have ended too.
async fn settled(client: &NotesClient) {
    crate::support::no_open_calls(client).await;
}

#[tokio::test]
async fn both_ends_of_a_call_have_a_span() {
    let spans = Spans::default();
    let _default = tracing::subscriber::set_default(registry().with(spans.clone()));
    let (client, _) = in_process();
    client.get(Note::default()).await.unwrap();
    settled(&client).await;
    for kind in ["client", "server"] {
        let span = spans.take(kind);
        assert_eq!(field(&span, "otel.name"), Some("test.Notes/Get"));
        assert_eq!(field(&span, "rpc.method"), Some("test.Notes/Get"));
        assert_eq!(field(&span, "rpc.system.name"), Some("volt"));
        assert_eq!(field(&span, "rpc.status_code"), Some("OK"));
        for absent in ["error.type", "otel.status_code", "server.address", "server.port"] {
            assert_eq!(field(&span, absent), None, "{absent}");
        }
    }

    // A refusal is an error of the client, and not of the server.
    client.get(Note::new("refuse", 0)).await.unwrap_err();
    settled(&client).await;
    let span = spans.take("client");
    assert_eq!(field(&span, "rpc.status_code"), Some("NOT_FOUND"));
    assert_eq!(field(&span, "error.type"), Some("NOT_FOUND"));
    assert_eq!(field(&span, "otel.status_code"), Some("ERROR"));
    assert!(field(&span, "otel.status_description").unwrap().contains("no such note"));
    let span = spans.take("server");
    assert_eq!(field(&span, "rpc.status_code"), Some("NOT_FOUND"));
    assert_eq!((field(&span, "error.type"), field(&span, "otel.status_code")), (None, None));

    // A stream's span lasts until its end.
    let mut list = client.list(Note::new("n", 1)).await.unwrap();
    list.message().await.unwrap();
    assert!(spans.ended.lock().unwrap().iter().all(|span| span["otel.kind"] != "client"));
    drop(list);
    assert_eq!(field(&spans.take("client"), "rpc.status_code"), Some("CANCELLED"));
}

#[tokio::test]
async fn the_span_of_a_client_names_the_server() {
    let spans = Spans::default();
    let _default = tracing::subscriber::set_default(registry().with(spans.clone()));
    for over_grpc in [false, true] {
        let (volt, client) = if over_grpc {
            let volt = crate::grpc::start().await;
            let client = crate::grpc::client(&volt).await;
            (volt, client)
        } else {
            let volt = Volt::start().await;
            let client = volt.client().await;
            (volt, client)
        };
        soon(client.get(Note::default())).await.unwrap();
        let (span, port) = (spans.take("client"), volt.server.local_addr().port().to_string());
        assert_eq!(field(&span, "server.address"), Some("127.0.0.1"));
        assert_eq!(field(&span, "server.port"), Some(&*port));
        let system = if over_grpc { "grpc" } else { "volt" };
        assert_eq!(field(&span, "rpc.system.name"), Some(system));
        soon(volt.server.shutdown()).await;
        assert_eq!(field(&spans.take("server"), "rpc.system.name"), Some(system));
    }
}

/// Logs, and calls itself once.
struct Nested(Channel);

static NESTED: [Method; 1] = [Method { path: "/test.Nested/Call", kind: MethodKind::Unary }];

impl Service for Nested {
    fn name(&self) -> &'static str {
        "test.Nested"
    }

    fn methods(&self) -> &'static [Method] {
        &NESTED
    }

    fn call(&self, _: usize, call: IncomingCall) -> BoxFuture<()> {
        let notes = NotesClient(self.0.clone());
        server::unary(call, move |_, note: Note| async move {
            tracing::info!("handled");
            tokio::task::yield_now().await;
            notes.get(note.clone()).await.map_err(|error| error.status().unwrap().clone())?;
            Ok(note)
        })
    }
}

#[tokio::test]
async fn a_handler_runs_within_its_span() {
    let spans = Spans::default();
    let inner = spans.clone();
    let _default = tracing::subscriber::set_default(registry().with(spans.clone()));
    let (notes, _) = in_process();
    // The call of the handler reports from within, too.
    let notes = notes.0.intercept(|_: &mut volt_runtime::intercept::OutgoingCall| {
        tracing::info!("nested");
        Ok(volt_runtime::intercept::After::nothing())
    });
    let channel = Channel::in_process(Router::new().with(Nested(notes)));
    let _: Note = UnaryCall::new(&channel, &NESTED[0], Note::default()).await.unwrap();
    let events = inner.events.lock().unwrap();
    let within = |message: &str| {
        let event = events.iter().find(|(text, _)| text == message);
        event.map(|(_, kinds)| kinds.clone()).expect(message)
    };
    assert_eq!(within("handled"), ["server"]);
    assert_eq!(within("nested"), ["server"]);
}
