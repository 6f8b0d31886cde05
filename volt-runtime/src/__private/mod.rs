//! The only module that generated code refers to. Not part of the public API: it may change without
//! notice.

mod client;
mod message;
mod service;
mod values;

pub use std::{
    collections::BTreeMap,
    future::{Future, ready},
};

/// Rejects code that uses types of `volt-api` and was generated for another version of the API there.
///
/// # Panics
///
/// At compile time, if the versions differ.
pub const fn same_volt_api(found: &str, expected: &str) {
    let (found, expected) = (found.as_bytes(), expected.as_bytes());
    let mut same = found.len() == expected.len();
    let mut at = 0;
    while same && at < found.len() {
        same = found[at] == expected[at];
        at += 1;
    }
    assert!(
        same,
        "this code was generated for another version of the API in `volt-api`: generate it again"
    );
}

pub use prost;
pub use prost_types;
pub use serde;

pub use crate::{
    __any_types as any_types, __client as client, __enum_map as enum_map,
    __enumeration as enumeration, __message as message, __redacted as redacted, __server as server,
    __service as service, __status as status,
    call::{self, BidiCall, ClientStreamingCall, ServerStreamingCall, UnaryCall},
    channel::Channel,
    error::since::{Since, declare as declare_since},
    json,
    json::{Empty, WellKnown},
    message::{Message, StatusMessage},
    method::{Method, MethodKind, TypedMethod},
    redact::Redacted,
    server::{
        Context, IncomingCall, Requests, Responses, Service, bidi, client_streaming,
        server_streaming, unary, unimplemented, unknown_method,
    },
    status::{Code, Status},
    transport::BoxFuture,
};
