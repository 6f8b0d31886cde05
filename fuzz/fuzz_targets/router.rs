//! A client without a session on an embedded Volt: see `volt_fuzz::router`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|events: Vec<volt_fuzz::router::Event>| volt_fuzz::router::run(events));
