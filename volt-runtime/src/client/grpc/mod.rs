//! The gRPC client: HTTP/2 connections to a Volt, and the calls on them.
//!
//! HTTP/2 itself is hyper's. This module adds the rest: the connection is established and supervised
//! as a websocket is, and each call gets its token, its deadline and an error that reports whether the
//! Volt may have acted.
//!
//! [`TransportKind`](crate::TransportKind) documents how each failure is reported. Calls that were
//! certainly not executed are retried as on the websocket.

mod answer;
mod call;
mod connection;
mod dialer;
mod invoke;
mod link;
mod requests;
mod sealed;
mod stream;
mod token;

pub(super) use self::dialer::Dialer;
