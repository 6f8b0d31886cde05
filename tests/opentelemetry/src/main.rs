//! Traces and metrics of a client, exported with OpenTelemetry: here to the terminal. Run it with the path of
//! a client configuration.
//!
//! `tracing-opentelemetry` exports the spans of `tracing`, and `metrics-opentelemetry` the metrics of the facade
//! `metrics`.

use std::error::Error;

use metrics_opentelemetry::{OpenTelemetryMetrics, OpenTelemetryRecorder};
use opentelemetry::{metrics::MeterProvider as _, trace::TracerProvider as _};
use opentelemetry_sdk::{metrics::SdkMeterProvider, trace::SdkTracerProvider};
use tracing_subscriber::{
    Layer as _, filter::LevelFilter, layer::SubscriberExt as _, registry,
    util::SubscriberInitExt as _,
};
use volt_api::{Client, ClientConfig};

/// Exports the spans and the metrics of this process.
fn observe(traces: &SdkTracerProvider, meters: &SdkMeterProvider) -> Result<(), Box<dyn Error>> {
    let layer = tracing_opentelemetry::layer().with_tracer(traces.tracer("volt"));
    // The websocket library below the SDK logs frames at lower levels.
    registry().with(layer.with_filter(LevelFilter::INFO)).try_init()?;
    let recorder = OpenTelemetryRecorder::new(OpenTelemetryMetrics::new(meters.meter("volt")));
    metrics::set_global_recorder(recorder)?;
    volt_api::metrics::enable();
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let spans = opentelemetry_stdout::SpanExporter::default();
    let traces = SdkTracerProvider::builder().with_simple_exporter(spans).build();
    let numbers = opentelemetry_stdout::MetricExporter::default();
    let meters = SdkMeterProvider::builder().with_periodic_exporter(numbers).build();
    observe(&traces, &meters)?;

    let config = std::env::args().nth(1).unwrap_or_else(|| "volt.config.json".to_owned());
    let client = Client::connect(ClientConfig::from_file(config)?).await?;
    client.volt().ensure_folder("@telemetry").await?;
    client.file().put_json("@telemetry/last.json", &"here").await?;
    client.close().await;
    // This exports the last metrics.
    meters.shutdown()?;
    traces.shutdown()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use opentelemetry::{Value, trace::SpanKind, trace::Status};
    use opentelemetry_sdk::{
        metrics::InMemoryMetricExporter,
        trace::{InMemorySpanExporter, SpanData},
    };
    use volt_api::{Code, volt::GetResourceRequest};
    use volt_embedded::EmbeddedVolt;

    use super::*;

    fn attribute(span: &SpanData, key: &str) -> Option<Value> {
        let attribute = span.attributes.iter().find(|attribute| attribute.key.as_str() == key);
        attribute.map(|attribute| attribute.value.clone())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn spans_and_metrics_of_both_ends_are_exported() {
        let (spans, numbers) = (InMemorySpanExporter::default(), InMemoryMetricExporter::default());
        let traces = SdkTracerProvider::builder().with_simple_exporter(spans.clone()).build();
        let meters = SdkMeterProvider::builder().with_periodic_exporter(numbers.clone()).build();
        observe(&traces, &meters).unwrap();

        let volt = EmbeddedVolt::start().await.unwrap();
        let client = Client::connect(volt.config()).await.unwrap();
        let request = GetResourceRequest::default().with_resource_id("@missing");
        let error = client.volt().get_resource(request).await.unwrap_err();
        assert_eq!(error.code(), Code::NotFound);
        client.close().await;
        volt.shutdown().await;

        let name = "tdx.volt_api.volt.v1.VoltAPI/GetResource";
        let spans = spans.get_finished_spans().unwrap();
        let span = |kind: SpanKind| {
            let mut calls = spans.iter().filter(|span| span.name == name);
            calls.find(|span| span.span_kind == kind).expect("a span")
        };
        let client = span(SpanKind::Client);
        assert_eq!(attribute(client, "rpc.method"), Some(name.into()));
        assert_eq!(attribute(client, "rpc.system.name"), Some("volt".into()));
        assert_eq!(attribute(client, "rpc.status_code"), Some("NOT_FOUND".into()));
        assert_eq!(attribute(client, "error.type"), Some("NOT_FOUND".into()));
        assert_eq!(attribute(client, "server.address"), Some("127.0.0.1".into()));
        assert!(matches!(client.status, Status::Error { .. }), "{:?}", client.status);
        let server = span(SpanKind::Server);
        assert_eq!(attribute(server, "rpc.status_code"), Some("NOT_FOUND".into()));
        assert_eq!(server.status, Status::Unset);

        meters.force_flush().unwrap();
        let exported = numbers.get_finished_metrics().unwrap();
        let metrics = exported.iter().flat_map(|all| all.scope_metrics());
        let names: Vec<_> = metrics
            .flat_map(|scope| scope.metrics())
            .map(|metric| (metric.name().to_owned(), metric.unit().to_owned()))
            .collect();
        for (name, unit) in [
            ("rpc.client.call.duration", "s"),
            ("rpc.server.call.duration", "s"),
            ("volt.client.calls", "1"),
            ("volt.client.active_calls", "1"),
            ("volt.server.sent_bytes", "By"),
        ] {
            assert!(names.contains(&(name.to_owned(), unit.to_owned())), "{name}: {names:?}");
        }
    }
}
