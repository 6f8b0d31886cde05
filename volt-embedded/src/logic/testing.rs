//! A Volt without a network, for the tests of the logic.
