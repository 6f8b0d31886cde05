//! Callers' SQL: see `volt_fuzz::sql`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| volt_fuzz::sql::run(input));
