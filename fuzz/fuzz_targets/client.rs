//! The client's state machine: see `volt_fuzz::client`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: volt_fuzz::client::Input| volt_fuzz::client::run(input));
