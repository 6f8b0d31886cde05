//! Calls within the messages of `Invoke`: see `volt_fuzz::invoke`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|events: Vec<volt_fuzz::invoke::Event>| volt_fuzz::invoke::run(events));
