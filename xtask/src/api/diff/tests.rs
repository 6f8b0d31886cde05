#![allow(clippy::unwrap_used)]

use std::fs;

use xtask_tools::process;

use super::*;

#[test]
fn the_documented_report_is_current() {
    let root = xtask_tools::root().unwrap();
    let (old, new) = ("0.15.1", "0.20.34");
    let report = report(root, old, new).unwrap();
    let path = root.join("docs/api-0.15.1-to-0.20.34.md");
    let expected = Format::Markdown.show(&report, old, new);
    assert!(
        fs::read_to_string(path).unwrap() == expected,
        "cargo xtask api diff 0.15.1 0.20.34 --format markdown > docs/api-0.15.1-to-0.20.34.md"
    );
}

#[test]
fn the_report_is_json_too() {
    let root = xtask_tools::root().unwrap();
    let report = report(root, "0.15.1", "0.20.34").unwrap();
    let json: serde_json::Value =
        serde_json::from_str(&Format::Json.show(&report, "0.15.1", "0.20.34")).unwrap();
    assert_eq!(json["changes"].as_array().unwrap().len(), report.changes.len());
    assert_eq!(json["breaking"]["wire"], report.breaking(Surface::Wire));
    assert_eq!(json["counts"]["methods"]["added"], 48);
    let removed = json["changes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|change| change["element"] == "tdx.volt_api.volt.v1.VoltAPI.Bind");
    let wire = &removed.unwrap()["effects"]["wire"];
    assert_eq!((&wire["verdict"], &wire["clients"]), (&json!("breaking"), &json!(["old"])));
}

#[test]
fn denied_changes_fail() {
    let folder = |text: &str| {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("syntax = \"proto3\"; message M {{ {text} }}");
        fs::write(folder.path().join("m.proto"), text).unwrap();
        folder
    };
    let (old, new) = (folder("string a = 1;"), folder("string b = 1;"));
    let [old, new] = [&old, &new].map(|folder| folder.path().to_str().unwrap());
    let root = xtask_tools::root().unwrap();
    let renamed = report(root, old, new).unwrap();
    denied(&renamed, &[]).unwrap();
    denied(&renamed, &[Denied::Wire]).unwrap();
    for (deny, what) in [(Denied::Json, "json"), (Denied::Source, "source")] {
        let error = denied(&renamed, &[Denied::Wire, deny]).unwrap_err().to_string();
        assert_eq!(error, format!("1 changes break {what}"));
    }
    denied(&report(root, old, old).unwrap(), &[Denied::Wire, Denied::Json, Denied::Source])
        .unwrap();
}

#[test]
fn versions_are_folders_names_and_revisions() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let put = |version: &str, field: &str| {
        let folder = root.join("proto").join(version);
        fs::create_dir_all(&folder).unwrap();
        let text = format!("syntax = \"proto3\"; message M {{ string {field} = 1; }}");
        fs::write(folder.join("m.proto"), text).unwrap();
        fs::write(root.join(versions::CURRENT), format!("{version}\n")).unwrap();
    };
    let git = |args: &[&str]| {
        let mut git = Command::new("git");
        git.current_dir(root).args(["-c", "user.name=n", "-c", "user.email=e"]);
        process::run(git.args(args)).unwrap();
    };
    git(&["init", "--quiet"]);
    put("1.0.0", "first");
    git(&["add", "."]);
    git(&["commit", "--quiet", "--message", "first"]);
    git(&["tag", "first"]);
    put("1.0.0", "changed");
    put("2.0.0", "second");

    let folder = root.join("proto/2.0.0").to_str().unwrap().to_owned();
    for (old, new, what) in [
        ("1.0.0", "2.0.0", "renamed to second"),
        ("1.0.0", &*folder, "renamed to second"),
        // The tree at that revision: its version at the time, or the named folder.
        ("first", "1.0.0", "renamed to changed"),
        ("first:proto/1.0.0/", "2.0.0", "renamed to second"),
        ("HEAD", "2.0.0", "renamed to second"),
    ] {
        let report = report(root, old, new).unwrap();
        assert_eq!(report.changes[0].what, what, "{old} {new}");
    }
    for (version, why) in [
        ("3.0.0", "no version below proto/, no folder and no git revision"),
        ("first:none", "has no .proto files in none"),
        ("--help", "for an option"),
    ] {
        let error = format!("{:#}", report(root, version, "2.0.0").unwrap_err());
        assert!(error.contains(why), "{error}");
    }
    fs::write(root.join("proto/2.0.0/m.proto"), "syntax = \"proto3\"; message {").unwrap();
    let error = format!("{:#}", report(root, "1.0.0", "2.0.0").unwrap_err());
    assert!(error.contains("2.0.0 doesn't compile: m.proto:1:"), "{error}");
}
