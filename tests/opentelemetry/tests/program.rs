//! The whole program, on an embedded Volt.

use std::{path::Path, process::Command};

use volt_api::Client;
use volt_embedded::EmbeddedVolt;

#[tokio::test(flavor = "multi_thread")]
async fn the_program_prints_the_spans_and_the_metrics_of_its_calls() {
    let volt = EmbeddedVolt::start().await.unwrap();
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("volt.config.json");
    volt.config().write(&path).unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_volt-opentelemetry"));
    program.arg(&path);
    let output = tokio::task::spawn_blocking(move || program.output().unwrap()).await.unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}: {printed}", String::from_utf8_lossy(&output.stderr));
    for part in [
        "tdx.volt_api.volt.v1.VoltAPI/SaveResource",
        "tdx.volt_api.volt.v1.FileAPI/SetFileContent",
        "rpc.client.call.duration",
        "volt.client.calls",
    ] {
        assert!(printed.contains(part), "{part} is not in: {printed}");
    }

    let client = Client::connect(volt.config()).await.unwrap();
    let last: String = client.file().get_json("@telemetry/last.json").await.unwrap();
    assert_eq!(last, "here");
}
