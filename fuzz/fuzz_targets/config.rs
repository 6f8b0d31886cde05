//! The client configuration: reading, writing and reading again returns the same configuration, and
//! using it returns values or errors.

#![no_main]

use libfuzzer_sys::fuzz_target;
use volt_runtime::ClientConfig;

fuzz_target!(|text: &str| {
    let Ok(config) = ClientConfig::from_json(text) else { return };
    let written = serde_json::to_string(&config).expect("a configuration can be written");
    let again = ClientConfig::from_json(&written).expect("what is written can be read");
    let rewritten = serde_json::to_string(&again).expect("a configuration can be written");
    assert_eq!(written, rewritten);

    let _ = config.url();
    let _ = config.volt_id();
    let _ = config.volt_key();
    let _ = config.volt_fingerprint();
    // Without the passphrase: deriving a key from one is slow by design.
    let _ = again.signing_key();
    let _ = format!("{config:?}");
});
