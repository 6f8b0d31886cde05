//! Trust in the platform's authorities.

use std::process::Command;

use super::{Authority, start, works};

const CONFIG: &str = "VOLT_TEST_CONFIG";

/// The platform's authorities are read once, from a location in the environment, so another process
/// runs the test below.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn without_a_pinned_authority_platform_roots_are_trusted() {
    let authority = Authority::new();
    let mut volt = start(&authority, authority.server(&["127.0.0.1"]), "127.0.0.1").await;
    volt.config.volt.ca_pem = None;
    let folder = tempfile::tempdir().unwrap();
    let (config, roots) = (folder.path().join("config.json"), folder.path().join("roots.pem"));
    volt.config.write(&config).unwrap();
    std::fs::write(&roots, authority.pem()).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "tls::platform::connects_to_the_given_address", "--nocapture"]);
    child.env(CONFIG, config).env("SSL_CERT_FILE", roots);
    let output = tokio::task::spawn_blocking(move || child.output().unwrap()).await.unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && printed.contains("connected"), "{output:?}");
}

/// The second half of the test above; on its own it does nothing.
#[tokio::test]
async fn connects_to_the_given_address() {
    let Some(path) = std::env::var_os(CONFIG) else { return };
    works(&volt_runtime::ClientConfig::from_file(path).unwrap()).await;
    println!("connected");
}
