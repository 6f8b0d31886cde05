//! The addresses that allow connections without TLS.

use volt_runtime::{ConnectOptions, Proxy, connect};

use super::says;
use crate::support::{Parts, Volt};

/// Documentation addresses (RFC 5737, RFC 3849): if they were dialled, no server would answer.
#[tokio::test]
async fn plain_http_to_a_public_address_is_refused() {
    for host in ["192.0.2.1", "[2001:db8::1]:8001"] {
        let mut config = Parts::new(|endpoint| endpoint).config();
        config.volt.http_address = Some(format!("http://{host}"));
        let mut options = ConnectOptions::default();
        // The machine that runs this test may have such an address.
        options.proxy = Proxy::none();
        let error = connect(&config, options).await.unwrap_err();
        assert!(error.is_configuration(), "{error}");
        says(
            &error,
            &["not on a private network", "`https://`", "`allow_plaintext`", "with_plaintext"],
        );
    }
}

#[tokio::test]
async fn plain_http_within_this_machine_needs_no_permission() {
    let volt = Volt::start().await;
    assert!(!volt.config.allow_plaintext);
    volt.client().await;
}
