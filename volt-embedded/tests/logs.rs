//! Logs contain no secrets, even at TRACE.

#![allow(clippy::unwrap_used)]

// The program's filter, which other programs that log should copy.
#[path = "../src/logging.rs"]
mod logging;

use std::{
    fs::File,
    process::{Command, Stdio},
    time::Duration,
};

use tracing_subscriber::{EnvFilter, util::SubscriberInitExt as _};
use volt_api::{Client, ClientConfig, ConnectOptions, TransportKind, volt::GetResourceRequest};
use volt_embedded::EmbeddedVolt;
use volt_test_support::{Captured, soon};

/// The most verbose filter. The second directive would precede one for the whole crate.
const EVERYTHING: &str = "trace,tungstenite::protocol=trace";

/// Makes one authenticated call.
async fn call(config: &ClientConfig, transport: TransportKind) {
    let mut options = ConnectOptions::default();
    options.transport = transport;
    let client = soon(Client::connect_with(config.clone(), options)).await.unwrap();
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
    let (websocket, grpc) = (TransportKind::Websocket, TransportKind::Grpc);
    // The websocket library logs frames with secrets. No library below gRPC logs headers.
    for (filtered, tls, transport, has_secrets) in [
        (true, false, websocket, false),
        (true, true, websocket, false),
        (false, false, websocket, true),
        (true, false, grpc, false),
        (false, false, grpc, false),
    ] {
        let captured = Captured::default();
        let (writer, filter) = (captured.clone(), EnvFilter::new(EVERYTHING));
        let writer = move || writer.clone();
        // The subscriber applies to this thread, on which all tasks of the test run.
        let guard = if filtered {
            logging::subscriber(filter, writer).set_default()
        } else {
            tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).set_default()
        };
        let builder = EmbeddedVolt::builder();
        let volt = if tls { builder.tls() } else { builder }.start().await.unwrap();
        let config = volt.config();
        call(&config, transport).await;
        volt.shutdown().await;
        drop(guard);
        let log = captured.take();
        assert!(log.contains("volt_runtime"), "{log}");
        assert_eq!(secret(&log, &config).is_some(), has_secrets, "{log}");
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
    call(&config, TransportKind::Websocket).await;
    call(&config, TransportKind::Grpc).await;
    program.kill().unwrap();
    program.wait().unwrap();
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("volt_runtime"), "{log}");
    assert_eq!(secret(&log, &config), None, "{log}");
}
