//! Answers calls from a record.
//!
//! A call takes the first unused entry with the same method, service and first request. Its further requests
//! must be those of the entry, in their order. A response is returned once everything that was sent before it
//! in the record has been sent again.

use std::{
    collections::BTreeSet,
    fmt, fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Instant,
};

use serde_json::Value;
use tokio::sync::watch;

use super::tape::{End, Event, Header, Recorded, VERSION, difference, request};
use crate::{
    CallOptions, ConnectionState, Error, ErrorKind, Executed, Method, Result, StateWatch, Status,
    message::{Body, Payload},
    transport::{BoxFuture, RawCall, ReceiveHalf, SendHalf, Transport},
};

/// A transport that answers from a record.
pub(crate) struct Replay {
    record: Arc<Record>,
    states: watch::Sender<ConnectionState>,
    /// Held by each open call.
    open_calls: Arc<()>,
}

/// The recorded calls.
struct Record {
    path: PathBuf,
    hidden: BTreeSet<String>,
    entries: Mutex<Vec<Entry>>,
}

struct Entry {
    /// In the file, from 1.
    line: usize,
    call: Arc<Recorded>,
    used: bool,
}

impl Replay {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(|error| {
            Error::new(ErrorKind::Io, format!("`{}` cannot be read: {error}", path.display()))
                .with_source(error)
        })?;
        let invalid = |line: usize, error: serde_json::Error| {
            let path = path.display();
            Error::configuration(format!("line {line} of `{path}` is not a valid line of a record"))
                .with_source(error)
        };
        let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
        let (number, first) = lines.next().unwrap_or((1, ""));
        let header: Header = serde_json::from_str(first).map_err(|error| invalid(number, error))?;
        if header.volt_record != VERSION {
            return Err(Error::configuration(format!(
                "`{}` is a record of version {}, and this SDK reads version {VERSION}: record it again",
                path.display(),
                header.volt_record,
            )));
        }
        let mut entries = Vec::new();
        for (line, text) in lines.filter(|(_, text)| !text.trim().is_empty()) {
            let call = serde_json::from_str(text).map_err(|error| invalid(line, error))?;
            entries.push(Entry { line, call: Arc::new(call), used: false });
        }
        let record =
            Record { path: path.to_owned(), hidden: header.hidden, entries: Mutex::new(entries) };
        Ok(Self {
            record: Arc::new(record),
            states: watch::channel(ConnectionState::Connected).0,
            open_calls: Arc::default(),
        })
    }
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay").field("path", &self.record.path).finish_non_exhaustive()
    }
}

impl Transport for Replay {
    fn open(&self, method: &'static Method, options: &CallOptions) -> Result<RawCall> {
        if let ConnectionState::Closed { reason } = &*self.states.borrow() {
            return Err(reason.clone());
        }
        let call = Arc::new(Call {
            record: Arc::clone(&self.record),
            method,
            service: options.target.as_ref().and_then(|target| target.service_id.clone()),
            state: Mutex::default(),
            _open: Arc::clone(&self.open_calls),
        });
        Ok(RawCall {
            sender: Box::new(Sender(Arc::clone(&call))),
            receiver: Box::new(Receiver(call)),
        })
    }

    fn state(&self) -> StateWatch {
        StateWatch::new(self.states.subscribe())
    }

    fn close(&self) -> BoxFuture<()> {
        let reason = Error::connection("the channel was closed").with_executed(Executed::No);
        self.states.send_replace(ConnectionState::Closed { reason });
        Box::pin(std::future::ready(()))
    }

    fn open_calls(&self) -> usize {
        Arc::strong_count(&self.open_calls) - 1
    }
}

impl Record {
    /// Takes the entry of a call that begins with this request, or has none.
    fn take(
        &self,
        method: &str,
        service: Option<&str>,
        request: Option<&Value>,
    ) -> Result<(usize, Arc<Recorded>)> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut nearest, mut used) = (None, Vec::new());
        for entry in entries.iter_mut().filter(|entry| entry.call.method == method) {
            match entry.difference(service, request) {
                Some(difference) if !entry.used => {
                    nearest.get_or_insert((entry.line, difference));
                }
                Some(_) => {}
                None if entry.used => used.push(entry.line.to_string()),
                None => {
                    entry.used = true;
                    return Ok((entry.line, Arc::clone(&entry.call)));
                }
            }
        }
        let methods: BTreeSet<_> = entries.iter().map(|entry| entry.call.method.clone()).collect();
        let why = if !used.is_empty() {
            let lines = used.join(", ");
            format!("each call with this request was already replayed (line {lines})")
        } else if let Some((line, difference)) = nearest {
            format!("the first unused call, in line {line}, differs at {difference}")
        } else if methods.contains(method) {
            "each call of the method was already replayed, and none had this request".to_owned()
        } else {
            let methods: Vec<_> = methods.into_iter().collect();
            format!("it has no call of the method, only of {}", methods.join(", "))
        };
        Err(self.error(&why))
    }

    fn error(&self, why: &str) -> Error {
        let path = self.path.display();
        Error::configuration(format!("the record `{path}` has no answer: {why}"))
    }
}

impl Entry {
    fn difference(&self, service: Option<&str>, request: Option<&Value>) -> Option<String> {
        let recorded = self.call.service.as_deref();
        if recorded != service {
            return Some(format!("the service: recorded {recorded:?}, sent {service:?}"));
        }
        let first = self.call.events.iter().find_map(|event| match event {
            Event::Sent(value) => Some(value),
            _ => None,
        });
        match (first, request) {
            (Some(recorded), Some(sent)) => difference(recorded, sent),
            (None, None) => None,
            (Some(_), None) => Some("its first request: recorded one, sent none".to_owned()),
            (None, Some(_)) => Some("its first request: recorded none, sent one".to_owned()),
        }
    }
}

/// One replayed call, shared by its halves.
struct Call {
    record: Arc<Record>,
    method: &'static Method,
    service: Option<String>,
    state: Mutex<State>,
    _open: Arc<()>,
}

#[derive(Default)]
struct State {
    /// The entry and its line, once the first request is known.
    entry: Option<(usize, Arc<Recorded>)>,
    /// The number of requests so far, and whether no other follows.
    sent: usize,
    half_closed: bool,
    /// The number of events that were replayed to the receiver.
    replayed: usize,
    failure: Option<Error>,
    reader: Option<Waker>,
}

impl Call {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Compares a request with the recorded one. `None` is the half-close.
    fn request(&self, request: Option<&Value>) {
        let mut state = self.state();
        if state.half_closed || state.failure.is_some() {
            return;
        }
        if let Err(error) = self.compare(&mut state, request) {
            state.failure = Some(error.with_method(self.method.path));
        }
        match request {
            Some(_) => state.sent += 1,
            None => state.half_closed = true,
        }
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    fn compare(&self, state: &mut State, request: Option<&Value>) -> Result<()> {
        let Some((line, entry)) = &state.entry else {
            let service = self.service.as_deref();
            state.entry = Some(self.record.take(self.method.path, service, request)?);
            return Ok(());
        };
        let Some(request) = request else { return Ok(()) };
        let number = state.sent + 1;
        let mut requests = entry.events.iter().filter_map(|event| match event {
            Event::Sent(value) => Some(value),
            _ => None,
        });
        let difference = match requests.nth(state.sent) {
            Some(recorded) => difference(recorded, request),
            None => Some(format!("the number of requests: recorded {}, sent more", state.sent)),
        };
        match difference {
            None => Ok(()),
            Some(difference) => Err(self.record.error(&format!(
                "request {number} of the call in line {line} differs at {difference}"
            ))),
        }
    }
}

impl State {
    /// Returns the next response, the end, or `None` while the caller must send first.
    fn next(&mut self) -> Option<Result<Option<Body>>> {
        if let Some(failure) = &self.failure {
            return Some(Err(failure.clone()));
        }
        let (_, entry) = self.entry.as_ref()?;
        let (mut sent, mut half_closed) = (0, false);
        for (index, event) in entry.events.iter().enumerate() {
            match event {
                Event::Sent(_) => sent += 1,
                Event::HalfClosed => half_closed = true,
                Event::Received(_) if index < self.replayed => {}
                Event::Received(value) => {
                    if !self.has(sent, half_closed) {
                        return None;
                    }
                    self.replayed = index + 1;
                    return Some(Ok(Some(Body::Json(value.to_string()))));
                }
            }
        }
        if !self.has(sent, half_closed) {
            return None;
        }
        Some(match &entry.end {
            End::Finished => Ok(None),
            End::Failed(failure) => Err(failure.to_error()),
            End::Cancelled => {
                let message = "the recorded call was cancelled here by its caller: nothing follows";
                Err(Error::configuration(message))
            }
        })
    }

    fn has(&self, sent: usize, half_closed: bool) -> bool {
        self.sent >= sent && (self.half_closed || !half_closed)
    }
}

struct Sender(Arc<Call>);

impl SendHalf for Sender {
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        let state = self.0.state();
        Poll::Ready(match &state.failure {
            Some(failure) => Err(failure.clone()),
            None if state.half_closed => Err(Error::ended()),
            None => Ok(()),
        })
    }

    fn send(&mut self, message: &dyn Payload) -> Result<()> {
        let value = request(self.0.method, message, &self.0.record.hidden)?;
        self.0.request(Some(&value));
        Ok(())
    }

    fn send_first(&mut self, message: Arc<dyn Payload>, last: bool, _: Option<Instant>) {
        if let Err(error) = self.send(&*message) {
            self.0.state().failure = Some(error);
        }
        if last {
            self.0.request(None);
        }
    }

    fn end(&mut self, _: Option<&Status>) {
        self.0.request(None);
    }
}

struct Receiver(Arc<Call>);

impl ReceiveHalf for Receiver {
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Body>>> {
        let mut state = self.0.state();
        let next = state.next();
        if next.is_none() {
            state.reader = Some(cx.waker().clone());
        }
        next.map_or(Poll::Pending, Poll::Ready)
    }
}
