//! A Volt in its own process.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use volt_api::{Client, ClientConfig};
use volt_test_support::soon;

/// A Volt in its own process.
pub(crate) struct Process(Child);

impl Process {
    /// Starts a Volt and waits until it accepts connections.
    pub(crate) async fn start(data: &Path, config: &Path) -> (Self, Client) {
        let _ = std::fs::remove_file(config);
        let child = Command::new(env!("CARGO_BIN_EXE_volt-embedded"))
            .arg("--data")
            .arg(data)
            .arg("--write-config")
            .arg(config)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let process = Self(child);
        // The file is written atomically, after the Volt starts listening.
        let config = soon(async {
            loop {
                match ClientConfig::from_file(config) {
                    Ok(config) => break config,
                    Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        })
        .await;
        let client = Client::connect(config).await.unwrap();
        (process, client)
    }

    /// Kills the process without running any of its handlers.
    pub(crate) fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
