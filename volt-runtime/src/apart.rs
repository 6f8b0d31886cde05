//! Runs long work on threads that run no tasks.
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

use tokio::{runtime::Handle, sync::Semaphore, task::JoinHandle};

use crate::transport::BoxFuture;

/// The size from which work on a message leaves the task's thread, in bytes. Handing the work to
/// another thread takes about a tenth of the work's own time.
pub(crate) const LARGE: usize = 256 << 10;

/// Bounds the concurrent work: more threads than processors would only slow down the tasks.
static PERMITS: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(thread::available_parallelism().map_or(1, usize::from)));

/// Work on a separate thread. When this is dropped, work that has begun continues, and work that has not is
/// cancelled.
pub(crate) struct Apart<T>(
    /// Never locked: a mutex makes a `Send` future `Sync`.
    Mutex<BoxFuture<T>>,
);

/// Runs `work` on a separate thread, or inline without a runtime.
pub(crate) fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Apart<T> {
    apart_within(&PERMITS, work)
}

fn apart_within<T: Send + 'static>(
    permits: &'static Semaphore,
    work: impl FnOnce() -> T + Send + 'static,
) -> Apart<T> {
    let Ok(runtime) = Handle::try_current() else {
        return Apart(Mutex::new(Box::pin(ready(work()))));
    };
    // This is a separate task, because the caller may stop polling: a permit granted to its future
    // would then be lost to all others.
    let mut task = Cancelled(runtime.clone().spawn(async move {
        // The semaphore is never closed.
        let permit = permits.acquire().await.ok();
        let work = move || {
            let _permit = permit;
            work()
        };
        runtime.spawn_blocking(work).await
    }));
    Apart(Mutex::new(Box::pin(async move {
        match (&mut task.0).await.and_then(|done| done) {
            Ok(done) => done,
            Err(error) => match error.try_into_panic() {
                Ok(reason) => panic::resume_unwind(reason),
                // The runtime is shutting down, and drops this task too.
                Err(_) => pending().await,
            },
        }
    })))
}

/// A task that is cancelled when this is dropped.
struct Cancelled<T>(JoinHandle<T>);

impl<T> Drop for Cancelled<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
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

    /// The work waits for a task on the runtime's only thread.
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

    /// A handler may hold a future in a `select!` that it no longer polls.
    #[tokio::test]
    async fn unpolled_work_holds_no_permit() {
        static PERMITS: Semaphore = Semaphore::const_new(1);
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let (sender, receiver) = mpsc::channel();
        let mut first = apart_within(&PERMITS, move || receiver.recv());
        assert!(Pin::new(&mut first).poll(&mut cx).is_pending());
        let mut unpolled = apart_within(&PERMITS, || ());
        assert!(Pin::new(&mut unpolled).poll(&mut cx).is_pending());
        sender.send(()).unwrap();
        assert_eq!(first.await, Ok(()));
        let third = apart_within(&PERMITS, || 7);
        let done = tokio::time::timeout(Duration::from_mins(1), third).await;
        assert_eq!(done, Ok(7));
        drop(unpolled);
    }

    #[tokio::test]
    async fn dropping_cancels_work_that_waits() {
        static PERMITS: Semaphore = Semaphore::const_new(0);
        let (sender, receiver) = mpsc::channel();
        drop(apart_within(&PERMITS, move || sender.send(())));
        tokio::task::yield_now().await;
        PERMITS.add_permits(1);
        apart_within(&PERMITS, || ()).await;
        assert_eq!(receiver.try_recv(), Err(mpsc::TryRecvError::Disconnected));
    }

    #[test]
    fn without_a_runtime_work_runs_inline() {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert_eq!(Pin::new(&mut apart(|| 7)).poll(&mut cx), Poll::Ready(7));
    }
}
