//! The server's state machine: see `volt_fuzz::server`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|events: Vec<volt_fuzz::server::Event>| volt_fuzz::server::run(events));
