//! Passes the metrics of the facade `metrics` on to OpenTelemetry.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use opentelemetry::{KeyValue, metrics as otel};

/// A recorder for `metrics::set_global_recorder`.
#[derive(Debug)]
pub(crate) struct OpenTelemetryRecorder {
    meter: otel::Meter,
    units: Mutex<HashMap<String, &'static str>>,
    counters: Mutex<HashMap<String, otel::Counter<u64>>>,
    gauges: Mutex<HashMap<String, otel::UpDownCounter<f64>>>,
    histograms: Mutex<HashMap<String, otel::Histogram<f64>>>,
}

impl OpenTelemetryRecorder {
    pub(crate) fn new(meter: otel::Meter) -> Self {
        Self {
            meter,
            units: Mutex::default(),
            counters: Mutex::default(),
            gauges: Mutex::default(),
            histograms: Mutex::default(),
        }
    }

    fn describe(&self, key: &KeyName, unit: Option<Unit>) {
        let unit = match unit {
            Some(Unit::Seconds) => "s",
            Some(Unit::Bytes) => "By",
            _ => "1",
        };
        let mut units = self.units.lock().unwrap_or_else(PoisonError::into_inner);
        units.insert(key.as_str().to_owned(), unit);
    }

    fn unit(&self, name: &str) -> &'static str {
        let units = self.units.lock().unwrap_or_else(PoisonError::into_inner);
        units.get(name).copied().unwrap_or("1")
    }
}

/// Returns the instrument of this name, which is created on first use.
fn instrument<I: Clone>(
    all: &Mutex<HashMap<String, I>>,
    name: &str,
    create: impl FnOnce(String) -> I,
) -> I {
    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
    all.entry(name.to_owned()).or_insert_with(|| create(name.to_owned())).clone()
}

/// An instrument with the attributes of one metric.
struct Labelled<I>(I, Vec<KeyValue>);

impl<I> Labelled<I> {
    fn new(instrument: I, key: &Key) -> Arc<Self> {
        let labels = key
            .labels()
            .map(|label| KeyValue::new(label.key().to_owned(), label.value().to_owned()));
        Arc::new(Self(instrument, labels.collect()))
    }
}

impl CounterFn for Labelled<otel::Counter<u64>> {
    fn increment(&self, value: u64) {
        self.0.add(value, &self.1);
    }

    /// A counter of OpenTelemetry only adds; the SDK does nothing else.
    fn absolute(&self, _: u64) {}
}

impl GaugeFn for Labelled<otel::UpDownCounter<f64>> {
    fn increment(&self, value: f64) {
        self.0.add(value, &self.1);
    }

    fn decrement(&self, value: f64) {
        self.0.add(-value, &self.1);
    }

    /// A counter that goes up and down only adds; the SDK does nothing else.
    fn set(&self, _: f64) {}
}

impl HistogramFn for Labelled<otel::Histogram<f64>> {
    fn record(&self, value: f64) {
        self.0.record(value, &self.1);
    }
}

impl Recorder for OpenTelemetryRecorder {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(&key, unit);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(&key, unit);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(&key, unit);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let create = |name| self.meter.u64_counter(name).with_unit(self.unit(key.name())).build();
        let counter = instrument(&self.counters, key.name(), create);
        Counter::from_arc(Labelled::new(counter, key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        let create =
            |name| self.meter.f64_up_down_counter(name).with_unit(self.unit(key.name())).build();
        let gauge = instrument(&self.gauges, key.name(), create);
        Gauge::from_arc(Labelled::new(gauge, key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let create = |name| {
            let builder = self.meter.f64_histogram(name).with_unit(self.unit(key.name()));
            // The boundaries that the conventions recommend for durations of calls.
            let bounds =
                [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
            builder.with_boundaries(bounds.to_vec()).build()
        };
        let histogram = instrument(&self.histograms, key.name(), create);
        Histogram::from_arc(Labelled::new(histogram, key))
    }
}
