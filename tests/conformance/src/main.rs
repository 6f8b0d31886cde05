//! The testee of protobuf's conformance suite, and with the argument `random`, of the comparison with
//! Python's protobuf.

use std::{env, io};

mod random;
#[cfg(suite)]
mod testee;

fn main() -> io::Result<()> {
    if env::args().nth(1).is_some_and(|task| task == "random") {
        return random::run();
    }
    #[cfg(suite)]
    return testee::run();
    #[cfg(not(suite))]
    Err(io::Error::other("built without the suite; run `cargo xtask conformance`"))
}
