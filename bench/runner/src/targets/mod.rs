//! The targets of this SDK, as ratios of measurements of one run.

pub(super) mod grpc;

use crate::{
    plan::{Cores, Work},
    results::{Results, Samples, Spread},
};

/// One target.
pub(super) struct Target {
    pub(super) what: String,
    pub(super) needed: Bound,
    /// The measured value. `None` if the run did not measure it.
    pub(super) got: Option<f64>,
    /// A remark, which may be empty.
    pub(super) note: &'static str,
}

/// The condition of a target.
#[derive(Clone, Copy)]
pub(super) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Bound {
    pub(super) fn is_met(self, got: f64) -> bool {
        match self {
            Self::AtLeast(bound) => got >= bound,
            Self::AtMost(bound) => got <= bound,
        }
    }

    /// The factor by which the target is missed: 1.25 is a quarter too little or too much.
    pub(super) fn missed_by(self, got: f64) -> f64 {
        match self {
            Self::AtLeast(bound) => bound / got,
            Self::AtMost(bound) => got / bound,
        }
    }
}

const KIB: usize = 1 << 10;

/// All targets, in the order of the report.
pub(super) fn all(results: &Results) -> Vec<Target> {
    let mut targets = unary(results);
    targets.extend(grpc::data(results));
    targets.extend(floors(results));
    targets.extend(data(results));
    targets.extend(memory(results));
    targets.push(target(
        "64 KiB messages, 64 in flight: calls/s on two cores ÷ on one",
        Bound::AtLeast(1.6),
        divide(scaled(results, Cores::Two), scaled(results, Cores::One)),
        "server and client share them",
    ));
    targets
}

fn unary(results: &Results) -> Vec<Target> {
    let rate = |peer, in_flight| results.unary(peer, in_flight, KIB).and_then(Samples::rate);
    let cpu = |peer| results.unary(peer, 64, KIB).and_then(Samples::cpu);
    let calls = |peer, in_flight| divide(rate("sdk", in_flight), rate(peer, in_flight));
    vec![
        target(
            "64 in flight, 1 KiB: calls/s ÷ volt-client-rs",
            Bound::AtLeast(2.5),
            calls("rust", 64),
            "",
        ),
        target(
            "64 in flight, 1 KiB: client's CPU per call ÷ volt-client-rs",
            Bound::AtMost(1.0 / 3.0),
            divide(cpu("sdk"), cpu("rust")),
            "",
        ),
        target(
            "64 in flight, 1 KiB: calls/s ÷ tonic over TLS",
            Bound::AtLeast(0.7),
            calls("tonic", 64),
            "",
        ),
        target(
            "1 in flight, 1 KiB: calls/s ÷ volt-client-rs",
            Bound::AtLeast(50.0),
            calls("rust", 1),
            "the peer waits for Nagle's algorithm",
        ),
        target(
            "1 in flight, 1 KiB: calls/s ÷ volt-client-rs with `TCP_NODELAY`",
            Bound::AtLeast(2.5),
            calls("rust-nodelay", 1),
            "a patched copy of the crate",
        ),
    ]
}

fn floors(results: &Results) -> Vec<Target> {
    let echo = median(results.unary("floor", 1, KIB).and_then(Samples::p50));
    let floor = |echoes: f64| Some(echoes * echo? + crypto_of_a_call(results, KIB)? / 1e3);
    let p50 = |peer| median(results.unary(peer, 1, KIB).and_then(Samples::p50));
    let above = |peer, echoes| Some(p50(peer)? / floor(echoes)?);
    vec![
        target(
            "1 in flight, 1 KiB: p50 ÷ two raw echoes and both ends' cryptography",
            Bound::AtMost(1.3),
            above("sdk", 2.0),
            "the call's key exchange is one of the two",
        ),
        target(
            "the same with pre-opened calls: p50 ÷ one raw echo and the cryptography",
            Bound::AtMost(1.3),
            above("sdk-ahead", 1.0),
            "",
        ),
    ]
}

fn data(results: &Results) -> Vec<Target> {
    let rows = |peer| largest(results, peer, Work::Rows, 0);
    let download =
        median(largest(results, "sdk", Work::Download, 64 * KIB).and_then(Samples::megabytes));
    // Nanoseconds for 64 KiB. The slowest operation limits the throughput.
    let slowest = ["aes-decrypt 65536", "json-read 65536", "base64-decode 65536"]
        .into_iter()
        .map(|name| results.alone(name))
        .try_fold(0.0, |slowest: f64, cost| Some(slowest.max(cost?)));
    // The server encrypts the base64 of a block, which is a third longer.
    let encrypted = results.alone("aes-encrypt 65536").map(|cost| cost * 4.0 / 3.0);
    let downloaded = |cost: Option<f64>| {
        let floor = cost.filter(|cost| *cost > 0.0).map(|cost| 65536.0 * 1e3 / cost);
        download.zip(floor).map(|(download, floor)| download / floor)
    };
    vec![
        target(
            "`Execute`: rows/s ÷ volt-client-rs",
            Bound::AtLeast(4.0),
            divide(rows("sdk").and_then(Samples::rate), rows("rust").and_then(Samples::rate)),
            "",
        ),
        target(
            "`Execute`: client's CPU per row ÷ volt-client-rs",
            Bound::AtMost(0.2),
            divide(rows("sdk").and_then(Samples::cpu), rows("rust").and_then(Samples::cpu)),
            "",
        ),
        target(
            "download, 64 KiB blocks: MB/s ÷ the slowest of decrypting, JSON and base64 alone",
            Bound::AtLeast(0.6),
            downloaded(slowest),
            "on one core each",
        ),
        target(
            "the same ÷ the server's encryption alone",
            Bound::AtLeast(0.6),
            downloaded(encrypted),
            "CBC encryption of a message is sequential",
        ),
    ]
}

fn memory(results: &Results) -> Vec<Target> {
    let idle = largest(results, "sdk", Work::Idle, 0);
    let idle = median(idle.and_then(Samples::memory_each));
    let download = largest(results, "sdk", Work::Download, 64 * KIB).and_then(Samples::memory);
    vec![
        target(
            "10,000 idle calls: MB in the client",
            Bound::AtMost(40.0),
            idle.map(|each| each * 10_000.0 / 1e6),
            "",
        ),
        target(
            "the longest download: MB of memory at the peak",
            Bound::AtMost(64.0),
            median(download),
            "1 GiB in a full run",
        ),
    ]
}

/// Nanoseconds of cryptography in a unary call, for both ends. Each end generates an ephemeral key and
/// agrees on a secret, signs once and verifies once, encrypts one message and decrypts another.
pub(super) fn crypto_of_a_call(results: &Results, size: usize) -> Option<f64> {
    let names = ["x25519-generate", "x25519-agree", "hkdf", "ed25519-sign", "ed25519-verify"];
    let fixed = names.into_iter().map(|name| results.alone(name));
    let sized = ["aes-encrypt", "aes-decrypt"].map(|name| results.alone(&format!("{name} {size}")));
    fixed.chain(sized).sum::<Option<f64>>().map(|one_end| 2.0 * one_end)
}

/// The samples of a peer for the largest count of some work.
pub(super) fn largest<'a>(
    results: &'a Results,
    peer: &str,
    work: Work,
    size: usize,
) -> Option<&'a Samples> {
    let measured = results.measured.iter().filter(|one| {
        one.peer == peer
            && one.cell.work == work
            && one.cell.size == size
            && !one.samples.is_empty()
    });
    measured.max_by_key(|one| one.cell.count)
}

/// Calls per second with large messages, by the number of cores.
fn scaled(results: &Results, cores: Cores) -> Option<Spread> {
    results.of("sdk", |cell| cell.work == Work::Unary && cell.cores == cores)?.rate()
}

fn target(what: &str, needed: Bound, got: Option<f64>, note: &'static str) -> Target {
    Target { what: what.to_owned(), needed, got, note }
}

fn divide(value: Option<Spread>, by: Option<Spread>) -> Option<f64> {
    let by = median(by).filter(|by| *by > 0.0)?;
    Some(median(value)? / by)
}

fn median(spread: Option<Spread>) -> Option<f64> {
    spread.map(|spread| spread.median)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_missed_by_a_factor() {
        assert!(Bound::AtLeast(2.5).is_met(2.5));
        assert!(!Bound::AtMost(1.3).is_met(1.31));
        assert!((Bound::AtLeast(2.5).missed_by(2.0) - 1.25).abs() < 1e-9);
        assert!((Bound::AtMost(40.0).missed_by(50.0) - 1.25).abs() < 1e-9);
    }
}
