//! Runs a fixed number of concurrent operations for a fixed time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    task::JoinSet,
    time::{sleep, sleep_until},
};

use crate::{Latency, Load, Measured, Span};

const NO_PANIC: &str = "operations return errors and do not panic";

/// Runs `in_flight` operations at a time until the time has elapsed and that many have finished.
///
/// Counts the operations that finish during the measurement. Latencies are those of operations that
/// also started in it.
pub async fn closed_loop<F, O, E>(load: &Load, operation: F) -> Result<Measured, E>
where
    F: Fn() -> O + Clone + Send + 'static,
    O: Future<Output = Result<(), E>> + Send + 'static,
    E: Send + 'static,
{
    let begin = Instant::now() + Duration::from_secs_f64(load.warm_up);
    let end = begin + Duration::from_secs_f64(load.seconds);
    let (done, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let mut tasks = JoinSet::new();
    for _ in 0..load.in_flight {
        let (operation, done, over) = (operation.clone(), Arc::clone(&done), Arc::clone(&over));
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let started = Instant::now();
                operation().await?;
                let ended = Instant::now();
                if ended >= begin && !over.load(Ordering::Relaxed) {
                    done.fetch_add(1, Ordering::Relaxed);
                    if started >= begin {
                        latencies.push(ended - started);
                    }
                }
            }
            Ok(latencies)
        });
    }
    sleep_until(begin.into()).await;
    let span = Span::start(load);
    sleep_until(end.into()).await;
    while done.load(Ordering::Relaxed) < load.in_flight as u64 {
        if let Some(outcome) = tasks.try_join_next() {
            // A task ends early only with an error.
            outcome.expect(NO_PANIC)?;
        }
        sleep(Duration::from_millis(1)).await;
    }
    over.store(true, Ordering::Relaxed);
    let mut measured = span.finish(done.load(Ordering::Relaxed), 0);
    let mut latencies = Vec::new();
    while let Some(outcome) = tasks.join_next().await {
        latencies.extend(outcome.expect(NO_PANIC)?);
    }
    measured.latency = Latency::of(&mut latencies);
    Ok(measured)
}
