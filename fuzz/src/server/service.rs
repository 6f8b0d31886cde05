//! The called service.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use volt_runtime::{
    Method, MethodKind,
    server::{self, IncomingCall, Requests, Service},
};
use volt_test_support::Note;

pub(crate) static METHODS: [Method; 4] = [
    Method { path: "/fuzz.Service/Unary", kind: MethodKind::Unary },
    Method { path: "/fuzz.Service/List", kind: MethodKind::ServerStreaming },
    Method { path: "/fuzz.Service/Sum", kind: MethodKind::ClientStreaming },
    Method { path: "/fuzz.Service/Echo", kind: MethodKind::Bidi },
];

/// Echoes its requests. Counts the running handlers.
pub(super) struct Echo(pub(super) Arc<AtomicUsize>);

struct Running(Arc<AtomicUsize>);

impl Running {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Service for Echo {
    fn name(&self) -> &'static str {
        "fuzz.Service"
    }

    fn methods(&self) -> &'static [Method] {
        &METHODS
    }

    fn call(&self, index: usize, call: IncomingCall) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let running = Running::new(&self.0);
        match index {
            0 => server::unary(call, async move |_, note: Note| {
                let _running = running;
                Ok(note)
            }),
            1 => server::server_streaming(call, async move |_, note: Note, mut responses| {
                let _running = running;
                responses.send(note.clone()).await?;
                responses.send(note).await
            }),
            2 => server::client_streaming(call, async move |_, mut notes: Requests<Note>| {
                let _running = running;
                let mut last = Note::default();
                while let Some(note) = notes.message().await? {
                    last = note;
                }
                Ok(last)
            }),
            _ => server::bidi(call, async move |_, mut notes: Requests<Note>, mut responses| {
                let _running = running;
                while let Some(note) = notes.message().await? {
                    responses.send(note).await?;
                }
                Ok(())
            }),
        }
    }
}
