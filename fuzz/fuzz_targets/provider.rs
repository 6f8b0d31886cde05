//! The client's end of a synchronized document: see `volt_fuzz::provider`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|events: Vec<volt_fuzz::provider::Event>| volt_fuzz::provider::run(events));
