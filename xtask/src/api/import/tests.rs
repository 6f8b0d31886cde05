#![allow(clippy::unwrap_used)]

use std::{
    fs,
    io::{self, Read as _, Write as _},
};

use tempfile::{NamedTempFile, TempDir};

use super::*;
use crate::{api::undocumented, tree::tests::snapshot};

const OLD: &str = "syntax = \"proto3\";\npackage p.v1;\n// Ours.\nmessage M { string a = 1; }\n";
const NEW: &str = "syntax = \"proto3\";\npackage p.v1;\n// Theirs.\nmessage M { string a = 1; int32 b = 2; }\nmessage N {}\n";

/// A repository with the version 1.0.0 of an API.
fn repository() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("proto/1.0.0/p/v1")).unwrap();
    fs::write(root.path().join("proto/1.0.0/p/v1/m.proto"), OLD).unwrap();
    fs::write(root.path().join(versions::CURRENT), "1.0.0\n").unwrap();
    root
}

pub(super) fn args(source: &str, version: Option<&str>) -> Args {
    Args {
        source: source.parse().unwrap(),
        version: version.map(str::to_owned),
        replace: false,
        codegen: false,
    }
}

fn run(root: &Path, source: &Path) -> anyhow::Result<String> {
    import(root, &args(source.to_str().unwrap(), Some("2.0.0")), &mut no_npm())
}

pub(super) fn no_npm() -> Command {
    Command::new("/there/is/no/npm")
}

/// A substitute for npm. Its last argument is the folder for the tarball.
pub(crate) fn npm(script: &str) -> Command {
    let mut npm = Command::new("sh");
    npm.args(["-c", &format!("for last; do :; done; {script}"), "npm"]);
    npm
}

struct Tarball(tar::Builder<Vec<u8>>);

impl Tarball {
    fn new() -> Self {
        Self(tar::Builder::new(Vec::new()))
    }

    fn with(self, name: &str, text: &str) -> Self {
        self.entry(name, tar::EntryType::Regular, text)
    }

    fn entry(mut self, name: &str, kind: tar::EntryType, text: &str) -> Self {
        let mut header = tar::Header::new_gnu();
        // The library's own setter rejects paths outside the archive.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        if kind == tar::EntryType::Regular {
            header.set_size(text.len() as u64);
        } else {
            header.set_link_name(text).unwrap();
            header.set_size(0);
        }
        header.set_mode(0o644);
        header.set_cksum();
        let contents = if kind == tar::EntryType::Regular { text.as_bytes() } else { b"" };
        self.0.append(&header, contents).unwrap();
        self
    }

    fn file(self) -> NamedTempFile {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(&self.0.into_inner().unwrap()).unwrap();
        file
    }
}

fn tarball(name: &str, text: &str) -> NamedTempFile {
    Tarball::new().with(name, text).file()
}

/// A small file that unpacks to a lot of zeros.
fn bomb() -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    let zipped = flate2::write::GzEncoder::new(file.reopen().unwrap(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(zipped);
    let size = 100 << 20;
    let mut header = tar::Header::new_gnu();
    header.set_path("package/logo.png").unwrap();
    header.set_size(size);
    header.set_cksum();
    tar.append(&header, io::repeat(0).take(size)).unwrap();
    tar.into_inner().unwrap().finish().unwrap();
    file
}

#[test]
fn our_comments_are_kept_and_theirs_are_dropped() {
    let root = repository();
    let tarball = tarball("package/protobuf/p/v1/m.proto", NEW);
    let said = run(root.path(), tarball.path()).unwrap();
    let text = fs::read_to_string(root.path().join("proto/2.0.0/p/v1/m.proto")).unwrap();
    let expected = "syntax = \"proto3\";\n\npackage p.v1;\n\n// Ours.\nmessage M {\n  string a = 1;\n  int32 b = 2;\n}\n\nmessage N {}\n";
    assert_eq!(text.replace("{\n}", "{}"), expected);
    assert!(said.contains("2 new elements need documentation:\n  p.v1.M.b\n  p.v1.N\n"), "{said}");
    assert!(said.contains("messages: 1 before, 2 now, 0 removed, 1 added"), "{said}");
    // Again, from a folder: nothing changes.
    let before = snapshot(root.path());
    let said = run(root.path(), &root.path().join("proto/2.0.0")).unwrap();
    assert!(said.starts_with("Rewrote 1 files"), "{said}");
    assert_eq!(snapshot(root.path()), before);
}

#[test]
fn a_file_removed_from_the_source_is_removed() {
    let root = repository();
    run(
        root.path(),
        Tarball::new()
            .with("m.proto", NEW)
            .with("n.proto", "syntax = \"proto3\";\npackage q;\nmessage Q {}")
            .file()
            .path(),
    )
    .unwrap();
    assert!(root.path().join("proto/2.0.0/q/n.proto").exists());
    let tarball = tarball("m.proto", NEW);
    let args = Args { replace: true, ..args(tarball.path().to_str().unwrap(), Some("2.0.0")) };
    import(root.path(), &args, &mut no_npm()).unwrap();
    assert!(!root.path().join("proto/2.0.0/q").exists());
    assert!(root.path().join("proto/2.0.0/p/v1/m.proto").exists());
}

#[test]
fn failed_imports_change_nothing() {
    let root = repository();
    let before = snapshot(root.path());
    let link = |kind| Tarball::new().with("m.proto", NEW).entry("n.proto", kind, "/etc/passwd");
    let long = "/".repeat((16 << 20) + 1);
    let mut torn = NamedTempFile::new().unwrap();
    torn.write_all(&[0x1f, 0x8b, 8, 0, 1]).unwrap();
    let import = "syntax = \"proto3\"; import \"none.proto\"; message M { none.N n = 1; }";
    for (tarball, why) in [
        (tarball("p/../../m.proto", NEW), "a path that leads out of it: p/../../m.proto"),
        (tarball("/p/v1/m.proto", NEW), "a path that leads out of it: /p/v1/m.proto"),
        (tarball("../readme.txt", NEW), "a path that leads out of it"),
        (link(tar::EntryType::Symlink).file(), "n.proto is a link"),
        (link(tar::EntryType::Link).file(), "n.proto is a link"),
        (tarball("m.proto", &long), "m.proto is longer than 16 MiB"),
        (bomb(), "it unpacks to more than 64 MiB"),
        (torn, "is not a tarball, or damaged"),
        (tarball("p/v1/m.proto", "syntax = \"proto3\"; message {"), "don't compile: m.proto:1:"),
        (tarball("p/v1/m.proto", import), "m.proto:1:53: name 'none.N' is not defined"),
        (tarball("readme.txt", "nothing"), "there are no .proto files"),
        (
            Tarball::new().with("a/m.proto", NEW).with("b/m.proto", NEW).file(),
            "b/m.proto:4:9: name 'p.v1.M' is already defined in file 'a/m.proto'",
        ),
        (
            tarball("m.proto", "/*\npackage /../../q;\n*/\nsyntax = \"proto3\";"),
            "the files define no message and no service",
        ),
        (
            tarball("volt-proto-literals.js", "export const ../../m = `syntax = \"proto3\";`"),
            "the files define no message and no service",
        ),
        (tarball("volt-proto-literals.js", "export const m = `syntax"), "the text of m has no end"),
        (
            tarball(
                "m.proto",
                "// Old.\nsyntax = \"proto2\";\nmessage M { required int32 a = 1; }\nservice S {}",
            ),
            "m.proto:2:1: the file is proto2, and the API needs its types",
        ),
        (
            tarball("m.proto", "edition = \"2023\";\nmessage M { int32 a = 1; }"),
            "m.proto:1:1: the file has an edition",
        ),
    ] {
        let error = format!("{:#}", run(root.path(), tarball.path()).unwrap_err());
        assert!(error.contains(why), "{error}");
        assert_eq!(snapshot(root.path()), before, "{why}");
    }
    let error = format!("{:#}", run(root.path(), Path::new("/there/is/none")).unwrap_err());
    assert!(error.contains("/there/is/none"), "{error}");
    assert_eq!(snapshot(root.path()), before);
}

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

#[test]
fn options_extensions_and_empty_files_are_left_out_with_a_notice() {
    let root = repository();
    let text = "syntax = \"proto3\";\npackage p.v1;\nimport \"validate/validate.proto\";\n\
                option go_package = \"x\";\nmessage M { string a = 1 [(validate.rules).min = 1]; }\n";
    let rules = "syntax = \"proto2\";\npackage validate;\nimport \"google/protobuf/descriptor.proto\";\n\
                 extend google.protobuf.FieldOptions { optional Rules rules = 1071; }\n\
                 message Rules { optional int32 min = 1; }\n";
    let files = [("p/v1/m.proto", text), ("validate/validate.proto", rules), ("none.proto", "")];
    let said = run(root.path(), folder(&files).path()).unwrap();
    let left_out = "Left out of the source:\n  none.proto: the file is left out: it defines nothing\n  \
                    p/v1/m.proto:3:1: the import `validate/validate.proto` is left out\n  \
                    p/v1/m.proto:4:1: the option `go_package` of the file is left out\n  \
                    p/v1/m.proto:5:27: the option `(validate.rules).min` of `p.v1.M.a` is left out\n  \
                    validate/validate.proto: the file is left out: only options need its types\n";
    assert!(said.contains(left_out), "{said}");
    let expected =
        "syntax = \"proto3\";\n\npackage p.v1;\n\n// Ours.\nmessage M {\n  string a = 1;\n}\n";
    let folder = root.path().join("proto/2.0.0");
    assert_eq!(fs::read_to_string(folder.join("p/v1/m.proto")).unwrap(), expected);
    assert!(!folder.join("none.proto").exists() && !folder.join("validate").exists());
}

#[test]
fn files_that_import_one_another_by_path_keep_their_paths() {
    let root = repository();
    let a =
        "syntax = \"proto3\";\npackage p.v1;\nimport \"own/b.proto\";\nmessage M { q.N n = 1; }\n";
    let b = "syntax = \"proto3\";\npackage q;\nmessage N {}\n";
    run(root.path(), folder(&[("protos/own/a.proto", a), ("protos/own/b.proto", b)]).path())
        .unwrap();
    let below = root.path().join("proto/2.0.0");
    let names = |root: &Path| -> Vec<_> {
        let mut files = tree::files_below(root).unwrap();
        files.retain(|file| !file.ends_with(secrets::file("2.0.0")));
        files.into_iter().map(|file| file.strip_prefix(root).unwrap().to_owned()).collect()
    };
    assert_eq!(names(&below), [Path::new("own/a.proto"), Path::new("own/b.proto")]);
    // Files of one name and one package are two files.
    let b = b.replace("package q", "package p.v1");
    let c = "syntax = \"proto3\";\npackage p.v1;\nmessage M {}\n";
    fs::remove_dir_all(&below).unwrap();
    run(root.path(), folder(&[("one/m.proto", c), ("two/m.proto", &b)]).path()).unwrap();
    assert_eq!(names(&below), [Path::new("one/m.proto"), Path::new("two/m.proto")]);
}

#[test]
fn a_package_in_a_comment_is_ignored() {
    let root = repository();
    let text = "/*\npackage not.this;\n*/\nsyntax = \"proto3\";\npackage\n  p.v1;\nmessage M { string a = 1; }\n";
    run(root.path(), folder(&[("m.proto", text)]).path()).unwrap();
    assert!(root.path().join("proto/2.0.0/p/v1/m.proto").exists());
}

#[test]
fn npm_that_fails_changes_nothing() {
    let root = repository();
    let before = snapshot(root.path());
    for (mut npm, why) in [
        (no_npm(), "/there/is/no/npm cannot be run"),
        (npm("echo 'npm error code ECONNREFUSED' >&2; exit 1"), "failed with exit status: 1"),
        (npm("echo nothing"), "npm fetched no tarball"),
    ] {
        let args = args("npm:2.0.0", None);
        let error = format!("{:#}", import(root.path(), &args, &mut npm).unwrap_err());
        assert!(error.contains("@tdxvolt/volt-client-grpc@2.0.0"), "{error}");
        assert!(error.contains(why), "{error}");
        assert_eq!(snapshot(root.path()), before);
    }
}

#[test]
fn an_existing_version_is_replaced_only_on_request() {
    let root = repository();
    run(root.path(), tarball("m.proto", NEW).path()).unwrap();
    let before = snapshot(root.path());
    let other = tarball("m.proto", &NEW.replace("int32 b", "string b"));
    let error = run(root.path(), other.path()).unwrap_err().to_string();
    assert!(error.starts_with("proto/2.0.0 exists; --replace makes these changes"), "{error}");
    assert!(error.contains("p.v1.M.b"), "{error}");
    assert_eq!(snapshot(root.path()), before);
    // The order is a difference too; comments are not.
    let order = NEW.replace("string a = 1; int32 b = 2;", "int32 b = 2; string a = 1;");
    let error = run(root.path(), tarball("m.proto", &order).path()).unwrap_err().to_string();
    assert!(error.contains("the same definitions, in other files or another order"), "{error}");
    run(root.path(), tarball("m.proto", &NEW.replace("Theirs", "Others")).path()).unwrap();
    assert_eq!(snapshot(root.path()), before);
    let args = Args { replace: true, ..args(other.path().to_str().unwrap(), Some("2.0.0")) };
    import(root.path(), &args, &mut no_npm()).unwrap();
    assert_ne!(snapshot(root.path()), before);
}

#[test]
fn undecided_fields_that_look_secret_are_listed() {
    let root = repository();
    let decided = root.path().join(secrets::file("1.0.0"));
    fs::write(&decided, "secret password\n").unwrap();
    let text = NEW.replace(
        "int32 b = 2;",
        "string access_token = 2; string password = 3; bytes secret_key = 4; int32 b = 5;",
    );
    let tarball = tarball("m.proto", &text);
    let said = run(root.path(), tarball.path()).unwrap();
    let list = "2 fields look secret and are hidden until proto/2.0.0/SECRETS says `secret` or `open`:\n  \
                p.v1.M.access_token\n  p.v1.M.secret_key\n";
    assert!(said.contains(list), "{said}");
    let file = root.path().join(secrets::file("2.0.0"));
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.ends_with("\nsecret password\n"), "{text}");
    // Decisions are kept by the next import.
    fs::write(&file, text + "open access_token\nsecret p.v1.M.secret_key\n").unwrap();
    let said = run(root.path(), tarball.path()).unwrap();
    assert!(!said.contains("look secret"), "{said}");
    let kept = fs::read_to_string(&file).unwrap();
    assert!(
        kept.ends_with("open access_token\nsecret p.v1.M.secret_key\nsecret password\n"),
        "{kept}"
    );
}

#[test]
fn comments_follow_renames_and_are_listed_for_a_review() {
    let root = repository();
    let old = "syntax = \"proto3\";\npackage p.v1;\n// Ours.\nmessage M {\n// A.\nstring a = 1;\n// One.\noneof one {\n\
               // Left.\nbool left = 2; }\n}\nenum E { E_NONE = 0;\n// Some.\nE_SOME = 1; }\n\
               service S {\n// Goes.\nrpc Go(M) returns (M);\n// Stays.\nrpc Stay(M) returns (M); }\n";
    fs::write(root.path().join("proto/1.0.0/p/v1/m.proto"), old).unwrap();
    let new = old
        .replace("string a", "string name")
        .replace("oneof one", "oneof other")
        .replace("E_SOME", "E_MANY")
        .replace("rpc Go(M) returns (M)", "rpc Go(M) returns (stream M)");
    let bare: String = new.lines().filter(|line| !line.starts_with("//")).collect();
    let said = run(root.path(), tarball("m.proto", &bare).path()).unwrap();
    let text = fs::read_to_string(root.path().join("proto/2.0.0/p/v1/m.proto")).unwrap();
    for kept in [
        "  // A.\n  string name = 1;",
        "  // One.\n  oneof other {",
        "    // Left.\n    bool left",
        "  // Some.\n  E_MANY = 1;",
        "  // Goes.\n  rpc Go(M) returns (stream M);",
        "  // Stays.\n",
    ] {
        assert!(text.contains(kept), "{kept}: {text}");
    }
    assert!(!said.contains("need documentation"), "{said}");
    let review = said.split_once("keep their documentation and have changed:\n").unwrap().1;
    let lines: Vec<_> = review.lines().take_while(|line| line.starts_with("  ")).collect();
    for line in [
        "  p.v1.M.name: renamed to name",
        "  p.v1.M.other: oneof renamed to other",
        "  p.v1.E.E_MANY: renamed to E_MANY",
        "  p.v1.S.Go: was unary, is server streaming",
    ] {
        assert!(lines.contains(&line), "{line}: {said}");
    }
    assert!(!lines.iter().any(|line| line.contains("Stay")), "{said}");
}

#[test]
fn elements_without_a_comment_are_listed_at_any_time() {
    let root = repository();
    fs::write(root.path().join("proto/1.0.0/p/v1/m.proto"), NEW).unwrap();
    let listed = undocumented::list(root.path(), None).unwrap();
    assert_eq!(listed, ["p.v1.M.a", "p.v1.M.b", "p.v1.N"]);
    let error = undocumented::list(root.path(), Some("3.0.0")).unwrap_err().to_string();
    assert!(error.contains("there is no API 3.0.0"), "{error}");
}

#[test]
fn a_published_package_says_its_version() {
    let root = repository();
    let manifest = "{ \"name\": \"@tdxvolt/volt-client-grpc\", \"version\": \"2.1.0\" }";
    let literals = NEW.replace('`', "\\`");
    let tarball = Tarball::new()
        .with("package/package.json", manifest)
        .with("package/lib/volt-proto-literals.js", &format!("export const m = `{literals}`;"))
        .file();
    let mut npm = npm(&format!("cp '{}' \"$last/x.tgz\"", tarball.path().display()));
    import(root.path(), &args("@tdxvolt/volt-client-grpc@latest", None), &mut npm).unwrap();
    assert!(root.path().join("proto/2.1.0/p/v1/m.proto").exists());
}

#[test]
fn an_invalid_version_is_refused() {
    let root = repository();
    let source = root.path().join("proto/1.0.0");
    for version in ["../x", "1.x", "", "021", "00.21.0", "1.0", "1.0.0.0", "+1.0.0", "1..0"] {
        let args = args(source.to_str().unwrap(), Some(version));
        let error = import(root.path(), &args, &mut no_npm()).unwrap_err().to_string();
        assert!(error.contains("is not a version"), "{error}");
    }
    let args = args(source.to_str().unwrap(), None);
    let error = import(root.path(), &args, &mut no_npm()).unwrap_err().to_string();
    assert!(error.contains("--version"), "{error}");
}

#[test]
fn possible_renames_are_listed_for_the_file() {
    let root = repository();
    let renamed = tarball("m.proto", &OLD.replace("message M", "message NewM"));
    let said = run(root.path(), renamed.path()).unwrap();
    let list =
        "1 elements were perhaps renamed; if so, add to proto/2.0.0/RENAMES:\n  p.v1.M p.v1.NewM\n";
    assert!(said.contains(list), "{said}");
    // A declared rename is not proposed.
    let declared = repository();
    fs::create_dir_all(declared.path().join("proto/2.0.0")).unwrap();
    fs::write(declared.path().join("proto/2.0.0/RENAMES"), "p.v1.M p.v1.NewM\n").unwrap();
    let said = run(declared.path(), renamed.path()).unwrap();
    assert!(!said.contains("perhaps"), "{said}");
}
