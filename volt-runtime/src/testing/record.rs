//! Records the calls of a channel.

use std::{
    collections::BTreeSet,
    fmt,
    fs::File,
    io::Write as _,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    task::{Context, Poll},
    time::Instant,
};

use super::tape::{End, Event, Failure, Header, Recorded, VERSION, hide, request};
use crate::{
    CallOptions, Error, ErrorKind, Executed, Method, Result, StateWatch, Status,
    message::{Body, Payload, ToJson},
    transport::{BoxFuture, RawCall, ReceiveHalf, SendHalf, ServerAddress, Transport},
};

/// A transport that records the calls of another one.
pub(crate) struct Recorder {
    inner: Arc<dyn Transport>,
    tape: Arc<Tape>,
}

/// The file, and the fields that it hides.
pub(crate) struct Tape {
    file: Mutex<File>,
    hidden: BTreeSet<String>,
}

impl Tape {
    /// Creates the file, or empties it.
    pub(crate) fn create(path: &Path, hidden: BTreeSet<String>) -> Result<Self> {
        let file = File::create(path).map_err(|error| unwritten(path, error))?;
        let tape = Self { file: Mutex::new(file), hidden };
        let header = Header { volt_record: VERSION, hidden: tape.hidden.clone() };
        tape.write(&header)?;
        Ok(tape)
    }

    fn write(&self, line: &impl serde::Serialize) -> Result<()> {
        let failed = |error: std::io::Error| {
            Error::new(ErrorKind::Io, format!("the call was not recorded: {error}"))
                .with_source(error)
        };
        let mut text = serde_json::to_vec(line).map_err(|error| failed(error.into()))?;
        text.push(b'\n');
        // One write for each line, so that a test that is killed leaves whole lines.
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&text).map_err(failed)
    }
}

fn unwritten(path: &Path, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("`{}` cannot be written: {error}", path.display()))
        .with_source(error)
}

impl Recorder {
    pub(crate) fn new(inner: Arc<dyn Transport>, tape: Tape) -> Self {
        Self { inner, tape: Arc::new(tape) }
    }
}

/// Adds the halves that record to a call.
fn record(
    tape: &Arc<Tape>,
    method: &'static Method,
    options: &CallOptions,
    call: RawCall,
) -> RawCall {
    let service = options.target.as_ref().and_then(|target| target.service_id.clone());
    let recording = Arc::new(Recording {
        tape: Arc::clone(tape),
        method,
        response_json: options.response_json.clone(),
        unrecorded: OnceLock::new(),
        call: Mutex::new(Some(Recorded {
            method: method.path.to_owned(),
            service,
            events: Vec::new(),
            end: End::Cancelled,
        })),
    });
    RawCall {
        sender: Box::new(RecordingSender { inner: call.sender, recording: Arc::clone(&recording) }),
        receiver: Box::new(RecordingReceiver { inner: call.receiver, recording }),
    }
}

impl Transport for Recorder {
    fn open(&self, method: &'static Method, options: &CallOptions) -> Result<RawCall> {
        let call = self.inner.open(method, options)?;
        Ok(record(&self.tape, method, options, call))
    }

    fn open_apart(
        &self,
        method: &'static Method,
        options: &CallOptions,
    ) -> Option<BoxFuture<Result<RawCall>>> {
        let opening = self.inner.open_apart(method, options)?;
        let (tape, options) = (Arc::clone(&self.tape), options.clone());
        Some(Box::pin(async move { Ok(record(&tape, method, &options, opening.await?)) }))
    }

    fn ready(&self) -> Option<BoxFuture<Result<()>>> {
        self.inner.ready()
    }

    fn state(&self) -> StateWatch {
        self.inner.state()
    }

    fn server(&self) -> Option<&ServerAddress> {
        self.inner.server()
    }

    fn close(&self) -> BoxFuture<()> {
        self.inner.close()
    }

    fn open_calls(&self) -> usize {
        self.inner.open_calls()
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("inner", &self.inner).finish_non_exhaustive()
    }
}

/// A call that is being recorded, shared by its halves.
struct Recording {
    tape: Arc<Tape>,
    method: &'static Method,
    /// Converts responses to JSON, if the transport carries protobuf.
    response_json: Option<ToJson>,
    /// Why the first request was neither recorded nor sent.
    unrecorded: OnceLock<Error>,
    /// `None` once it is written.
    call: Mutex<Option<Recorded>>,
}

impl Recording {
    fn call(&self) -> MutexGuard<'_, Option<Recorded>> {
        self.call.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, event: Event) {
        if let Some(call) = &mut *self.call() {
            call.events.push(event);
        }
    }

    /// Adds a request.
    ///
    /// # Errors
    ///
    /// Fails if the request has no JSON form.
    fn sent(&self, message: &dyn Payload) -> Result<()> {
        let value = request(self.method, message, &self.tape.hidden)?;
        self.add(Event::Sent(value));
        Ok(())
    }

    /// Adds a response.
    fn received(&self, body: &Body) -> Result<()> {
        let unrecordable = "the response cannot be recorded";
        let mut value = match (body, &self.response_json) {
            (Body::Json(text), _) => serde_json::from_str(text)
                .map_err(|error| Error::protocol(unrecordable).with_source(error))?,
            (Body::Protobuf(_), Some(to_json)) => to_json.convert(body)?,
            (Body::Protobuf(_), None) => {
                let why = format!("{unrecordable}: it is protobuf of an unknown type");
                return Err(Error::configuration(why));
            }
        };
        hide(self.method, &mut value, &self.tape.hidden);
        self.add(Event::Received(value));
        Ok(())
    }

    /// Writes the call.
    fn end(&self, end: End) -> Result<()> {
        let Some(mut call) = self.call().take() else { return Ok(()) };
        call.end = end;
        self.tape.write(&call)
    }
}

struct RecordingSender {
    inner: Box<dyn SendHalf>,
    recording: Arc<Recording>,
}

impl SendHalf for RecordingSender {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.inner.poll_ready(cx)
    }

    fn send(&mut self, message: &dyn Payload) -> Result<()> {
        // Before it is sent: the response must not be recorded before it.
        self.recording.sent(message)?;
        self.inner.send(message)
    }

    fn send_first(&mut self, message: Arc<dyn Payload>, last: bool, deadline: Option<Instant>) {
        if let Err(error) = self.recording.sent(&*message) {
            // The receiving half reports it.
            let _ = self.recording.unrecorded.set(error.with_executed(Executed::No));
            return;
        }
        if last {
            self.recording.add(Event::HalfClosed);
        }
        self.inner.send_first(message, last, deadline);
    }

    fn end(&mut self, failure: Option<&Status>) {
        if let Some(call) = &mut *self.recording.call()
            && !call.events.contains(&Event::HalfClosed)
        {
            call.events.push(Event::HalfClosed);
        }
        self.inner.end(failure);
    }
}

struct RecordingReceiver {
    inner: Box<dyn ReceiveHalf>,
    recording: Arc<Recording>,
}

impl ReceiveHalf for RecordingReceiver {
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Body>>> {
        if let Some(error) = self.recording.unrecorded.get() {
            return Poll::Ready(Err(error.clone()));
        }
        self.inner.poll_message(cx).map(|outcome| {
            match &outcome {
                Ok(Some(body)) => self.recording.received(body)?,
                Ok(None) => self.recording.end(End::Finished)?,
                Err(error) => self.recording.end(End::Failed(Failure::of(error)))?,
            }
            outcome
        })
    }

    fn poll_failed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.inner.poll_failed(cx)
    }
}

impl Drop for RecordingReceiver {
    fn drop(&mut self) {
        if let Err(error) = self.recording.end(End::Cancelled) {
            tracing::warn!("{error:#}");
        }
    }
}
