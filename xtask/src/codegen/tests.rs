#![allow(clippy::unwrap_used)]

use std::fs;

use tempfile::TempDir;

use super::{
    manifest::{MARKERS, VERSION_MARKERS},
    *,
};

const PROTO: &str = "syntax = \"proto3\";\npackage p.v1;\nservice ClockAPI { rpc Tick(Q) returns (Q); }\nmessage Q { string a = 1; }\n";

/// A repository with two versions, the first of which is generated, and the older API.
pub(crate) fn repository() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let put = |path: &str, text: &str| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    put("proto/0.15.1/p/v1/clock.proto", PROTO);
    put("proto/1.0.0/p/v1/clock.proto", PROTO);
    put("proto/2.0.0/p/v1/clock.proto", &PROTO.replace("Clock", "Watch").replace(" a ", " b "));
    put("proto/VERSION", "1.0.0\n");
    put("proto/VERSIONS", "0.15.1 v0_15\n");
    let ([start, end], [first, last]) = (MARKERS, VERSION_MARKERS);
    put(MANIFEST, &format!("[features]\n{first}{last}default = []\n{start}{end}server = []\n"));
    generated(root.path(), None, false).unwrap();
    root
}

fn generated(root: &Path, version: Option<&str>, check: bool) -> anyhow::Result<()> {
    run_in(root, &Args { version: version.map(str::to_owned), check })
}

fn stale(root: &Path, version: Option<&str>) -> String {
    let before = tree::tests::snapshot(root);
    let error = format!("{:#}", generated(root, version, true).unwrap_err());
    assert_eq!(tree::tests::snapshot(root), before, "a check changes nothing");
    error
}

#[test]
fn fresh_output_passes_the_check() {
    let root = repository();
    generated(root.path(), None, true).unwrap();
    generated(root.path(), Some("1.0.0"), true).unwrap();
}

#[test]
fn a_check_shows_stale_files() {
    let root = repository();
    let module = root.path().join(GENERATED).join("p/v1/clock/mod.rs");
    let text = read(&module).unwrap();
    fs::write(&module, text.replacen("pub fn tick(", "pub fn tock(", 1)).unwrap();
    let error = stale(root.path(), None);
    assert!(
        error.contains("  change  volt-api/src/generated/p/v1/clock/mod.rs (+1 -1)\n"),
        "{error}"
    );
    assert!(error.contains("      -    pub fn tock("), "{error}");
    assert!(error.contains("      +    pub fn tick("), "{error}");
    assert!(error.ends_with("Run `cargo xtask codegen`."), "{error}");

    fs::remove_file(&module).unwrap();
    let error = stale(root.path(), None);
    assert!(error.contains("  add     volt-api/src/generated/p/v1/clock/mod.rs ("), "{error}");
}

#[test]
fn a_leftover_file_is_stale() {
    let root = repository();
    for folder in [GENERATED, "volt-api/src/v0_15/generated", "volt-api/src/v0_15"] {
        let extra = root.path().join(folder).join("p/v0/old_api.rs");
        fs::create_dir_all(extra.parent().unwrap()).unwrap();
        fs::write(&extra, "pub struct Old;\n").unwrap();
        let error = stale(root.path(), None);
        assert!(error.contains(&format!("  remove  {folder}/p/v0/old_api.rs\n")), "{error}");
        generated(root.path(), None, false).unwrap();
        assert!(!extra.parent().unwrap().exists());
    }
}

#[test]
fn a_list_of_features_can_be_stale() {
    let root = repository();
    let manifest = root.path().join(MANIFEST);
    let text = read(&manifest).unwrap();
    assert!(text.contains("services = [\n    \"clock\",\n]\nclock = []\n"), "{text}");
    fs::write(&manifest, text.replace("clock = []\n", "")).unwrap();
    let error = stale(root.path(), None);
    assert!(error.contains("  change  volt-api/Cargo.toml (+1 -0)\n"), "{error}");
    assert!(error.contains("      +clock = []\n"), "{error}");
    fs::write(&manifest, "[features]\n").unwrap();
    assert!(stale(root.path(), None).contains("lost its markers"));
}

#[test]
fn another_version_is_checked_and_written() {
    let root = repository();
    let error = stale(root.path(), Some("2.0.0"));
    for line in [
        "  change  proto/VERSION (+1 -1)\n      ",
        "  add     volt-api/src/generated/p/v1/watch/mod.rs (",
        "  remove  volt-api/src/generated/p/v1/clock/mod.rs\n",
        "  change  volt-api/src/version.rs (+2 -1)\n",
    ] {
        assert!(error.contains(line), "{line} in {error}");
    }
    generated(root.path(), Some("2.0.0"), false).unwrap();
    generated(root.path(), None, true).unwrap();
    assert_eq!(versions::current(root.path()).unwrap(), "2.0.0");
    assert!(read(&root.path().join(VERSION)).unwrap().contains("API_VERSION: &str = \"2.0.0\""));
}

#[test]
fn a_failed_generation_changes_nothing() {
    let root = repository();
    let before = tree::tests::snapshot(root.path());
    let error = generated(root.path(), Some("3.0.0"), false).unwrap_err().to_string();
    assert_eq!(error, "there is no API 3.0.0 below proto/, only 0.15.1, 1.0.0, 2.0.0");
    assert!(generated(root.path(), Some("../proto/1.0.0"), false).is_err());
    assert_eq!(tree::tests::snapshot(root.path()), before);
    fs::write(root.path().join("proto/2.0.0/p/v1/clock.proto"), "syntax = \"proto3\"; x").unwrap();
    let before = tree::tests::snapshot(root.path());
    assert!(generated(root.path(), Some("2.0.0"), false).is_err());
    assert_eq!(tree::tests::snapshot(root.path()), before);
}

#[test]
fn a_further_version_is_one_line() {
    let root = repository();
    let at = |path: &str| root.path().join(path);
    fs::write(at("proto/VERSIONS"), "0.15.1 v0_15\n1.0.0 v1_0\n").unwrap();
    generated(root.path(), Some("2.0.0"), false).unwrap();
    for (module, version) in [("v0_15", "0.15.1"), ("v1_0", "1.0.0")] {
        let text = read(&at("volt-api/src").join(module).join("mod.rs")).unwrap();
        assert!(text.contains(&format!("API_VERSION: &str = {version:?}")), "{text}");
        assert!(text.contains("p::v1 as p,"), "{text}");
        let client = read(&at("volt-api/src").join(module).join("generated/client.rs")).unwrap();
        assert!(
            client.contains("client! { Client }") && client.contains("pub fn clock"),
            "{client}"
        );
    }
    let packages = read(&at(PACKAGES)).unwrap();
    let declared = "#[cfg(feature = \"v1_0\")]\n#[path = \"v1_0/mod.rs\"]\npub mod v1_0;\n";
    assert!(packages.contains(declared), "{packages}");
    assert!(read(&at(MANIFEST)).unwrap().contains("v0_15 = []\nv1_0 = []\n"));
    generated(root.path(), None, true).unwrap();
}

#[test]
fn an_older_resource_becomes_a_target_unless_it_is_the_same_type() {
    let root = repository();
    let put = |version: &str, body: &str| {
        let folder = root.path().join("proto").join(version).join("tdx/volt_api/volt/v1");
        fs::create_dir_all(&folder).unwrap();
        let text = format!(
            "syntax = \"proto3\";\npackage tdx.volt_api.volt.v1;\nservice VoltAPI {{ rpc Get(Resource) returns \
             (Resource); }}\nmessage Resource {{ {body} }}\n"
        );
        fs::write(folder.join("volt.proto"), text).unwrap();
    };
    let module = || read(&root.path().join("volt-api/src/v0_15/mod.rs")).unwrap();
    let line = "crate::target::target_from_resource!(self::volt);";
    put("0.15.1", "string id = 1;");
    put("1.0.0", "string id = 1; string name = 2;");
    generated(root.path(), None, false).unwrap();
    assert!(module().contains(line), "{}", module());
    put("1.0.0", "string id = 1;");
    generated(root.path(), None, false).unwrap();
    assert!(!module().contains(line), "{}", module());
}

#[test]
fn additions_name_their_version() {
    let root = repository();
    generated(root.path(), Some("2.0.0"), false).unwrap();
    let client = read(&root.path().join(GENERATED).join("p/v1/watch/mod.rs")).unwrap();
    assert!(client.contains("/// Since API 2.0.0."), "{client}");
    let version = read(&root.path().join(VERSION)).unwrap();
    assert!(version.contains("(\"/p.v1.WatchAPI/Tick\", \"1.0.0\", \"2.0.0\"),"), "{version}");
}
