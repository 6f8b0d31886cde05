//! State that the two halves of a call share: how the call ended, and whether it may end by itself.
//!
//! The halves may be in different tasks. The receiving half learns why a call failed and leaves the reason
//! here for the sending half. The sending half notes that it has half-closed, so that dropping the other
//! half unread does not cancel a call that only sends.

use std::{
    future::poll_fn,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{runtime::Handle, time::timeout};

use crate::{
    error::{Error, ErrorKind},
    intercept::Watch,
    method::{Method, MethodKind},
    transport::ReceiveHalf,
};

/// The maximum time for which a dropped call waits for the Volt to end it. The call counts as open
/// meanwhile.
const PATIENCE: Duration = Duration::from_mins(1);

/// State shared by the halves of a call with a stream of requests.
#[derive(Debug, Default)]
pub(super) struct CallEnd {
    half_closed: AtomicBool,
    failure: OnceLock<Error>,
    /// The reason why the sending half could not send.
    unsent: OnceLock<Error>,
}

impl CallEnd {
    /// Called when the sending half half-closes.
    pub(super) fn half_close(&self) {
        // Nothing else is published with it, so no ordering is needed.
        self.half_closed.store(true, Ordering::Relaxed);
    }

    /// Returns whether the sending half has half-closed.
    pub(super) fn is_half_closed(&self) -> bool {
        self.half_closed.load(Ordering::Relaxed)
    }

    /// Called when the receiving half fails. The first reason wins.
    pub(super) fn fail(&self, reason: &Error) {
        // A reason is set only once.
        let _ = self.failure.set(reason.clone());
    }

    /// Called when the sending half cannot send, because the deadline has passed for example. The first
    /// reason wins.
    pub(super) fn fail_sending(&self, reason: &Error) {
        let _ = self.unsent.set(reason.clone());
    }

    /// Returns why the sending half could not send.
    pub(super) fn unsent(&self) -> Option<&Error> {
        self.unsent.get()
    }

    /// Returns why the sending half cannot send: the reason that the receiving half has read, if
    /// any, else `error`.
    pub(super) fn reason_for(&self, error: Error) -> Error {
        match self.failure.get() {
            Some(reason) if error.kind() == ErrorKind::Ended => reason.clone(),
            _ => error,
        }
    }
}

/// Lets a half-closed call that was dropped unread end by itself, so that the Volt processes the
/// messages that were accepted. A call that answers, or takes longer than a minute, is cancelled:
/// its responses have no reader.
pub(super) fn let_end(method: &'static Method, mut half: Box<dyn ReceiveHalf>, mut watch: Watch) {
    // Only a bidirectional call may be complete without an answer. Calls of other kinds are cancelled.
    if method.kind != MethodKind::Bidi {
        return;
    }
    // Without a runtime, dropping the half cancels the call.
    let Ok(runtime) = Handle::try_current() else { return };
    runtime.spawn(async move {
        // One message or the end is enough: a message means that the call answers after all.
        let end = timeout(PATIENCE, poll_fn(|cx| half.poll_message(cx))).await;
        match end {
            Ok(Ok(None)) => watch.end(Ok(())),
            Ok(Err(error)) => {
                let method = method.path;
                tracing::warn!(method, "a call failed after it was dropped: {error:#}");
                watch.end(Err(&error));
            }
            // Dropping the half cancels the call.
            Ok(Ok(Some(_))) | Err(_) => {}
        }
    });
}
