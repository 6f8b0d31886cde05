//! The state that the parts of a connection share: its calls, and how it ends.

use std::{
    future::poll_fn,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

use crate::{Error, ErrorKind, Executed, Result, queue::register};

/// Called with the reason when the connection is lost.
type OnLost = Box<dyn FnOnce(&Error) + Send>;

/// The state of one connection.
#[derive(Default)]
pub(super) struct Link(Mutex<State>);

#[derive(Default)]
struct State {
    /// The number of open calls.
    open: usize,
    /// The number of half-closed calls whose single response is due.
    due: usize,
    /// Set when further calls are refused.
    draining: Option<Error>,
    /// Set when the connection accepts no further calls. Open calls may continue.
    lost: Option<Error>,
    /// Set if `lost` does not explain why an open call failed.
    unknown: bool,
    on_lost: Option<OnLost>,
    /// Set when the peer has proved that it speaks HTTP/2.
    greeted: bool,
    /// Set when the byte stream must end.
    cut: bool,
    /// The task that waits for the greeting or the loss.
    driver: Option<Waker>,
    /// The task that waits for the calls to end.
    drain: Option<Waker>,
    /// The task that reads the byte stream.
    reader: Option<Waker>,
}

impl Link {
    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is complete before anything can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call; `single` if it has only one response.
    ///
    /// # Errors
    ///
    /// Fails if the connection is lost or closing, or if too many calls are open.
    pub(super) fn open(self: &Arc<Self>, single: bool, max_calls: usize) -> Result<Arc<OpenCall>> {
        let mut state = self.state();
        if let Some(reason) = state.draining.as_ref().or(state.lost.as_ref()) {
            return Err(reason.clone().with_executed(Executed::No));
        }
        if state.open >= max_calls {
            let message = format!("{max_calls} calls are open already");
            let error = Error::new(ErrorKind::ResourceExhausted, message);
            return Err(error.with_executed(Executed::No));
        }
        state.open += 1;
        let (due, ended) = (AtomicBool::new(false), AtomicBool::new(false));
        Ok(Arc::new(OpenCall { link: Arc::clone(self), single, due, ended }))
    }

    pub(super) fn open_calls(&self) -> usize {
        self.state().open
    }

    /// Sets a function that is called when the connection is lost.
    pub(super) fn on_lost(&self, call: OnLost) {
        let mut state = self.state();
        let Some(lost) = state.lost.clone() else {
            state.on_lost = Some(call);
            return;
        };
        drop(state);
        call(&lost);
    }

    /// Loses the connection for further calls. The first reason wins.
    ///
    /// Every part that notices a loss reports it here before it fails a call: the state of the channel
    /// then changes first, and a call that is retried at once waits for the next connection.
    pub(super) fn lose(&self, reason: impl FnOnce() -> Error) {
        let mut state = self.state();
        if state.lost.is_some() {
            return;
        }
        let reason = reason();
        state.lost = Some(reason.clone());
        let (on_lost, driver) = (state.on_lost.take(), state.driver.take());
        drop(state);
        if let Some(on_lost) = on_lost {
            on_lost(&reason);
        }
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    /// Like [`lose`](Self::lose), for a connection that ended without a reason. Open calls may
    /// continue.
    pub(super) fn end(&self) {
        {
            let mut state = self.state();
            state.unknown |= state.lost.is_none();
        }
        self.lose(|| Error::connection("the connection has ended"));
    }

    /// Returns why the connection was lost, if it was and that is known.
    pub(super) fn reason(&self) -> Option<Error> {
        let state = self.state();
        state.lost.clone().filter(|_| !state.unknown)
    }

    /// Waits until the connection is lost.
    pub(super) fn poll_lost(&self, cx: &Context<'_>) -> Poll<Error> {
        let mut state = self.state();
        if let Some(reason) = &state.lost {
            return Poll::Ready(reason.clone());
        }
        register(&mut state.driver, cx);
        Poll::Pending
    }

    /// Called when the peer's first frame has arrived.
    pub(super) fn greet(&self) {
        let mut state = self.state();
        state.greeted = true;
        let driver = state.driver.take();
        drop(state);
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    /// Waits until the peer has proved that it speaks HTTP/2.
    ///
    /// # Errors
    ///
    /// Fails if the connection is lost first.
    pub(super) async fn greeted(&self) -> Result<()> {
        poll_fn(|cx| {
            if self.state().greeted {
                return Poll::Ready(Ok(()));
            }
            self.poll_lost(cx).map(Err)
        })
        .await
    }

    /// Refuses further calls, and waits until no answer is due.
    pub(super) async fn drain(&self, reason: &Error) {
        self.state().draining = Some(reason.clone());
        poll_fn(|cx| {
            let mut state = self.state();
            if state.due == 0 {
                return Poll::Ready(());
            }
            register(&mut state.drain, cx);
            Poll::Pending
        })
        .await;
    }

    /// Ends the byte stream and all calls on it.
    pub(super) fn cut(&self) {
        let mut state = self.state();
        state.cut = true;
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Returns whether the byte stream must end. If not, the reading task is woken when it must.
    pub(super) fn is_cut(&self, cx: &Context<'_>) -> bool {
        let mut state = self.state();
        if !state.cut {
            register(&mut state.reader, cx);
        }
        state.cut
    }
}

/// An open call, counted by its connection.
pub(super) struct OpenCall {
    link: Arc<Link>,
    single: bool,
    /// Set once the response is due. Both flags change under the link's lock.
    due: AtomicBool,
    ended: AtomicBool,
}

impl OpenCall {
    pub(super) fn link(&self) -> &Link {
        &self.link
    }

    /// Called when no further request follows.
    pub(super) fn half_close(&self) {
        let mut state = self.link.state();
        let ended = self.ended.load(Ordering::Relaxed);
        if self.single && !ended && !self.due.swap(true, Ordering::Relaxed) {
            state.due += 1;
        }
    }

    /// Called when the call has ended. Further calls do nothing.
    pub(super) fn end(&self) {
        let mut state = self.link.state();
        if self.ended.swap(true, Ordering::Relaxed) {
            return;
        }
        state.open -= 1;
        if self.due.load(Ordering::Relaxed) {
            state.due -= 1;
        }
        let drain = state.drain.take();
        drop(state);
        if let Some(drain) = drain {
            drain.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    fn lost() -> Error {
        Error::connection("lost")
    }

    #[test]
    fn the_first_loss_is_reported_once_and_refuses_further_calls() {
        let link = Arc::<Link>::default();
        let reported = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&reported);
        link.on_lost(Box::new(move |reason| log.lock().unwrap().push(reason.to_string())));
        let call = link.open(true, 1).unwrap();
        assert_eq!(link.open(true, 1).err().unwrap().kind(), ErrorKind::ResourceExhausted);
        link.lose(lost);
        link.lose(|| Error::connection("again"));
        assert_eq!(*reported.lock().unwrap(), ["connection error: lost"]);
        let refused = link.open(true, 9).err().unwrap();
        assert_eq!((refused.kind(), refused.executed()), (ErrorKind::Connection, Executed::No));
        // The open call is not affected.
        assert_eq!(link.open_calls(), 1);
        call.end();
        call.end();
        assert_eq!(link.open_calls(), 0);
    }

    #[test]
    fn a_loss_before_the_first_listener_is_reported() {
        let link = Arc::<Link>::default();
        link.lose(lost);
        let (sender, receiver) = std::sync::mpsc::channel();
        link.on_lost(Box::new(move |reason| sender.send(reason.to_string()).unwrap()));
        assert_eq!(receiver.recv().unwrap(), "connection error: lost");
    }

    #[tokio::test]
    async fn draining_waits_only_for_due_answers() {
        let link = Arc::<Link>::default();
        let (due, open, streams) = (
            link.open(true, 9).unwrap(),
            link.open(true, 9).unwrap(),
            link.open(false, 9).unwrap(),
        );
        due.half_close();
        due.half_close();
        streams.half_close();
        let closed = Error::connection("closed");
        let mut drain = Box::pin(link.drain(&closed));
        assert!(poll_fn(|cx| Poll::Ready(drain.as_mut().poll(cx))).await.is_pending());
        assert_eq!(link.open(true, 9).err().unwrap().to_string(), "connection error: closed");
        due.end();
        timeout(Duration::from_secs(20), drain).await.unwrap();
        open.end();
        streams.end();
    }
}
