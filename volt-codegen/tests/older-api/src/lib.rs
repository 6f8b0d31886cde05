//! The Volt API 0.15.1, to show that it generates and compiles. Not part of the SDK.

include!(concat!(env!("OUT_DIR"), "/mod.rs"));
