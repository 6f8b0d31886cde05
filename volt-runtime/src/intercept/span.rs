//! The span of a call, with the attributes of OpenTelemetry's semantic conventions for RPC. The
//! [module](super) lists them.

use tracing::{Span, field::Empty, info_span};

use super::outcome::{Outcome, Side};
use crate::{method::Method, status::Code, transport::ServerAddress};

/// `rpc.system.name` of calls over gRPC.
pub(crate) const GRPC: &str = "grpc";
/// `rpc.system.name` of calls over a websocket, and within the process.
pub(crate) const VOLT: &str = "volt";

/// The target of the spans, for the directives of a filter.
const TARGET: &str = "volt_runtime::call";

/// Creates the span of a client's call. It is disabled if no subscriber wants it; nothing is evaluated then.
pub(super) fn client<'a>(
    method: &'static Method,
    server: &impl Fn() -> Option<&'a ServerAddress>,
) -> Span {
    info_span!(
        target: TARGET,
        "call",
        otel.name = method.full_name(),
        otel.kind = "client",
        rpc.system.name = server().map_or(VOLT, |server| server.system),
        rpc.method = method.full_name(),
        server.address = server().map(|server| &*server.host),
        server.port = server().map(|server| server.port),
        rpc.status_code = Empty,
        error.type = Empty,
        otel.status_code = Empty,
        otel.status_description = Empty,
    )
}

/// Creates the span of a server's call.
pub(super) fn server(method: &'static Method, system: &'static str) -> Span {
    info_span!(
        target: TARGET,
        "call",
        otel.name = method.full_name(),
        otel.kind = "server",
        rpc.system.name = system,
        rpc.method = method.full_name(),
        rpc.status_code = Empty,
        error.type = Empty,
        otel.status_code = Empty,
        otel.status_description = Empty,
    )
}

/// Records how a call ended.
pub(super) fn end(span: &Span, side: Side, outcome: &Outcome) {
    if span.is_disabled() {
        return;
    }
    let code = outcome.code();
    span.record("rpc.status_code", code.name());
    if let Some(error) = outcome.error().filter(|_| is_error(side, code)) {
        span.record("error.type", code.name());
        span.record("otel.status_code", "ERROR");
        span.record("otel.status_description", tracing::field::display(error));
    }
}

/// Returns whether a call that ended with this code has failed. Some codes report a caller's
/// mistakes, which are not errors of the server.
pub(crate) fn is_error(side: Side, code: Code) -> bool {
    match side {
        Side::Client => code != Code::Ok,
        Side::Server => matches!(
            code,
            Code::Unknown
                | Code::DeadlineExceeded
                | Code::Unimplemented
                | Code::Internal
                | Code::Unavailable
                | Code::DataLoss
        ),
    }
}
