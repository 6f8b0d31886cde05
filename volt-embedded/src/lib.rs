//! A Volt in one process.
