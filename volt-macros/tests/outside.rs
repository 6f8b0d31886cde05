//! Crates outside the workspace, like those of users: with their own `.proto`, compiled with the
//! macro or a `build.rs`. They host a service of all four kinds on an embedded Volt and call it.
//!
//! They are created below `target` from the files in `tests/outside`, and share this test's
//! `target` and the workspace's versions and profiles, so that libraries are not built again.

#![allow(clippy::unwrap_used)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// The crates of the workspace that the crates outside depend on.
const OURS: [&str; 6] = [
    "volt-api",
    "volt-codegen",
    "volt-embedded",
    "volt-macros",
    "volt-runtime",
    "volt-test-support",
];
const ANSWERED: &str = "all four kinds were answered\n";

#[test]
fn by_the_macro() {
    let outside = Outside::new("by_macro");
    outside.is_built_and_follows_its_protos();
    outside.wrong_uses_are_told();
}

#[test]
fn by_a_build_script() {
    let outside = Outside::new("by_build");
    fs::copy(source("by_build/build.rs"), outside.folder.join("build.rs")).unwrap();
    outside.is_built_and_follows_its_protos();
}

struct Outside {
    folder: PathBuf,
}

impl Outside {
    fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("outside").join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder).unwrap();
        }
        fs::create_dir_all(folder.join("src")).unwrap();
        fs::create_dir_all(folder.join("proto/kinds/v1")).unwrap();
        for file in ["kinds.proto", "text.proto"].map(|name| format!("proto/kinds/v1/{name}")) {
            fs::copy(source(&file), folder.join(file)).unwrap();
        }
        fs::copy(source("calls.rs"), folder.join("src/calls.rs")).unwrap();
        fs::copy(source(&format!("{name}/src/main.rs")), folder.join("src/main.rs")).unwrap();
        fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();

        let manifest = fs::read_to_string(source(&format!("{name}/Cargo.toml.in"))).unwrap();
        let workspace = fs::read_to_string(root().join("Cargo.toml")).unwrap();
        let profiles = workspace.find("[profile").map(|start| &workspace[start..]).unwrap();
        let manifest = manifest.replace("ROOT", root().to_str().unwrap());
        // The profiles optimize all that is not of the workspace, which here includes ours.
        let ours =
            OURS.map(|name| format!("[profile.dev.package.{name}]\nopt-level = 0\n")).concat();
        fs::write(folder.join("Cargo.toml"), format!("{manifest}\n{profiles}\n{ours}")).unwrap();
        Self { folder }
    }

    fn is_built_and_follows_its_protos(&self) {
        assert_eq!(text(&self.run().stdout), ANSWERED, "{}", text(&self.run().stderr));

        // An error in the file, or in one that it imports, is reported with its place there; the
        // report also shows that the crate is rebuilt when the file changes.
        let kinds = "proto/kinds/v1/kinds.proto";
        self.edit(kinds, "string text = 2;", "Strang text = 2;");
        self.fails_with(&format!("{kinds}:19:3: name 'Strang' is not defined"));
        self.edit(kinds, "Strang", "string");
        let imported = "proto/kinds/v1/text.proto";
        self.edit(imported, "= 1;", "= 0;");
        self.fails_with(&format!("{imported}:6:17: "));

        // A valid change is compiled in.
        self.edit(imported, "string text = 0;", "string word = 1;");
        self.fails_with("available field is: `word`");
        self.edit(imported, "word", "text");
        assert_eq!(text(&self.run().stdout), ANSWERED);
    }

    /// Each error points at its cause, and has a remedy.
    fn wrong_uses_are_told(&self) {
        let input = [
            ("there is no `renam`: use `rename`, `from_str`, `default` or `skip`", "7:11"),
            ("a skipped field has no column: remove its other attributes", "9:11"),
            (
                "columns map to fields by name, and a struct without named fields has none; \
                 tuples such as `(i64, String)` are read by position",
                "14:8",
            ),
            (
                "there is no option `include`: use `any_types`, `includes`, `own_volt_api`, `rename`, `server` or `share_volt_api`",
                "16:56",
            ),
            ("proto/kinds/v2/kinds.proto: the file cannot be read: ", "19:30"),
        ];
        self.is_refused("wrong_input", &input);
        let types = [
            ("`Colour` cannot be read from a column", "10:13"),
            ("FromStr` is not satisfied", "12:11"),
            ("`NoRow` cannot be read from a row", "18:46"),
        ];
        self.is_refused("wrong_types", &types);
    }

    #[track_caller]
    fn is_refused(&self, name: &str, problems: &[(&str, &str)]) {
        let file = format!("src/bin/{name}.rs");
        fs::create_dir_all(self.folder.join("src/bin")).unwrap();
        fs::copy(source(&format!("{name}.rs")), self.folder.join(&file)).unwrap();
        let errors = text(&self.cargo(&["build", "--bin", name]).stderr);
        for (problem, place) in problems {
            let after = errors.split_once(problem).map(|(_, after)| after);
            let after = after.unwrap_or_else(|| panic!("no {problem:?} in:\n{errors}"));
            let arrow = after.lines().find_map(|line| line.trim_start().strip_prefix("--> "));
            assert_eq!(arrow, Some(&*format!("{file}:{place}")), "{problem:?} in:\n{errors}");
        }
    }

    fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.folder.join(file);
        let before = fs::read_to_string(&path).unwrap();
        assert!(before.contains(from), "{file} has no {from:?}");
        fs::write(path, before.replace(from, to)).unwrap();
    }

    #[track_caller]
    fn fails_with(&self, what: &str) {
        let output = self.run();
        let errors = text(&output.stderr);
        assert!(!output.status.success() && errors.contains(what), "no {what:?} in:\n{errors}");
    }

    /// Builds and runs the crate.
    fn run(&self) -> Output {
        self.cargo(&["run"])
    }

    /// Everything that the crate needs is already downloaded for the workspace.
    fn cargo(&self, arguments: &[&str]) -> Output {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        Command::new(env!("CARGO"))
            .args(arguments)
            .args(["--offline", "--quiet", "--color=never"])
            .current_dir(&self.folder)
            .env("CARGO_TARGET_DIR", target)
            .output()
            .unwrap()
    }
}

fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn source(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/outside").join(file)
}
