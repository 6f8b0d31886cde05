//! The program `volt-codegen`, run as a process.

#![allow(clippy::unwrap_used)]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use tempfile::TempDir;
use volt_api::{
    Client,
    volt::{
        DiscoveryMode, ProtoFile, Resource, SaveResourceRequest, ServiceDescription,
        ServiceHostType,
    },
};
use volt_embedded::EmbeddedVolt;

const CLOCK: &str = "syntax = \"proto3\";\npackage clock.v1;\n\
                     import \"tdx/volt_api/volt/v1/volt.proto\";\n\
                     import \"clock/v1/time.proto\";\n\
                     service ClockAPI { rpc Tick(Time) returns (tdx.volt_api.volt.v1.Resource); }\n";
const TIME: &str = "syntax = \"proto3\";\npackage clock.v1;\nmessage Time { uint64 now = 1; }\n";

/// A folder with `.proto` files in `proto`.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("proto/clock/v1")).unwrap();
    fs::write(folder.path().join("proto/clock/v1/clock.proto"), CLOCK).unwrap();
    fs::write(folder.path().join("proto/clock/v1/time.proto"), TIME).unwrap();
    folder
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_volt-codegen");
    Command::new(program).args(arguments).current_dir(folder).output().unwrap()
}

#[track_caller]
fn succeeds(folder: &Path, arguments: &[&str]) {
    let output = run(folder, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[track_caller]
fn fails(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

/// The contents of a folder, without temporary files.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_folder_becomes_a_tree_or_one_file() {
    let folder = folder();
    let path = folder.path();
    succeeds(path, &["folder", "proto", "--out", "src/api"]);
    let client = read(&path.join("src/api/clock/v1/clock/mod.rs"));
    assert!(client.contains("::volt_api::api::volt::v1::Resource"), "{client}");
    assert!(client.contains("pub trait ClockApi"), "{client}");

    succeeds(path, &["folder", "proto", "--out", "src/api.rs", "--client-only"]);
    let text = read(&path.join("src/api.rs"));
    assert!(text.contains("pub struct ClockApiClient") && !text.contains("pub trait"), "{text}");
    assert_eq!(names(&path.join("src")), ["api", "api.rs"]);
}

#[test]
fn any_without_a_list_of_types_is_a_warning() {
    let folder = folder();
    let path = folder.path();
    let text = "syntax = \"proto3\";\npackage clock.v1;\nimport \"google/protobuf/any.proto\";\n\
                message Time { google.protobuf.Any now = 1; }\n";
    fs::write(path.join("proto/clock/v1/time.proto"), text).unwrap();
    let told = |arguments: &[&str]| {
        let output = run(path, &[&["folder", "proto", "--out", "api.rs"], arguments].concat());
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(told(&[]), "");
    let warning = told(&["--no-any-types"]);
    let start = "warning: proto/clock/v1/time.proto:4:16: the field `now` of `clock.v1.Time` is a \
                 `google.protobuf.Any`: ";
    assert!(warning.starts_with(start), "{warning}");
}

#[test]
fn elements_can_be_renamed() {
    let folder = folder();
    let path = folder.path();
    succeeds(path, &["folder", "proto", "--rename", "clock.v1.Time=Instant", "--out", "api.rs"]);
    let text = read(&path.join("api.rs"));
    assert!(text.contains("pub struct Instant") && text.contains("\"clock.v1.Time\""), "{text}");
    assert!(fails(path, &["folder", "proto", "--rename", "Time"]).contains("ELEMENT=NAME"));
}

#[test]
fn a_descriptor_set_generates_the_same_code() {
    let folder = folder();
    let path = folder.path();
    let mut sources = volt_codegen::Sources::default().with_volt_api();
    sources.files.insert("clock/v1/clock.proto".to_owned(), CLOCK.to_owned());
    sources.files.insert("clock/v1/time.proto".to_owned(), TIME.to_owned());
    let set = prost::Message::encode_to_vec(&sources.compile().unwrap());
    fs::write(path.join("set.binpb"), set).unwrap();
    succeeds(path, &["descriptor-set", "set.binpb", "--out", "set.rs"]);
    succeeds(path, &["folder", "proto", "--out", "folder.rs"]);
    assert_eq!(read(&path.join("set.rs")), read(&path.join("folder.rs")));
    fs::write(path.join("set.binpb"), "syntax").unwrap();
    let error = fails(path, &["descriptor-set", "set.binpb"]);
    assert!(
        error.starts_with("volt-codegen: set.binpb: this is not a set of descriptors: "),
        "{error}"
    );
}

#[test]
#[cfg(unix)]
fn a_folder_that_contains_itself_is_an_error() {
    let folder = folder();
    std::os::unix::fs::symlink("..", folder.path().join("proto/clock/up")).unwrap();
    assert_eq!(
        fails(folder.path(), &["folder", "proto"]),
        "volt-codegen: proto/clock/up is a link to a folder that contains it\n"
    );
}

#[test]
fn text_is_utf8_and_may_have_a_byte_order_mark() {
    let folder = folder();
    let file = folder.path().join("proto/clock/v1/time.proto");
    fs::write(&file, format!("\u{feff}{TIME}")).unwrap();
    succeeds(folder.path(), &["folder", "proto", "--out", "api.rs"]);
    fs::write(&file, [TIME.as_bytes(), b"// caf\xe9\n"].concat()).unwrap();
    assert_eq!(
        fails(folder.path(), &["folder", "proto", "--out", "api.rs"]),
        "volt-codegen: proto/clock/v1/time.proto:4:7: the byte 0xE9 is not UTF-8\n  help: save the \
         file as UTF-8\n"
    );
}

#[test]
fn own_files_may_be_in_the_folder_of_protobuf() {
    let folder = folder();
    let proto = folder.path().join("proto");
    fs::create_dir_all(folder.path().join("more/google/protobuf")).unwrap();
    let own = "syntax = \"proto3\";\npackage google.protobuf;\nmessage Own {}\n";
    fs::write(folder.path().join("more/google/protobuf/own.proto"), own).unwrap();
    let using = "syntax = \"proto3\";\npackage use.v1;\nimport \"google/protobuf/own.proto\";\n\
                 message Use { google.protobuf.Own own = 1; }\n";
    fs::write(proto.join("use.proto"), using).unwrap();
    succeeds(folder.path(), &["folder", "proto", "--include", "more", "--out", "api.rs"]);
    assert!(read(&folder.path().join("api.rs")).contains("pub struct Own"));
}

#[test]
fn a_tree_is_replaced_as_a_whole() {
    let folder = folder();
    let (path, generated) = (folder.path(), folder.path().join("src/api"));
    succeeds(path, &["folder", "proto", "--out", "src/api"]);
    let old = read(&generated.join("clock/v1/mod.rs"));
    for name in ["clock.proto", "time.proto"] {
        let file = path.join("proto/clock/v1").join(name);
        fs::write(&file, read(&file).replace("clock.v1", "uhr.v1")).unwrap();
    }
    succeeds(path, &["folder", "proto", "--out", "src/api"]);
    assert_eq!(names(&generated), ["mod.rs", "uhr"]);

    // An error leaves everything unchanged.
    fs::write(path.join("proto/clock/v1/time.proto"), "syntax = \"proto3\";\nmessage {").unwrap();
    let error = fails(path, &["folder", "proto", "--out", "src/api"]);
    assert_eq!(
        error,
        "volt-codegen: proto/clock/v1/time.proto:2:9: expected an identifier, but found '{'\n  | message {\n"
    );
    assert_eq!(names(&generated), ["mod.rs", "uhr"]);
    assert_eq!(names(&path.join("src")), ["api"]);
    assert_eq!(read(&generated.join("uhr/v1/mod.rs")), old.replace("clock.v1", "uhr.v1"));
}

#[test]
fn hand_written_files_are_not_overwritten() {
    let folder = folder();
    let path = folder.path();
    succeeds(path, &["folder", "proto", "--out", "api"]);
    let own = path.join("api/own.rs");
    fs::write(&own, "fn main() {}").unwrap();
    let lost =
        "was not generated, and would be lost: choose another place with --out, or move it away\n";
    assert_eq!(
        fails(path, &["folder", "proto", "--out", "api"]),
        format!("volt-codegen: api/own.rs {lost}")
    );
    assert_eq!(
        fails(path, &["folder", "proto", "--out", "api/own.rs"]),
        format!("volt-codegen: api/own.rs {lost}")
    );
    assert_eq!(read(&own), "fn main() {}");
}

#[test]
fn missing_inputs_are_named() {
    let folder = folder();
    let path = folder.path();
    assert!(
        fails(path, &["folder", "nowhere"]).starts_with("volt-codegen: nowhere cannot be read: ")
    );
    fs::create_dir(path.join("empty")).unwrap();
    assert_eq!(
        fails(path, &["folder", "empty"]),
        "volt-codegen: there are no .proto files in empty\n"
    );
    assert!(
        fails(path, &["live", "clock.v1.ClockAPI"]).contains("volt.config.json cannot be read")
    );
    fs::write(path.join("not.json"), "{").unwrap();
    assert!(
        fails(path, &["saved", "not.json"]).starts_with("volt-codegen: not.json is not JSON: ")
    );
}

/// The files as a service publishes them, some with a path on its disk, and one of the Volt API's.
fn published() -> serde_json::Value {
    serde_json::json!([
        { "file_path": "./clock/v1/clock.proto", "protobuf": CLOCK },
        { "file_path": "/clock/v1/time.proto", "protobuf": TIME },
        { "file_path": "tdx/volt_api/volt/v1/volt.proto" },
    ])
}

#[test]
fn a_service_is_read_from_every_kind_of_json() {
    let folder = folder();
    let path = folder.path();
    let description =
        serde_json::json!({ "proto_file": published(), "service_api": ["clock.v1.ClockAPI"] });
    let resource =
        serde_json::json!({ "id": "1", "name": "clock", "service_description": description });
    let other = serde_json::json!({ "id": "2", "name": "other", "serviceDescription": { "serviceApi": ["o.API"] } });
    let answers = [
        description,
        resource.clone(),
        serde_json::json!({ "resource": resource }),
        serde_json::json!({ "resource": [resource] }),
    ];
    for answer in answers {
        fs::write(path.join("saved.json"), answer.to_string()).unwrap();
        succeeds(path, &["saved", "saved.json", "--out", "api.rs"]);
        assert!(read(&path.join("api.rs")).contains("pub struct ClockApiClient"));
    }
    let several = serde_json::json!({ "resource": [resource, other] });
    fs::write(path.join("saved.json"), several.to_string()).unwrap();
    assert_eq!(
        fails(path, &["saved", "saved.json"]),
        "volt-codegen: there are 2 services; choose one:\n  1 \"clock\" (clock.v1.ClockAPI)\n  2 \
         \"other\" (o.API)\n"
    );
    for name in ["1", "clock", "clock.v1.ClockAPI"] {
        succeeds(path, &["saved", "saved.json", "--service", name, "--out", "api.rs"]);
    }
    assert_eq!(
        fails(path, &["saved", "saved.json", "--service", "2"]),
        "volt-codegen: the service 2 \"other\" (o.API) does not publish its .proto files\n"
    );
    let empty = serde_json::json!({ "proto_file": [{ "file_path": "clock/v1/clock.proto" }] });
    fs::write(path.join("saved.json"), empty.to_string()).unwrap();
    assert_eq!(
        fails(path, &["saved", "saved.json"]),
        "volt-codegen: clock/v1/clock.proto lacks its text: request it with include_protobuf\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_read_from_a_volt() {
    let volt = EmbeddedVolt::start().await.unwrap();
    let client = Client::connect(volt.config()).await.unwrap();
    let file =
        |path: &str, text: &str| ProtoFile::default().with_file_path(path).with_protobuf(text);
    let description = ServiceDescription::default()
        .with_host_type(ServiceHostType::Relayed)
        .with_discoverable(DiscoveryMode::Trusted)
        .with_service_api(["clock.v1.ClockAPI"])
        .with_proto_file([file("clock/v1/clock.proto", CLOCK), file("clock/v1/time.proto", TIME)]);
    let resource = Resource::default()
        .with_name("clock")
        .with_kind(["volt:service"])
        .with_service_description(description);
    let request = SaveResourceRequest::default().with_create(true).with_resource(resource);
    client.volt().save_resource(request).await.unwrap();

    let folder = folder();
    volt.config().write(folder.path().join("volt.config.json")).unwrap();
    succeeds(folder.path(), &["live", "clock.v1.ClockAPI", "--out", "live.rs"]);
    succeeds(folder.path(), &["folder", "proto", "--out", "folder.rs"]);
    let [live, from_folder] = ["live.rs", "folder.rs"].map(|name| read(&folder.path().join(name)));
    assert_eq!(live, from_folder);
    assert_eq!(
        fails(folder.path(), &["live", "no.API"]),
        "volt-codegen: there is no service \"no.API\"\n"
    );
}

/// A fork of the Volt API, under the names of its files.
fn fork(field: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let files = folder.path().join("fork/proto/tdx/volt_api/volt/v1");
    fs::create_dir_all(&files).unwrap();
    let text = format!(
        "syntax = \"proto3\";\npackage tdx.volt_api.volt.v1;\n\
         message Status {{ int32 code = 1; string message = 2; string description = 3; }}\n\
         message Resource {{ string id = 1; {field} }}\n\
         service VoltAPI {{ rpc GetResource(Resource) returns (Resource); }}\n"
    );
    fs::write(files.join("volt.proto"), text).unwrap();
    folder
}

#[test]
fn a_fork_of_the_volt_api_must_be_declared() {
    let folder = fork("string mood = 2;");
    let path = folder.path();
    let error = fails(path, &["folder", "fork/proto", "--out", "src/api.rs"]);
    assert!(
        error.contains("fork/proto/tdx/volt_api/volt/v1/volt.proto: the file has the name"),
        "{error}"
    );
    assert!(error.contains("--own-volt-api"), "{error}");
    assert!(!path.join("src").exists());

    let generated = || {
        succeeds(path, &["folder", "fork/proto", "--own-volt-api", "--out", "src/api.rs"]);
        read(&path.join("src/api.rs"))
    };
    let text = generated();
    for part in [
        "pub mod v1",
        "pub struct VoltApiClient",
        "client! { Client }",
        "impl Client {",
        "pub mood:",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("::volt_api::api"), "nothing is that of the SDK");
    // The next state of the fork.
    let next = fork("string mood = 2; string weather = 3;");
    let file = "fork/proto/tdx/volt_api/volt/v1/volt.proto";
    fs::copy(next.path().join(file), path.join(file)).unwrap();
    assert!(generated().contains("pub weather:"));
    let saved = ["saved", "-", "--own-volt-api"];
    assert!(fails(path, &saved).contains("needs the files of the API"));
}

#[test]
fn versions_of_the_volt_api_are_built_in() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let listed = String::from_utf8(run(path, &["api"]).stdout).unwrap();
    assert_eq!(listed.lines().next(), Some("0.15.1"), "{listed}");
    succeeds(path, &["api", "0.15.1", "--out", "src/old", "--client-only"]);
    let client = read(&path.join("src/old/client.rs"));
    assert!(
        client.contains("client! { Client }") && client.contains("pub fn volt(&self)"),
        "{client}"
    );
    // The code is that of the version, whichever the SDK has.
    let code = |folder: &str| -> String {
        let files = volt_codegen::tree::files_below(&path.join(folder)).unwrap();
        files.iter().map(|file| read(file)).collect()
    };
    let newest = listed.lines().next_back().unwrap();
    succeeds(path, &["api", newest, "--out", "src/new", "--client-only"]);
    let (old, new) = (code("src/old"), code("src/new"));
    for (method, in_old) in [("\"Bind\"", true), ("\"GetOneTimeToken\"", false)] {
        assert_eq!((old.contains(method), new.contains(method)), (in_old, !in_old), "{method}");
    }
    let error = fails(path, &["api", "0.15"]);
    assert!(error.contains("API 0.15 is not built in: choose 0.15.1 or "), "{error}");
}
