//! Helpers for tests without a Volt: mocks, lost connections on demand, and recorded answers.
//!
//! | to test | use |
//! |---|---|
//! | code that makes a few calls | a [`Mock`] with a closure for each method |
//! | code that makes many, or your own service | a server trait in a [`Router`](crate::server::Router), with [`Channel::in_process`](crate::Channel::in_process) or [`Mock::service`] |
//! | a lost connection | an [`Outage`], over a mock or a real connection |
//! | the answers of a real Volt, without it | [`Channel::record`](crate::Channel::record), then [`Channel::replay`](crate::Channel::replay) |
//!
//! All of them create a [`Channel`](crate::Channel), for `Client::from_channel` of `volt-api` or for any
//! generated client.

mod mock;
mod outage;
pub(crate) mod record;
pub(crate) mod replay;
mod tape;

pub use self::{
    mock::{Mock, MockCall},
    outage::Outage,
};
