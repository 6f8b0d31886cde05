//! Long work, on threads apart from those that run tasks.
//!
//! Writing, sealing, opening and reading a message of 16 MB takes so long that a few of them delay the
//! tasks of all other calls, unless they leave the threads of the tasks.

use std::{
    fmt,
    future::{pending, ready},
    panic,
    pin::Pin,
    sync::{LazyLock, Mutex, PoisonError},
    task::{Context, Poll},
    thread,
};

use tokio::{runtime::Handle, sync::Semaphore};

use crate::transport::BoxFuture;

/// The number of bytes from which work on a message is done apart. Handing the work to another thread
/// takes about as long as a tenth of it.
pub(crate) const LARGE: usize = 256 << 10;

/// Bounds the work at a time: more threads than processors would only leave less for the tasks.
static PERMITS: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(thread::available_parallelism().map_or(1, usize::from)));

/// Work that is done apart. The work that has begun goes on when this is dropped.
pub(crate) struct Apart<T>(
    /// Locked by nobody: a mutex of a `Send` future is `Sync`.
    Mutex<BoxFuture<T>>,
);

/// Does `work` apart, or at once if there is no runtime.
pub(crate) fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Apart<T> {
    let Ok(runtime) = Handle::try_current() else {
        return Apart(Mutex::new(Box::pin(ready(work()))));
    };
    Apart(Mutex::new(Box::pin(async move {
        // The semaphore is never closed.
        let permit = PERMITS.acquire().await.ok();
        let work = move || {
            let _permit = permit;
            work()
        };
        match runtime.spawn_blocking(work).await {
            Ok(done) => done,
            Err(error) => match error.try_into_panic() {
                Ok(reason) => panic::resume_unwind(reason),
                // The runtime is shutting down, and drops this task too.
                Err(_) => pending().await,
            },
        }
    })))
}

impl<T> Future for Apart<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner).as_mut().poll(cx)
    }
}

impl<T> fmt::Debug for Apart<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Apart").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use super::*;

    /// The work waits for a task of the same, only, thread.
    #[tokio::test]
    async fn tasks_run_beside_the_work() {
        let (sender, receiver) = mpsc::channel();
        let work = apart(move || receiver.recv_timeout(Duration::from_mins(1)));
        let task = tokio::spawn(async move { sender.send("here").unwrap() });
        assert_eq!(work.await, Ok("here"));
        task.await.unwrap();
    }

    #[tokio::test]
    #[should_panic(expected = "the reason")]
    async fn a_panic_reaches_the_task() {
        apart(|| panic!("the reason")).await;
    }

    #[test]
    fn without_a_runtime_it_is_done_at_once() {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert_eq!(Pin::new(&mut apart(|| 7)).poll(&mut cx), Poll::Ready(7));
    }
}
