//! Imports that also generate the SDK, as for a newly published version.
#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, fs, path::PathBuf};

use super::{
    tests::{args, no_npm},
    *,
};
use crate::codegen::tests::repository;

/// Imports a folder and returns the printed text. The tree is whole afterwards.
fn import_whole(root: &Path, folder: &Path, version: &str) -> String {
    let said = super::folder(root, folder, version).unwrap();
    codegen::run_in(root, &codegen::Args { version: None, check: true }).unwrap();
    assert_eq!(versions::current(root).unwrap(), version);
    said
}

#[test]
fn a_new_secret_is_hidden_in_records_without_an_edit() {
    let root = repository();
    let root = root.path();
    let source = tempfile::tempdir().unwrap();
    let text = "syntax = \"proto3\";\npackage p.v1;\nservice ClockAPI { rpc Tick(Q) returns (Q); }\n\
                message Q { string a = 1; string access_token = 2; }\n";
    fs::write(source.path().join("clock.proto"), text).unwrap();
    let said = import_whole(root, source.path(), "2.1.0");
    assert!(said.contains("1 fields look secret"), "{said}");
    let records = || tree::read(&root.join(recorded::FILE)).unwrap();
    assert!(records().contains("\n    \"access_token\",\n"), "{}", records());

    // A decision takes effect with the next generation, which the check requires.
    let decisions = root.join(secrets::file("2.1.0"));
    fs::write(&decisions, "open access_token\n").unwrap();
    let check = codegen::Args { version: None, check: true };
    let stale = codegen::run_in(root, &check).unwrap_err().to_string();
    assert!(stale.contains(recorded::FILE), "{stale}");
    codegen::run_in(root, &codegen::Args { check: false, ..check }).unwrap();
    assert!(!records().contains("access_token"), "{}", records());
}

#[test]
fn records_hide_the_secrets_of_a_version_that_is_only_imported() {
    let root = repository();
    let root = root.path();
    let source = tempfile::tempdir().unwrap();
    let text = "syntax = \"proto3\";\npackage p.v1;\nmessage Q { string access_token = 2; }\n";
    fs::write(source.path().join("clock.proto"), text).unwrap();
    let args = args(source.path().to_str().unwrap(), Some("2.1.0"));
    import(root, &args, &mut no_npm()).unwrap();
    codegen::run_in(root, &codegen::Args { version: None, check: true }).unwrap();
    let records = tree::read(&root.join(recorded::FILE)).unwrap();
    assert!(records.contains("\"access_token\""), "{records}");
}

#[test]
fn comments_follow_declared_renames() {
    let root = repository();
    let root = root.path();
    let old = "syntax = \"proto3\";\npackage p.v1;\nservice ClockAPI {\n// Ticks.\nrpc Tick(Q) returns (Q);\n}\n\
               // A question.\nmessage Q {\n// What.\nstring a = 1;\n}\n";
    fs::write(root.join("proto/1.0.0/p/v1/clock.proto"), old).unwrap();
    let new = "syntax = \"proto3\";\npackage p.v1;\nservice ClockAPI { rpc Tock(Question) returns (Question); }\n\
               message Question { string a = 1; string b = 2; }\n";
    let source = tempfile::tempdir().unwrap();
    fs::write(source.path().join("clock.proto"), new).unwrap();
    let renames = root.join(former::file("2.1.0"));
    fs::create_dir_all(renames.parent().unwrap()).unwrap();
    fs::write(renames, "p.v1.Q p.v1.Question\np.v1.ClockAPI.Tick p.v1.ClockAPI.Tock\n").unwrap();
    let said = import_whole(root, source.path(), "2.1.0");
    let undocumented = "\n1 new elements need documentation:\n  p.v1.Question.b\n";
    assert!(said.contains(undocumented), "{said}");
    assert!(said.contains("\n  p.v1.ClockAPI.Tock: method renamed to Tock\n"), "{said}");
    let text = tree::read(&root.join("proto/2.1.0/p/v1/clock.proto")).unwrap();
    for kept in
        ["  // Ticks.\n  rpc Tock(", "// A question.\nmessage Question", "  // What.\n  string a"]
    {
        assert!(text.contains(kept), "{kept}: {text}");
    }
}

/// The step to a version with every kind of change, and with a new package for a service that exists.
#[test]
fn a_breaking_version_is_imported() {
    let root = repository();
    let root = root.path();
    let changes = xtask_tools::root().unwrap().join("tests/fork/changes");
    // The import accepts proto3 only.
    let copy = tempfile::tempdir().unwrap();
    let changes = ["old", "new"].map(|version| {
        let folder = copy.path().join(version);
        fs::create_dir(&folder).unwrap();
        for entry in fs::read_dir(changes.join(version)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap();
            if name != "classic.proto" && name != "RENAMES" {
                fs::copy(&path, folder.join(name)).unwrap();
            }
        }
        folder
    });
    import_whole(root, &changes[0], "3.0.0");
    for file in tree::files_below(&root.join("proto/3.0.0")).unwrap() {
        let mut text = tree::read(&file).unwrap();
        for documented in ["  rpc UnaryServer(", "  rpc Remove(", "message Moved {"] {
            text = text.replace(documented, &format!("// Ours.\n{documented}"));
        }
        fs::write(file, text).unwrap();
    }
    codegen::run_in(root, &codegen::Args { version: None, check: false }).unwrap();
    let said = import_whole(root, &changes[1], "4.0.0");

    let review = said.split_once("keep their documentation and have changed:\n").unwrap().1;
    let review: Vec<_> = review.lines().take_while(|line| line.starts_with("  ")).collect();
    let expected = [
        "  acme.v2.Moved: moved to acme.v2.Moved",
        "  acme.v1.StreamsAPI.UnaryServer: was unary, is server streaming",
    ];
    assert!(expected.iter().all(|line| review.contains(line)), "{review:?}");
    assert!(!review.iter().any(|line| line.contains("Remove")), "{review:?}");
    let page = tree::read(&root.join(page_file("3.0.0", "4.0.0"))).unwrap();
    assert!(page.starts_with("# API 3.0.0 to 4.0.0\n"), "{page}");
    for broken in
        ["`acme.v1.GoneAPI`: service removed", "`acme.v1.DriveAPI.Remove`: method removed"]
    {
        assert!(page.contains(broken), "{broken}: {page}");
    }
    let manifest = tree::read(&root.join("volt-api/Cargo.toml")).unwrap();
    assert!(manifest.contains("\ndrive = []\ndrive_v2 = []\nfile = []\n"), "{manifest}");
    assert!(!manifest.contains("gone"), "{manifest}");
    let generated = root.join("volt-api/src/generated/acme");
    assert!(generated.join("v1/drive/mod.rs").exists() && generated.join("v2").is_dir());
    assert!(!generated.join("v1/gone").exists());
}

/// The files of the repository that importing and generating write.
fn written(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let folders = ["proto", "volt-api/src/generated", "volt-api/src/v0_15"];
    let files = [
        "volt-api/Cargo.toml",
        "volt-api/src/packages.rs",
        "volt-api/src/version.rs",
        "volt-runtime/src/secret_fields.rs",
    ];
    let below = folders.iter().flat_map(|folder| tree::files_below(&root.join(folder)).unwrap());
    let paths = below.chain(files.iter().map(|file| root.join(file)));
    paths
        .map(|path| (path.strip_prefix(root).unwrap().to_owned(), fs::read(&path).unwrap()))
        .collect()
}

fn copy(from: &Path, to: &Path) {
    for path in tree::files_below(from).unwrap() {
        let target = to.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(path, target).unwrap();
    }
}

/// The step from the previous version to the SDK's own, as for a newly published one: import it without
/// documentation, write the missing comments, import it again. The generated output then equals the
/// checked-in files, byte for byte.
#[test]
fn importing_the_next_version_yields_the_checked_in_code() {
    let repository = xtask_tools::root().unwrap();
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let new = versions::current(repository).unwrap();
    let others: Vec<_> = versions::versions(repository)
        .unwrap()
        .into_iter()
        .filter(|version| *version != new)
        .collect();
    for version in &others {
        let folder = Path::new("proto").join(version);
        copy(&repository.join(&folder), &root.join(&folder));
    }
    let old = others.iter().rev().find(|old| versions::numbers(old) < versions::numbers(&new));
    let old = old.unwrap();
    fs::write(root.join(versions::CURRENT), format!("{old}\n")).unwrap();
    fs::copy(repository.join("proto/VERSIONS"), root.join("proto/VERSIONS")).unwrap();
    copy(&repository.join("volt-api/src"), &root.join("volt-api/src"));
    fs::copy(repository.join("volt-api/Cargo.toml"), root.join("volt-api/Cargo.toml")).unwrap();
    codegen::run_in(root, &codegen::Args { version: None, check: false }).unwrap();

    // As published: the same declarations, without our comments.
    let checked_in = versions::sources(repository, &new).unwrap().compile().unwrap();
    let bare = write(&checked_in, &Comments::default()).unwrap();
    let source = tempfile::tempdir().unwrap();
    for ((name, text), folder) in bare.files.iter().zip(0..) {
        // The files' packages determine their layout.
        let folder = source.path().join(format!("{folder}"));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join(Path::new(name).file_name().unwrap()), text).unwrap();
    }
    let import_it = || {
        let args = Args { codegen: true, ..args(source.path().to_str().unwrap(), Some(&new)) };
        import(root, &args, &mut no_npm()).unwrap()
    };
    // Elements that still exist keep their documentation.
    let older = versions::sources(root, old).unwrap().compile().unwrap();
    let renames =
        codegen::diff(xtask_tools::root().unwrap(), &older, &checked_in, &FormerNames::default())
            .unwrap()
            .renames;
    let kept = Comments::of(&older).moved(&renames);
    let said = import_it();
    for name in kept.unknown(&checked_in) {
        assert!(said.contains(&format!("\n  {name}\n")), "{name} in {said}");
    }
    let expected = write(&checked_in, &kept).unwrap();
    assert_eq!(versions::sources(root, &new).unwrap().files, expected.files);

    // The other elements have their documentation from those files, if there is any.
    copy(&repository.join("proto").join(&new), &root.join("proto").join(&new));
    let said = import_it();
    let documented = Comments::of(&checked_in).unknown(&checked_in).is_empty();
    assert_eq!(said.contains("need documentation"), !documented, "{said}");
    let (found, expected) = (written(root), written(repository));
    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        expected.keys().collect::<Vec<_>>(),
        "files are missing, or left over"
    );
    for (path, text) in &expected {
        assert!(found[path] == *text, "{} differs from the checked-in file", path.display());
    }
    assert_eq!(versions::current(root).unwrap(), new);
    let page = page_file(old, &new);
    assert_eq!(
        tree::read(&root.join(&page)).unwrap(),
        tree::read(&repository.join(&page)).unwrap()
    );
}
