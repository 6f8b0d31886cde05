//! A Volt in its own process.

use std::{
    net::SocketAddr,
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
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (process, config) = Self::start_at(any, data, config).await;
        (process, Client::connect(config).await.unwrap())
    }

    /// Like [`start`](Self::start), at this address. Returns the configuration of the owner.
    pub(crate) async fn start_at(
        address: SocketAddr,
        data: &Path,
        config: &Path,
    ) -> (Self, ClientConfig) {
        let _ = std::fs::remove_file(config);
        let mut process = Self::spawn(address, data, config);
        // The file is written atomically, after the Volt starts listening.
        let config = soon(async {
            loop {
                if let Ok(config) = ClientConfig::from_file(config) {
                    break config;
                }
                // Another connection may use the port for a moment.
                if process.0.try_wait().unwrap().is_some() {
                    process = Self::spawn(address, data, config);
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        (process, config)
    }

    fn spawn(address: SocketAddr, data: &Path, config: &Path) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_volt-embedded"))
            .arg("--listen")
            .arg(address.to_string())
            .arg("--data")
            .arg(data)
            .arg("--write-config")
            .arg(config)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    /// Waits until the process has stopped by itself.
    pub(crate) async fn stopped(&mut self) {
        soon(async {
            while self.0.try_wait().unwrap().is_none() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    /// Kills the process without running any of its handlers.
    pub(crate) fn kill(&mut self) {
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
