//! Callers of `SyncDocument`: see `volt_fuzz::documents`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|events: Vec<volt_fuzz::documents::Event>| volt_fuzz::documents::run(events));
