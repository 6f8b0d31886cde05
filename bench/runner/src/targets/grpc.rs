//! gRPC compared with tonic, which does the same work with the same messages.

use super::{Bound, Target, divide, largest, target};
use crate::{
    plan::{BLOCKS, IN_FLIGHT, SIZES, Work, size},
    results::{Results, Samples, Spread},
};

/// At least this share of tonic's throughput, and of its work for the same CPU time.
const SHARE: f64 = 0.9;

/// The ratios of unary calls to tonic's, in the order of [`Calls::ratios`].
pub(crate) const CALLS: [(&str, Bound); 3] = [
    ("calls/s", Bound::AtLeast(SHARE)),
    ("client's CPU per call", Bound::AtMost(1.0 / SHARE)),
    ("p50", Bound::AtMost(1.1)),
];

/// Unary calls with a number in flight and a size.
pub(crate) struct Calls {
    pub(crate) in_flight: usize,
    pub(crate) size: usize,
    /// This SDK's values ÷ tonic's. `None` if the run did not measure one of them.
    pub(crate) ratios: [Option<f64>; 3],
}

/// The ratios of all cells of a full run.
pub(crate) fn calls(results: &Results) -> Vec<Calls> {
    let cells = SIZES.into_iter().flat_map(|size| IN_FLIGHT.map(|in_flight| (in_flight, size)));
    cells.map(|(in_flight, size)| cell(results, in_flight, size)).collect()
}

fn cell(results: &Results, in_flight: usize, size: usize) -> Calls {
    let values: [fn(&Samples) -> Option<Spread>; 3] = [Samples::rate, Samples::cpu, Samples::p50];
    let ratios = values.map(|value| {
        let of = |peer| results.unary(peer, in_flight, size).and_then(value);
        divide(of("sdk-grpc"), of("tonic"))
    });
    Calls { in_flight, size, ratios }
}

/// The targets of downloads and uploads.
pub(super) fn data(results: &Results) -> Vec<Target> {
    let mut targets = Vec::new();
    for (work, name) in [(Work::Download, "download"), (Work::Upload, "upload")] {
        for block in BLOCKS {
            let moved = |peer| largest(results, peer, work, block).and_then(Samples::megabytes);
            targets.push(target(
                &format!("gRPC, {name}, {} blocks: MB/s ÷ tonic", size(block as u64)),
                Bound::AtLeast(SHARE),
                divide(moved("sdk-grpc"), moved("tonic")),
                "",
            ));
        }
    }
    targets
}
