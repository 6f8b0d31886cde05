//! Logs contain no secrets, even at TRACE.

#![allow(clippy::unwrap_used)]

// The filter of the program, which is what programs that log should do.
#[path = "../src/logging.rs"]
mod logging;

use std::{
    fs::File,
    io,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use tracing_subscriber::{EnvFilter, util::SubscriberInitExt as _};
use volt_api::{Client, ClientConfig, volt::GetResourceRequest};
use volt_embedded::EmbeddedVolt;
use volt_test_support::soon;

/// The most verbose filter. The second directive would precede one for the whole crate.
const EVERYTHING: &str = "trace,tungstenite::protocol=trace";

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Makes one authenticated call.
async fn call(config: &ClientConfig) {
    let client = soon(Client::connect(config.clone())).await.unwrap();
    let id = config.volt.id.clone().unwrap();
    let request = GetResourceRequest::default().with_resource_id(id);
    soon(client.volt().get_resource(request)).await.unwrap();
    soon(client.close()).await;
}

/// The secret in a log, if there is one: the start of a token, which is always the same, or the
/// session, as text, as a list of bytes, or in hexadecimal.
fn secret(log: &str, config: &ClientConfig) -> Option<String> {
    ["eyJ", config.session_id().unwrap()].iter().find_map(|secret| {
        let list: Vec<_> = secret.bytes().map(|byte| byte.to_string()).collect();
        let hex: Vec<_> = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        let forms = [(*secret).to_owned(), list.join(", "), hex.concat()];
        forms.into_iter().find(|form| log.contains(form))
    })
}

#[tokio::test]
async fn traces_of_client_and_volt_have_no_secrets() {
    for (filtered, tls) in [(true, false), (true, true), (false, false)] {
        let captured = Captured::default();
        let (writer, filter) = (captured.clone(), EnvFilter::new(EVERYTHING));
        let writer = move || writer.clone();
        // For this thread, on which all tasks of the test run.
        let guard = if filtered {
            logging::subscriber(filter, writer).set_default()
        } else {
            tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).set_default()
        };
        let builder = EmbeddedVolt::builder();
        let volt = if tls { builder.tls() } else { builder }.start().await.unwrap();
        let config = volt.config();
        call(&config).await;
        volt.shutdown().await;
        drop(guard);
        let log = String::from_utf8(std::mem::take(&mut captured.0.lock().unwrap())).unwrap();
        assert!(log.contains("volt_runtime"), "{log}");
        // Without the filter there are secrets, or this test would show nothing.
        assert_eq!(secret(&log, &config).is_none(), filtered, "{log}");
    }
}

#[tokio::test]
async fn traces_of_the_program_have_no_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let (log, path) = (folder.path().join("log"), folder.path().join("config.json"));
    let mut program = Command::new(env!("CARGO_BIN_EXE_volt-embedded"))
        .arg("--write-config")
        .arg(&path)
        .env("RUST_LOG", EVERYTHING)
        .stdout(Stdio::null())
        .stderr(File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let config = soon(async {
        loop {
            // The file is written atomically, after the Volt starts listening.
            match ClientConfig::from_file(&path) {
                Ok(config) => break config,
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    })
    .await;
    call(&config).await;
    program.kill().unwrap();
    program.wait().unwrap();
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("volt_runtime"), "{log}");
    assert_eq!(secret(&log, &config), None, "{log}");
}
