#![allow(clippy::unwrap_used)]

use std::fs;

use xtask_tools::process;

use super::*;
use crate::api::import::tests::npm;

#[test]
fn documented_reports_are_current() {
    let root = xtask_tools::root().unwrap();
    let mut pages = 0;
    for entry in fs::read_dir(root.join("docs")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let versions = name.strip_prefix("api-").and_then(|name| name.split_once("-to-"));
        let Some((old, new)) = versions else { continue };
        assert_eq!(path, root.join(page_file(old, new)));
        let (report, sharing) = report(root, old, new).unwrap();
        let expected = page(&report, &sharing, old, new);
        assert!(
            fs::read_to_string(&path).unwrap() == expected,
            "cargo xtask api diff {old} {new} --format markdown > docs/{name}.md"
        );
        pages += 1;
    }
    assert!(pages > 0);
}

#[test]
fn the_report_is_json_too() {
    let root = xtask_tools::root().unwrap();
    let (report, _) = report(root, "0.15.1", "0.20.34").unwrap();
    let json: serde_json::Value =
        serde_json::from_str(&Format::Json.show(&report, &[], "0.15.1", "0.20.34")).unwrap();
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
    let denied = |report: &Report, deny: &[&str], except: &[&str]| {
        let deny: Vec<Denied> = deny.iter().map(|deny| deny.parse().unwrap()).collect();
        let except: Vec<String> = except.iter().map(|name| (*name).to_owned()).collect();
        denied(report, &deny, &except, &[]).map_err(|error| error.to_string())
    };
    let (old, new) = (folder("string a = 1;"), folder("string b = 1;"));
    let [old, new] = [&old, &new].map(|folder| folder.path().to_str().unwrap());
    let root = xtask_tools::root().unwrap();
    let (renamed, _) = report(root, old, new).unwrap();
    denied(&renamed, &[], &[]).unwrap();
    denied(&renamed, &["wire"], &[]).unwrap();
    for (deny, what) in [
        ("json", "json"),
        ("source", "source"),
        ("json:old", "json for old clients"),
        ("json:new", "json for new clients"),
    ] {
        let error = denied(&renamed, &["wire", deny], &[]).unwrap_err();
        assert_eq!(error, format!("1 changes break {what}"));
        // The element, or an enclosing one.
        denied(&renamed, &[deny], &["M.a"]).unwrap();
        denied(&renamed, &[deny], &["M"]).unwrap();
        denied(&renamed, &[deny], &["M.", "M.ab", "N"]).unwrap_err();
    }
    denied(&report(root, old, old).unwrap().0, &["wire", "json", "source"], &[]).unwrap();
    for wrong in ["wires", "source:old", "json:both", ""] {
        assert!(wrong.parse::<Denied>().is_err(), "{wrong}");
    }
}

#[test]
fn breaks_are_denied_by_direction() {
    let folder = |methods: &str| {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("syntax = \"proto3\"; message M {{}} service S {{ {methods} }}");
        fs::write(folder.path().join("m.proto"), text).unwrap();
        folder
    };
    let method = "rpc A(M) returns (M);";
    let (with, without) = (folder(method), folder(""));
    let [with, without] = [&with, &without].map(|folder| folder.path().to_str().unwrap());
    let (removed, _) = report(xtask_tools::root().unwrap(), with, without).unwrap();
    // Old clients call the method, new ones do not.
    denied(&removed, &["wire:new".parse().unwrap()], &[], &[]).unwrap();
    let wire = ["wire:old".parse().unwrap()];
    denied(&removed, &wire, &[], &[]).unwrap_err();
    denied(&removed, &wire, &[], &[kind("field-removed").unwrap()]).unwrap_err();
    denied(&removed, &wire, &[], &[kind("method-removed").unwrap()]).unwrap();
    let error = kind("method").unwrap_err();
    assert!(error.starts_with("the kinds are deprecated, "), "{error}");
}

#[test]
fn tarballs_are_compared() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("api.tar");
    let mut tar = tar::Builder::new(fs::File::create(&path).unwrap());
    let text = "syntax = \"proto3\"; package p; message M { string a = 1; }";
    let mut header = tar::Header::new_gnu();
    header.set_size(text.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, "package/p/m.proto", text.as_bytes()).unwrap();
    tar.finish().unwrap();
    let files = tempfile::tempdir().unwrap();
    fs::create_dir(files.path().join("p")).unwrap();
    fs::write(files.path().join("p/m.proto"), text.replace(" a ", " b ")).unwrap();
    let [old, new] =
        [&path, &files.path().to_owned()].map(|path| path.to_str().unwrap().to_owned());
    let (report, _) = report(xtask_tools::root().unwrap(), &old, &new).unwrap();
    assert_eq!(report.changes[0].what, "renamed to b");
}

#[test]
fn published_packages_are_compared() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("api.tar");
    let mut tar = tar::Builder::new(fs::File::create(&path).unwrap());
    let text = "syntax = \"proto3\"; package p; message M { string a = 1; }";
    let mut header = tar::Header::new_gnu();
    header.set_size(text.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, "package/protobuf/m.proto", text.as_bytes()).unwrap();
    tar.finish().unwrap();

    let asked = root.path().join("asked");
    let script =
        format!("echo \"$*\" > '{}'; cp '{}' \"$last/x.tgz\"", asked.display(), path.display());
    let set = read(root.path(), "npm:0.20.34", &mut npm(&script)).unwrap();
    assert_eq!(set.file[0].message_type[0].name(), "M");
    let asked = fs::read_to_string(asked).unwrap();
    assert!(
        asked.starts_with("pack ") && asked.contains(" @tdxvolt/volt-client-grpc@0.20.34 "),
        "{asked}"
    );

    let error = read(root.path(), "npm:9.9.9", &mut npm("exit 1")).unwrap_err();
    assert!(
        format!("{error:#}").contains("@tdxvolt/volt-client-grpc@9.9.9 cannot be fetched"),
        "{error:#}"
    );
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
        let (report, _) = report(root, old, new).unwrap();
        assert_eq!(report.changes[0].what, what, "{old} {new}");
    }
    for (version, why) in [
        ("3.0.0", "is not a version below proto/, a folder, a file or a git revision"),
        ("first:none", "has no .proto files in none"),
        ("--help", "as an option"),
    ] {
        let error = format!("{:#}", report(root, version, "2.0.0").unwrap_err());
        assert!(error.contains(why), "{error}");
    }
    fs::write(root.join("proto/2.0.0/m.proto"), "syntax = \"proto3\"; message {").unwrap();
    let error = format!("{:#}", report(root, "1.0.0", "2.0.0").unwrap_err());
    assert!(error.contains("2.0.0 doesn't compile: m.proto:1:"), "{error}");
}
