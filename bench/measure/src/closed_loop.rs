//! So many at a time, one after the other, for so long.

use std::time::{Duration, Instant};

use tokio::{task::JoinSet, time::sleep_until};

use crate::{Latency, Load, Measured, Span};

/// Runs `in_flight` operations at a time until the time is over, and counts those that were done
/// within the time that is measured. Latencies are those of the ones that were begun in it as well.
pub async fn closed_loop<F, O, E>(load: &Load, operation: F) -> Result<Measured, E>
where
    F: Fn() -> O + Clone + Send + 'static,
    O: Future<Output = Result<(), E>> + Send + 'static,
    E: Send + 'static,
{
    let begin = Instant::now() + Duration::from_secs_f64(load.warm_up);
    let end = begin + Duration::from_secs_f64(load.seconds);
    let mut tasks = JoinSet::new();
    for _ in 0..load.in_flight {
        let operation = operation.clone();
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            let mut done = 0;
            loop {
                let started = Instant::now();
                if started >= end {
                    return Ok((done, latencies));
                }
                operation().await?;
                let ended = Instant::now();
                if ended >= begin && ended < end {
                    done += 1;
                    if started >= begin {
                        latencies.push(ended - started);
                    }
                }
            }
        });
    }
    sleep_until(begin.into()).await;
    let span = Span::start();
    sleep_until(end.into()).await;
    let mut measured = span.finish(0, 0);
    let mut latencies = Vec::new();
    while let Some(outcome) = tasks.join_next().await {
        // A panic of an operation is one of this program.
        let (done, some) = outcome.expect("the task runs to its end")?;
        measured.operations += done;
        latencies.extend(some);
    }
    measured.latency = Latency::of(&mut latencies);
    Ok(measured)
}
