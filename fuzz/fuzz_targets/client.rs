//! The client's state machine: see `volt_fuzz::client`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|events: Vec<volt_fuzz::client::Event>| volt_fuzz::client::run(events));
