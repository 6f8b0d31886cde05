//! Watches one call, from its beginning to its end.
//!
//! A [`Watch`] belongs to the code that learns how the call ends, and moves with it. It is empty without an
//! observer: no interceptor, no subscriber of spans, no metrics. Otherwise it counts what the call carries
//! ([`count`](Watch::count)), and reports the outcome exactly once: when the end is known, or when the
//! watch is dropped with the call.

use std::{mem, sync::Arc, thread, time::Instant};

use tracing::Span;

use super::{
    After, counted,
    outcome::{Outcome, Side, dropped, ended_with},
    progress::{Progress, Recorder, is_measured},
    span,
};
use crate::{
    error::{Error, Result},
    method::Method,
    status::{Code, Status},
    transport::{RawCall, ServerAddress},
};

/// Watches one call. Dropping it reports that the call was dropped.
#[derive(Default)]
pub(crate) struct Watch(Option<Box<Watched>>);

struct Watched {
    side: Side,
    started: Instant,
    progress: Arc<Progress>,
    /// The outer ones first.
    afters: Vec<After>,
    span: Span,
}

impl Watch {
    /// Begins to watch a client's call. `intercepted` if there are interceptors; `server` is the server's
    /// address.
    pub(crate) fn client<'a>(
        method: &'static Method,
        intercepted: bool,
        server: impl Fn() -> Option<&'a ServerAddress>,
    ) -> Self {
        let span = span::client(method, &server);
        if Self::is_unwanted(intercepted, &span) {
            return Self::default();
        }
        let system = server().map_or(span::VOLT, |server| server.system);
        Self::begin(Side::Client, method, system, span)
    }

    /// Begins to watch a server's call.
    pub(crate) fn server(method: &'static Method, intercepted: bool, over_grpc: bool) -> Self {
        let system = if over_grpc { span::GRPC } else { span::VOLT };
        let span = span::server(method, system);
        if Self::is_unwanted(intercepted, &span) {
            return Self::default();
        }
        Self::begin(Side::Server, method, system, span)
    }

    fn is_unwanted(intercepted: bool, span: &Span) -> bool {
        !intercepted && span.is_disabled() && !is_measured()
    }

    fn begin(side: Side, method: &'static Method, system: &'static str, span: Span) -> Self {
        let progress = Arc::new(Progress::new(side, method, system));
        let started = Instant::now();
        Self(Some(Box::new(Watched { side, started, progress, afters: Vec::new(), span })))
    }

    /// Returns whether the outcome is still to be reported.
    pub(crate) fn is_active(&self) -> bool {
        self.0.is_some()
    }

    /// Calls this after the call, before those that were added earlier.
    pub(crate) fn push(&mut self, after: After) {
        if let Some(watched) = &mut self.0 {
            watched.afters.push(after);
        }
    }

    /// Counts an attempt, and the messages of its halves.
    pub(crate) fn count(&mut self, raw: RawCall) -> RawCall {
        match &self.0 {
            None => raw,
            Some(watched) => {
                watched.progress.attempt();
                counted::count(raw, &watched.progress)
            }
        }
    }

    /// Returns the span, if a subscriber wants it.
    pub(crate) fn span(&self) -> Option<&Span> {
        self.0.as_ref().map(|watched| &watched.span).filter(|span| !span.is_disabled())
    }

    /// Returns the handle with which a server's handler records how it ended.
    pub(crate) fn recorder(&self) -> Recorder {
        Recorder::new(self.0.as_ref().map(|watched| Arc::clone(&watched.progress)))
    }

    /// Reports how the call ended, unless that was reported before.
    pub(crate) fn end(&mut self, result: Result<(), &Error>) {
        if let Some(watched) = self.0.take() {
            watched.report(result.map_err(Clone::clone));
        }
    }

    /// Reports that the call failed, unless its end was reported before. Returns the error.
    pub(crate) fn fail(&mut self, error: Error) -> Error {
        self.end(Err(&error));
        error
    }

    /// Reports that a server ended the call with this status, unless that was reported before.
    pub(crate) fn end_with(&mut self, status: &Status) {
        if let Some(watched) = self.0.take() {
            watched.report(Err(ended_with(status)));
        }
    }

    /// Reports how a server's handler ended.
    pub(crate) fn end_handled(&mut self) {
        if let Some(watched) = self.0.take() {
            let handled = watched.progress.handled();
            let unanswered = || Some(Status::new(Code::Internal, "the method did not answer"));
            watched.report(match handled.unwrap_or_else(unanswered) {
                None => Ok(()),
                Some(status) => Err(ended_with(&status)),
            });
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let Some(watched) = self.0.take() else { return };
        let panicked = watched.side == Side::Server && thread::panicking();
        watched.report(Err(if panicked {
            ended_with(&Status::new(Code::Internal, "the method panicked"))
        } else {
            dropped()
        }));
    }
}

impl Watched {
    fn report(mut self, result: Result<()>) {
        let progress = &self.progress;
        let outcome = Outcome {
            result,
            started: self.started,
            elapsed: self.started.elapsed(),
            sent: progress.total_sent(),
            received: progress.total_received(),
            attempts: progress.attempts(),
        };
        span::end(&self.span, self.side, &outcome);
        progress.end(&outcome);
        for after in mem::take(&mut self.afters).into_iter().rev() {
            after.run(&outcome);
        }
    }
}
