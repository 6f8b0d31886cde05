//! The testee of protobuf's conformance suite.

use std::io;

#[cfg(suite)]
mod testee;

fn main() -> io::Result<()> {
    #[cfg(suite)]
    return testee::run();
    #[cfg(not(suite))]
    Err(io::Error::other("built without the suite; run `cargo xtask conformance`"))
}
