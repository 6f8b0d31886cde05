//! Keeps calls open and keyed in advance, as a task beside a connection.

use std::sync::{Arc, Weak};

use tokio::time::{Instant, sleep_until};

use super::connection::{Connection, Shared};

/// Runs until the connection is gone.
pub(super) async fn keep(connection: Weak<Connection>, shared: Arc<Shared>) {
    loop {
        // Who holds the connection is asked for it each time, so that this task keeps it from
        // nothing.
        let Some(open) = connection.upgrade() else {
            return;
        };
        let Some(next_expiry) = open.tend_ahead() else {
            return;
        };
        drop(open);
        let expiry = async {
            match next_expiry {
                Some(expiry) => sleep_until(Instant::from_std(expiry)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = shared.ahead_changed() => {}
            () = expiry => {}
        }
    }
}
