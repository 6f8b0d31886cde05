//! Shared helpers of the integration tests of several crates.

// Tests fail with a panic.
#![allow(clippy::missing_panics_doc)]

mod captured;
mod network;
mod note;
mod simulation;
mod text;
mod tls;

use std::time::Duration;

use volt_runtime::{
    Status,
    server::{Authenticator, Caller, Token},
};

pub use self::{
    captured::Captured,
    network::Network,
    note::{Note, Refusal},
    simulation::{Clock, Random},
    text::Text,
    tls::begin_tls,
};

/// Waits for a future for at most a minute, so that a hang fails the test.
pub async fn soon<T>(future: impl IntoFuture<Output = T>) -> T {
    tokio::time::timeout(Duration::from_mins(1), future.into_future()).await.expect("it hangs")
}

/// Admits every caller.
#[derive(Clone, Copy, Debug)]
pub struct Anyone;

impl Authenticator for Anyone {
    fn authenticate(&self, _: &Token) -> Result<Caller, Status> {
        Ok(Caller::default())
    }
}
