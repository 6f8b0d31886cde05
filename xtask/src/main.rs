//! What a maintainer of the Volt SDK runs.
fn main() {}
