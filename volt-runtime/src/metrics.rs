//! Metrics of calls and connections, for the facade crate [`metrics`](https://docs.rs/metrics).
//!
//! The program installs a recorder, such as that of an exporter, and calls [`enable`]. Every later call of
//! the process is measured, on both ends.
//!
//! | name | kind | unit | labels |
//! |---|---|---|---|
//! | `rpc.client.call.duration` | histogram | seconds | system, method, status, error |
//! | `volt.client.calls` | counter | calls that have ended | system, method, status, error |
//! | `volt.client.active_calls` | gauge | calls that are open | system, method |
//! | `volt.client.sent_messages` | counter | messages | system, method |
//! | `volt.client.sent_bytes` | counter | bytes | system, method |
//! | `volt.client.received_messages` | counter | messages | system, method |
//! | `volt.client.received_bytes` | counter | bytes | system, method |
//! | `volt.client.lost_connections` | counter | connections | server |
//! | `volt.client.reconnects` | counter | connections | server |
//!
//! The calls of a server have the same metrics, with `server` in place of `client`, except for the last two.
//!
//! | label | key | value |
//! |---|---|---|
//! | system | `rpc.system.name` | `grpc` over gRPC, else `volt` |
//! | method | `rpc.method` | `package.Service/Method` |
//! | status | `rpc.status_code` | `OK`, `NOT_FOUND` … |
//! | error | `error.type` | of calls that failed only: the same |
//! | server | `server.address`, `server.port` | the server as configured |
//!
//! Names, labels and the notion of an error are those of OpenTelemetry's semantic conventions for RPC,
//! version 1.45.0, where they define them; the others begin with `volt`. The duration is that of the
//! [span](crate::intercept#spans): of the whole call, with its retries. Messages and bytes are counted while a
//! call is open, in the encoding of the transport, before encryption and compression.

use std::sync::atomic::{AtomicBool, Ordering};

use ::metrics::{
    Counter, Gauge, Label, SharedString, Unit, counter, describe_counter, describe_gauge,
    describe_histogram, gauge, histogram,
};

use crate::{
    intercept::{Outcome, Side, is_error},
    method::Method,
};

/// The names of one end's metrics.
struct Names {
    duration: &'static str,
    calls: &'static str,
    active_calls: &'static str,
    sent_messages: &'static str,
    sent_bytes: &'static str,
    received_messages: &'static str,
    received_bytes: &'static str,
}

const CLIENT: Names = Names {
    duration: "rpc.client.call.duration",
    calls: "volt.client.calls",
    active_calls: "volt.client.active_calls",
    sent_messages: "volt.client.sent_messages",
    sent_bytes: "volt.client.sent_bytes",
    received_messages: "volt.client.received_messages",
    received_bytes: "volt.client.received_bytes",
};

const SERVER: Names = Names {
    duration: "rpc.server.call.duration",
    calls: "volt.server.calls",
    active_calls: "volt.server.active_calls",
    sent_messages: "volt.server.sent_messages",
    sent_bytes: "volt.server.sent_bytes",
    received_messages: "volt.server.received_messages",
    received_bytes: "volt.server.received_bytes",
};

#[cfg(feature = "client")]
const LOST_CONNECTIONS: &str = "volt.client.lost_connections";
#[cfg(feature = "client")]
const RECONNECTS: &str = "volt.client.reconnects";

impl Names {
    const fn of(side: Side) -> &'static Self {
        match side {
            Side::Client => &CLIENT,
            Side::Server => &SERVER,
        }
    }
}

/// Set when calls are measured.
static ENABLED: AtomicBool = AtomicBool::new(false);

/// Measures all calls that begin after this, and all connections. Describes the metrics to the recorder, with
/// their units: install it first.
///
/// ```
/// // An exporter's recorder is installed here.
/// volt_runtime::metrics::enable();
/// ```
pub fn enable() {
    describe();
    ENABLED.store(true, Ordering::Relaxed);
}

/// Returns whether calls are measured.
pub(crate) fn is_enabled() -> bool {
    ENABLED.load(Ordering::Relaxed)
}

fn describe() {
    for names in [&CLIENT, &SERVER] {
        describe_histogram!(names.duration, Unit::Seconds, "The duration of a call.");
        describe_counter!(names.calls, Unit::Count, "The calls that have ended.");
        describe_gauge!(names.active_calls, Unit::Count, "The calls that are open.");
        describe_counter!(names.sent_messages, Unit::Count, "The messages sent in calls.");
        describe_counter!(names.sent_bytes, Unit::Bytes, "The bytes of sent messages.");
        describe_counter!(names.received_messages, Unit::Count, "The messages received in calls.");
        describe_counter!(names.received_bytes, Unit::Bytes, "The bytes of received messages.");
    }
    #[cfg(feature = "client")]
    {
        describe_counter!(LOST_CONNECTIONS, Unit::Count, "The connections that were lost.");
        describe_counter!(RECONNECTS, Unit::Count, "The connections that were re-established.");
    }
}

/// The metrics of one call.
pub(crate) struct Meters {
    side: Side,
    method: &'static Method,
    system: &'static str,
    active_calls: Gauge,
    sent_messages: Counter,
    sent_bytes: Counter,
    received_messages: Counter,
    received_bytes: Counter,
}

impl Meters {
    /// Counts a call that begins, if calls are measured.
    pub(crate) fn begin(side: Side, method: &'static Method, system: &'static str) -> Option<Self> {
        if !is_enabled() {
            return None;
        }
        let (names, labels) = (Names::of(side), labels(method, system));
        let active_calls = gauge!(names.active_calls, labels.iter());
        active_calls.increment(1.0);
        Some(Self {
            side,
            method,
            system,
            active_calls,
            sent_messages: counter!(names.sent_messages, labels.iter()),
            sent_bytes: counter!(names.sent_bytes, labels.iter()),
            received_messages: counter!(names.received_messages, labels.iter()),
            received_bytes: counter!(names.received_bytes, labels.iter()),
        })
    }

    /// Counts a message that was sent.
    pub(crate) fn sent(&self, bytes: u64) {
        self.sent_messages.increment(1);
        self.sent_bytes.increment(bytes);
    }

    /// Counts a message that was received.
    pub(crate) fn received(&self, bytes: u64) {
        self.received_messages.increment(1);
        self.received_bytes.increment(bytes);
    }

    /// Counts the end of the call. Must be called once.
    pub(crate) fn end(&self, outcome: &Outcome) {
        self.active_calls.decrement(1.0);
        let (names, code) = (Names::of(self.side), outcome.code());
        let mut labels = Vec::from(labels(self.method, self.system));
        labels.push(label("rpc.status_code", code.name()));
        if is_error(self.side, code) {
            labels.push(label("error.type", code.name()));
        }
        counter!(names.calls, labels.iter()).increment(1);
        histogram!(names.duration, labels.iter()).record(outcome.elapsed);
    }
}

fn labels(method: &'static Method, system: &'static str) -> [Label; 2] {
    [label("rpc.system.name", system), label("rpc.method", method.full_name())]
}

fn label(key: &'static str, value: &'static str) -> Label {
    Label::from_static_parts(key, value)
}

/// Counts a connection of a client that was lost.
#[cfg(feature = "client")]
pub(crate) fn lost(server: &crate::transport::ServerAddress) {
    if is_enabled() {
        counter!(LOST_CONNECTIONS, connection(server)).increment(1);
    }
}

/// Counts a connection of a client that was re-established.
#[cfg(feature = "client")]
pub(crate) fn reconnected(server: &crate::transport::ServerAddress) {
    if is_enabled() {
        counter!(RECONNECTS, connection(server)).increment(1);
    }
}

#[cfg(feature = "client")]
fn connection(server: &crate::transport::ServerAddress) -> Vec<Label> {
    let port = SharedString::from(server.port.to_string());
    vec![Label::new("server.address", server.host.clone()), Label::new("server.port", port)]
}
