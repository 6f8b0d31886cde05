//! The program's log.

use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer as _,
    filter::{FilterExt as _, filter_fn},
    fmt::{self, MakeWriter},
    layer::SubscriberExt as _,
    registry,
};

/// Below INFO, the websocket library logs whole frames, with tokens and session ids in them. They
/// are omitted regardless of the filter: a filter for one of its modules would take precedence over
/// one for the crate.
fn may_log(metadata: &Metadata<'_>) -> bool {
    let root = metadata.target().split("::").next().unwrap_or_default();
    !["tungstenite", "tokio_tungstenite"].contains(&root) || *metadata.level() <= Level::INFO
}

/// Writes the events that pass `filter`, except for lines with secrets.
pub(crate) fn subscriber<W>(filter: EnvFilter, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = fmt::layer().with_writer(writer).with_filter(filter.and(filter_fn(may_log)));
    registry().with(lines)
}
