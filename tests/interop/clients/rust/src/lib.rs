//! Adapter for the published Rust client, `volt-client-rs`, for the interop tests and the
//! benchmarks.

mod call;

pub use call::Call;

/// A result with the client's error type, which is a string.
pub type Result<T, E = String> = std::result::Result<T, E>;
