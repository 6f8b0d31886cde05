//! Happy Eyeballs (RFC 8305): the order of addresses, and the race between them.
//!
//! A host often has addresses that do not work, such as IPv6 without a route. Trying them one after another
//! would cost a full timeout each.

use std::{future::Future, io, net::SocketAddr, time::Duration};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::time::{Instant, sleep_until};

/// The delay before the next address is tried in parallel with those that have not answered yet
/// (RFC 8305, 5).
pub(super) const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The failed attempts of a race. No error means that the address did not answer in time, or was not
/// tried before time ran out.
pub(super) type Failures = Vec<(SocketAddr, Option<io::Error>)>;

/// Orders addresses as the resolver did, but with the families interleaved, so that one that does
/// not work delays the other only once (RFC 8305, 4).
pub(super) fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    // The resolver's first address shows which family the system prefers.
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (preferred, others): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let (mut preferred, mut others) = (preferred.into_iter(), others.into_iter());
    let mut ordered = Vec::with_capacity(preferred.len() + others.len());
    while preferred.len() + others.len() > 0 {
        ordered.extend(preferred.next());
        ordered.extend(others.next());
    }
    ordered
}

/// Connects to the addresses in order. An address is tried as soon as an earlier attempt has failed,
/// or [`ATTEMPT_DELAY`] after the last one began. The first success wins, and the other attempts are
/// dropped.
///
/// # Errors
///
/// Returns every address with its failure if none answered before `until`.
pub(super) async fn race<T, F>(
    addresses: &[SocketAddr],
    until: Instant,
    mut connect: impl FnMut(SocketAddr) -> F,
) -> Result<(SocketAddr, T), Failures>
where
    F: Future<Output = io::Result<T>>,
{
    let mut waiting = addresses.iter().copied();
    let mut running = FuturesUnordered::new();
    let mut failures = Failures::new();
    let mut begin = |running: &mut FuturesUnordered<_>| {
        let Some(address) = waiting.next() else { return false };
        let attempt = connect(address);
        running.push(async move { (address, attempt.await) });
        true
    };
    let mut next = Instant::now() + ATTEMPT_DELAY;
    let mut more = begin(&mut running);
    loop {
        tokio::select! {
            // A success counts even if time has just run out.
            biased;
            Some(ended) = running.next() => match ended {
                (address, Ok(connection)) => return Ok((address, connection)),
                (address, Err(error)) => {
                    failures.push((address, Some(error)));
                    next = Instant::now() + ATTEMPT_DELAY;
                    more = begin(&mut running);
                }
            },
            () = sleep_until(until), if !running.is_empty() => break,
            () = sleep_until(next), if more && !running.is_empty() => {
                next += ATTEMPT_DELAY;
                more = begin(&mut running);
            }
            else => break,
        }
    }
    // The error also lists addresses that were never tried or were still connecting.
    for address in addresses {
        if !failures.iter().any(|(failed, _)| failed == address) {
            failures.push((*address, None));
        }
    }
    Err(failures)
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, rc::Rc};

    use tokio::time::sleep;

    use super::*;

    fn addresses<const N: usize>(texts: [&str; N]) -> [SocketAddr; N] {
        texts.map(|text| format!("{text}:1").parse().unwrap())
    }

    #[test]
    fn families_alternate_beginning_with_the_resolvers_first() {
        let ordered =
            interleave(addresses(["[::1]", "[::2]", "[::3]", "127.0.0.1", "127.0.0.2"]).to_vec());
        assert_eq!(ordered, addresses(["[::1]", "127.0.0.1", "[::2]", "127.0.0.2", "[::3]"]));
        let ordered = interleave(addresses(["127.0.0.1", "[::1]", "[::2]"]).to_vec());
        assert_eq!(ordered, addresses(["127.0.0.1", "[::1]", "[::2]"]));
        assert_eq!(interleave(Vec::new()), []);
    }

    /// The behaviour of a fake address.
    #[derive(Clone, Copy)]
    enum Fake {
        Drops,
        Refuses(u64),
        Answers(u64),
    }
    use Fake::{Answers, Drops, Refuses};

    /// When each attempt began, in milliseconds, and the outcome: the winner or the failures, and
    /// when it was known.
    async fn run(
        fakes: &[Fake],
    ) -> (Vec<(u16, u128)>, Result<u16, Vec<(u16, Option<String>)>>, u128) {
        let start = Instant::now();
        let log = Rc::new(RefCell::new(Vec::new()));
        let list: Vec<SocketAddr> =
            (1..).zip(fakes).map(|(port, _)| ([127, 0, 0, 1], port).into()).collect();
        let outcome = race(&list, start + Duration::from_secs(10), |address| {
            log.borrow_mut().push((address.port(), start.elapsed().as_millis()));
            let fake = fakes[usize::from(address.port()) - 1];
            async move {
                match fake {
                    Drops => std::future::pending().await,
                    Refuses(after) => {
                        sleep(Duration::from_millis(after)).await;
                        Err(io::Error::other("refused"))
                    }
                    Answers(after) => {
                        sleep(Duration::from_millis(after)).await;
                        Ok(())
                    }
                }
            }
        });
        let outcome = outcome.await.map(|(address, ())| address.port()).map_err(|failures| {
            let text = |error: Option<io::Error>| error.map(|error| error.to_string());
            failures.into_iter().map(|(at, error)| (at.port(), text(error))).collect()
        });
        (log.take(), outcome, start.elapsed().as_millis())
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_drops_packets_costs_one_delay() {
        let (began, outcome, took) = run(&[Drops, Answers(10)]).await;
        assert_eq!((began, outcome), (vec![(1, 0), (2, 250)], Ok(1 + 1)));
        assert!((260..300).contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_starts_the_next_attempt_at_once() {
        let (began, outcome, _) = run(&[Refuses(5), Refuses(5), Answers(5)]).await;
        let times: Vec<_> = began.iter().map(|(_, at)| *at).collect();
        assert_eq!(outcome, Ok(3));
        assert!(times.iter().all(|at| *at < 50), "{times:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_answer_wins_even_from_an_earlier_address() {
        let (began, outcome, _) = run(&[Answers(400), Answers(400), Drops]).await;
        assert_eq!((began.len(), outcome), (2, Ok(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn every_address_is_reported_if_all_fail() {
        let (began, outcome, took) = run(&[Refuses(300), Drops, Refuses(0)]).await;
        assert_eq!(began.len(), 3);
        let mut failures = outcome.unwrap_err();
        failures.sort();
        let refused = Some("refused".to_owned());
        assert_eq!(failures, [(1, refused.clone()), (2, None), (3, refused)]);
        assert!((10_000..10_100).contains(&took), "{took}");
    }

    /// Sixty addresses cannot all be tried in ten seconds.
    #[tokio::test(start_paused = true)]
    async fn addresses_not_reached_in_time_are_reported() {
        let (began, outcome, _) = run(&[Drops; 60]).await;
        assert!(began.len() < 60, "{began:?}");
        assert_eq!(outcome.unwrap_err().len(), 60);
    }

    #[tokio::test(start_paused = true)]
    async fn no_address_is_an_error() {
        assert_eq!(run(&[]).await.1, Err(Vec::new()));
    }
}
