//! Restarts the transfer of a file after a lost connection.

use volt_runtime::{Backoff, Reconnect, Result};

use crate::operation::Settings;

/// The default number of times that a transfer starts again.
pub(super) const RETRIES: u32 = 3;

/// Attempts a transfer, and retries it up to `retries` times after temporary errors.
pub(super) async fn retried<T, F: Future<Output = Result<T>>>(
    settings: &Settings,
    retries: u32,
    mut attempt: impl FnMut() -> F,
) -> Result<T> {
    let mut backoff = Backoff::new(Reconnect::default());
    loop {
        match attempt().await {
            Err(error) if error.is_retryable() && backoff.failures() < retries => {
                let delay = backoff.next_delay();
                tracing::debug!("a transfer starts again in {delay:?}: {error:#}");
                settings.sleep(delay).await?;
            }
            outcome => return outcome,
        }
    }
}
