//! The gRPC client: HTTP/2 connections to a Volt, and the calls on them.
//!
//! HTTP/2 itself is hyper's. This module adds the rest: the connection is established and supervised
//! as a websocket is, and each call gets its token, its deadline and an error that tells whether the
//! Volt may have acted.
//!
//! | failure | kind | code | executed |
//! |---|---|---|---|
//! | `status` in a response | refused | that of the status | yes |
//! | a status in the trailers | failed | that of the status | yes; maybe, if it may come from a machine on the way |
//! | the same, `UNAUTHENTICATED` | routing | unauthenticated | no |
//! | the same, `DEADLINE_EXCEEDED`, and the call has a deadline | deadline | deadline exceeded | maybe |
//! | no status, a message that is damaged or breaks off, another encoding | protocol | internal | maybe |
//! | no response with status OK, or more than one to a unary call | protocol | internal | maybe |
//! | a response of more than 64 MiB | resource exhausted | resource exhausted | maybe |
//! | an answer that is not gRPC: HTTP 503, a page of HTML | routing | by the HTTP status | maybe |
//! | `REFUSED_STREAM` | routing | unavailable | no |
//! | another `RST_STREAM` | failed | by its reason | maybe |
//! | `GOAWAY` that excludes the call | connection | unavailable | no |
//! | the connection is lost, or a ping is not answered | connection | unavailable | maybe |
//! | no connection | connection | unavailable | no |
//!
//! Calls that were certainly not executed are retried as on the websocket.

mod answer;
mod call;
mod connection;
mod dialer;
mod link;
mod stream;
mod token;

pub(super) use self::dialer::Dialer;
