//! The sending half of a call, shared by the handler's responses and the code that ends the call.
//!
//! A large response is sealed on a separate thread. The work owns the half meanwhile, and everything that is
//! sent later waits for it. The responses thus keep their order even if the handler drops the future of one.

use std::{
    future::poll_fn,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
};

use crate::{
    Error, Message, Status,
    apart::{Apart, LARGE, apart},
    message::Payload,
    transport::SendHalf,
};

/// The sending half of a call.
#[derive(Clone)]
pub(super) struct SharedSender(Arc<Mutex<State>>);

struct State {
    /// `None` while a response is being sealed, and after that has panicked.
    half: Option<Box<dyn SendHalf>>,
    sealing: bool,
    /// The failure of a sealing, until it is reported.
    failure: Option<Error>,
    /// The tasks that wait for the end of the sealing.
    waiting: Vec<Waker>,
    /// The last sealing: dropping it would cancel work that has not begun.
    work: Option<Apart<()>>,
}

impl SharedSender {
    pub(super) fn new(half: Box<dyn SendHalf>) -> Self {
        Self(Arc::new(Mutex::new(State {
            half: Some(half),
            sealing: false,
            failure: None,
            waiting: Vec::new(),
            work: None,
        })))
    }

    /// Sends a response after the earlier ones, waiting while there is no room.
    ///
    /// A large response is sent even if this future is dropped after its sealing was handed over. If it
    /// cannot be written, the next `send` then reports that.
    pub(super) async fn send<Res: Message>(&self, response: Res) -> Result<(), Error> {
        let is_large = response.encoded_len() >= LARGE;
        let taken = poll_fn(|cx| {
            let mut state = ready!(self.poll_sealed(cx));
            let half = state.half()?;
            ready!(half.poll_ready(cx))?;
            if !is_large {
                return Poll::Ready(half.send(&response).map(|()| None));
            }
            state.sealing = true;
            Poll::Ready(Ok(state.half.take()))
        });
        let Some(half) = taken.await? else { return Ok(()) };
        self.seal(half, response);
        poll_fn(|cx| self.poll_sealed(cx).map(|mut state| state.half().map(|_| ()))).await
    }

    /// Ends the call after everything that was sent.
    pub(super) async fn end(&self, failure: Option<&Status>) {
        poll_fn(|cx| {
            self.poll_sealed(cx).map(|mut state| {
                if let Some(half) = &mut state.half {
                    half.end(failure);
                }
            })
        })
        .await;
    }

    fn seal<Res: Message>(&self, half: Box<dyn SendHalf>, response: Res) {
        let mut lent = Lent { sender: self.clone(), half: Some(half), failure: None };
        let finished = self.lock().work.replace(apart(move || lent.send(&response)));
        drop(finished);
    }

    /// Waits until no response is being sealed.
    fn poll_sealed(&self, cx: &Context<'_>) -> Poll<MutexGuard<'_, State>> {
        let mut state = self.lock();
        if !state.sealing {
            return Poll::Ready(state);
        }
        if !state.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Returns the half, unless the last sealing has failed.
    fn half(&mut self) -> Result<&mut Box<dyn SendHalf>, Error> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        let lost = || Error::protocol("a response was not sent, because writing it panicked");
        self.half.as_mut().ok_or_else(lost)
    }
}

/// The half while a response is being sealed. Dropping it returns the half.
struct Lent {
    sender: SharedSender,
    /// `None` after a panic, which has dropped the half.
    half: Option<Box<dyn SendHalf>>,
    failure: Option<Error>,
}

impl Lent {
    fn send(&mut self, response: &dyn Payload) {
        // A panic drops the half.
        if let Some(mut half) = self.half.take() {
            self.failure = half.send(response).err();
            self.half = Some(half);
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let waiting = {
            let mut state = self.sender.lock();
            state.sealing = false;
            state.half = self.half.take();
            state.failure = self.failure.take();
            mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Instant};

    use super::*;
    use crate::json::WellKnown;

    /// Records what is sent. Blocks the work on a large message until the test decides its outcome.
    struct Recorder {
        log: Arc<Mutex<Vec<&'static str>>>,
        outcomes: mpsc::Receiver<Outcome>,
    }

    enum Outcome {
        Sent,
        Fails,
        Panics,
    }

    impl SendHalf for Recorder {
        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
            Poll::Ready(Ok(()))
        }

        fn send(&mut self, message: &dyn Payload) -> Result<(), Error> {
            let mut sent = "small";
            if message.protobuf_len() >= LARGE {
                match self.outcomes.recv() {
                    Ok(Outcome::Sent) => sent = "large",
                    Ok(Outcome::Fails) => return Err(Error::protocol("it has no JSON form")),
                    Ok(Outcome::Panics) | Err(_) => panic!("the reason"),
                }
            }
            self.log.lock().unwrap().push(sent);
            Ok(())
        }

        fn send_first(&mut self, _: Arc<dyn Payload>, _: bool, _: Option<Instant>) {}

        fn end(&mut self, _: Option<&Status>) {
            self.log.lock().unwrap().push("end");
        }
    }

    fn large() -> WellKnown<String> {
        "x".repeat(LARGE).into()
    }

    fn small() -> WellKnown<String> {
        "small".to_owned().into()
    }

    fn sender() -> (SharedSender, mpsc::Sender<Outcome>, Arc<Mutex<Vec<&'static str>>>) {
        let (decide, outcomes) = mpsc::channel();
        let log = Arc::default();
        (SharedSender::new(Box::new(Recorder { log: Arc::clone(&log), outcomes })), decide, log)
    }

    /// Polls a future once. It must wait.
    fn begin<F: Future>(future: F) -> std::pin::Pin<Box<F>> {
        let mut future = Box::pin(future);
        assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        future
    }

    /// Neither the next response nor the end overtakes it, and both are woken.
    #[tokio::test]
    async fn a_dropped_large_response_is_sent_in_order() {
        let (sender, decide, log) = sender();
        drop(begin(sender.send(large())));
        let next = begin(sender.send(small()));
        let ended = tokio::spawn({
            let sender = sender.clone();
            async move { sender.end(None).await }
        });
        decide.send(Outcome::Sent).unwrap();
        next.await.unwrap();
        ended.await.unwrap();
        let mut sent = log.lock().unwrap().clone();
        assert_eq!(sent.remove(0), "large");
        // These two wait in separate tasks.
        sent.sort_unstable();
        assert_eq!(sent, ["end", "small"]);
    }

    #[tokio::test]
    async fn a_failure_is_reported_once() {
        let (sender, decide, log) = sender();
        decide.send(Outcome::Fails).unwrap();
        let error = sender.send(large()).await.unwrap_err();
        assert!(error.to_string().contains("no JSON form"), "{error}");
        sender.send(small()).await.unwrap();
        // The next response reports it if the future is dropped.
        drop(begin(sender.send(large())));
        decide.send(Outcome::Fails).unwrap();
        assert!(sender.send(small()).await.is_err());
        sender.send(small()).await.unwrap();
        assert_eq!(*log.lock().unwrap(), ["small", "small"]);
    }

    /// The half is dropped, which ends the call with an error.
    #[tokio::test]
    async fn a_panic_ends_the_sending() {
        let (sender, decide, log) = sender();
        decide.send(Outcome::Panics).unwrap();
        assert!(sender.send(large()).await.unwrap_err().to_string().contains("panicked"));
        assert!(sender.send(small()).await.is_err());
        sender.end(None).await;
        assert!(log.lock().unwrap().is_empty());
        assert_eq!(Arc::strong_count(&log), 1);
    }
}
