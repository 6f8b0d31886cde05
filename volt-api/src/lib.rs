//! The Volt SDK.
