//! Errors in an API are reported with their place and a remedy.

use volt_codegen::{Error, Options, Sources, generate};

/// The error for a file `a.proto` with this text after its package.
fn error(body: &str) -> String {
    error_with(&[("a.proto", &format!("syntax = \"proto3\";\npackage a.v1;\n{body}"))], &[])
}

fn error_with(files: &[(&str, &str)], changes: &[fn(Options) -> Options]) -> String {
    try_all(files, changes).expect_err("the input has an error").to_string()
}

fn try_all(files: &[(&str, &str)], changes: &[fn(Options) -> Options]) -> Result<(), Error> {
    let mut sources = Sources::default();
    for (name, text) in files {
        sources.files.insert((*name).to_owned(), (*text).to_owned());
    }
    let options = changes.iter().fold(Options::default(), |options, change| change(options));
    generate(&sources.compile()?, &options).map(|_| ())
}

#[track_caller]
fn assert_says(error: &str, lines: &[&str]) {
    assert_eq!(error, lines.join("\n"), "\n--- found:\n{error}\n---");
}

#[test]
fn syntax_error() {
    assert_says(
        &error("message A { string }"),
        &["a.proto:3:20: expected an identifier, but found '}'", "  | message A { string }"],
    );
}

#[test]
fn unknown_type() {
    assert_says(
        &error("message A {\n  B b = 1;\n}"),
        &[
            "a.proto:4:3: name 'B' is not defined",
            "  | B b = 1;",
            "  help: declare it, or import the file that does",
        ],
    );
}

#[test]
fn rpc_on_a_missing_message() {
    assert_says(
        &error("service S {\n  rpc Go(Missing) returns (S);\n}"),
        &[
            "a.proto:4:10: name 'Missing' is not defined",
            "  | rpc Go(Missing) returns (S);",
            "  help: declare it, or import the file that does",
        ],
    );
}

#[test]
fn name_defined_twice() {
    assert_says(
        &error("message A {}\nmessage A {}"),
        &[
            "a.proto:4:9: name 'a.v1.A' is defined twice",
            "  | message A {}",
            "  first defined here: a.proto:3:9",
        ],
    );
}

#[test]
fn missing_import() {
    let text = "syntax = \"proto3\";\npackage a.v1;\nimport \"b.proto\";";
    assert_says(
        &error_with(&[("a.proto", text)], &[]),
        &[
            "a.proto:3:1: import 'b.proto' not found",
            "  | import \"b.proto\";",
            "  help: names of imports begin at the root that all files share",
        ],
    );
}

#[test]
fn services_with_a_reserved_feature() {
    let files =
        [("b.proto", "syntax = \"proto3\";\npackage b;\nservice File {}\nservice Server {}")];
    assert_says(
        &error_with(&files, &[|options| options.features(true)]),
        &[
            "b.proto:4:1: the service `b.Server` would have the Cargo feature `server`, which is taken",
            "  help: rename the service",
        ],
    );
}

/// Code of another version of the Volt API must not be mixed with that of the SDK.
#[test]
fn forks_of_the_volt_api_that_are_not_declared() {
    let options: [fn(Options) -> Options; 1] = [|_| Options::volt_api()];
    let name = "tdx/volt_api/volt/v1/status.proto";
    let (_, text) = volt_codegen::VOLT_API.iter().find(|(file, _)| *file == name).unwrap();
    let own = "syntax = \"proto3\";\npackage tdx.volt_api.own.v1;\n\
               import \"tdx/volt_api/volt/v1/status.proto\";\n\
               message M { tdx.volt_api.volt.v1.Status status = 1; }\n\
               service OwnAPI { rpc Get(M) returns (M); }";
    let changed = text.replace("int32 code = 1;", "int64 code = 1;");
    let error = error_with(&[(name, &changed), ("own.proto", own)], &options);
    assert_says(
        &error,
        &[
            "tdx/volt_api/volt/v1/status.proto: the file has the name of a file of the Volt API, but other \
             definitions: `tdx.volt_api.volt.v1.Status.code`",
            "  help: if these files are your version of the Volt API, say so: `--own-volt-api` of the program, \
             `own_volt_api = true` of the macro, `Builder::own_volt_api` in a build script",
        ],
    );
    for broken in [
        text.replace("message Status", "message Other"),
        format!("{text}\nmessage More {{}}"),
        format!("{text}\nenum More {{ NONE = 0; }}"),
        format!("{text}\nservice More {{}}"),
    ] {
        let files = [(name, broken.as_str())];
        let error = error_with(&files, &options);
        assert!(error.contains("but other definitions"), "{error}");
    }
    // A copy is the same as the file that is built in, and leaves nothing to generate if it is alone.
    let copy = text.replace("//", "// Copied:");
    let error = error_with(&[(name, &copy)], &options);
    assert!(error.starts_with("nothing to generate"), "{error}");
    try_all(&[(name, &copy), ("own.proto", own)], &options).unwrap();
}

#[test]
fn names_of_underscores() {
    assert_says(
        &error("message A {\n  string _ = 1;\n}"),
        &[
            "a.proto:4:3: the field `_` of `a.v1.A` has no letter or digit for a Rust name",
            "  help: rename it",
        ],
    );
    assert_says(
        &error_with(&[("a.proto", "syntax = \"proto3\";\npackage a._;\nservice S {}")], &[]),
        &[
            "a.proto:2:1: `_` in the package `a._` has no letter or digit for a Rust name",
            "  help: rename it",
        ],
    );
    assert_says(
        &error("service _ {}"),
        &[
            "a.proto:3:1: the service `a.v1._` has no letter or digit for a Rust name",
            "  help: rename it",
        ],
    );
    // The module may use the full name; the accessor and the feature use the part before `API`.
    let service = "syntax = \"proto3\";\npackage a.v1;\nservice _API {}";
    try_all(&[("a.proto", service)], &[]).unwrap();
    let changes: [fn(Options) -> Options; 2] =
        [|options| options.features(true), |options| options.accessors("crate::Client")];
    for change in changes {
        assert_says(
            &error_with(&[("a.proto", service)], &[change]),
            &[
                "a.proto:3:1: the service `a.v1._API` has no letter or digit for a Rust name",
                "  help: rename it",
            ],
        );
    }
}

#[test]
fn status_of_another_shape() {
    let files =
        [("a.proto", "syntax = \"proto3\";\npackage a;\nmessage Status { int32 code = 1; }")];
    assert_says(
        &error_with(&files, &[|options| options.status("a.Status")]),
        &[
            "a.proto:3:1: `a.Status` is the status and has no field `description`",
            "  help: a status has `int32 code`, `string message` and `string description`",
            "a.proto:3:1: `a.Status` is the status and has no field `message`",
            "  help: a status has `int32 code`, `string message` and `string description`",
        ],
    );
}

#[test]
fn invalid_extern_path() {
    let files = [("a.proto", "syntax = \"proto3\";\npackage a;\nmessage A {}")];
    let change: fn(Options) -> Options = |options| options.extern_path("tdx", "volt api");
    assert_says(
        &error_with(&files, &[change]),
        &[
            "a.proto:2:1: the options name `volt api`, which is not a Rust path",
            "  help: write it like `::volt_api::api`",
        ],
    );
}

#[test]
fn descriptors_with_holes() {
    let text =
        "syntax = \"proto3\";\npackage a;\nimport \"b.proto\";\nmessage A {\n  b.B b = 1;\n}";
    let mut sources = Sources::default();
    sources.files.insert("a.proto".to_owned(), text.to_owned());
    let other = "syntax = \"proto3\";\npackage b;\nmessage B {}";
    sources.files.insert("b.proto".to_owned(), other.to_owned());
    let mut set = sources.compile().expect("it compiles");
    set.file.retain(|file| file.name() == "a.proto");
    let error = generate(&set, &Options::default()).expect_err("b.proto is missing");
    assert_says(
        &error.to_string(),
        &[
            "a.proto:5:3: the field `b` of `a.A` has the type `b.B`, which is not in the descriptors",
            "  help: pass the descriptors of all imported files too",
        ],
    );
}

#[test]
fn every_problem_is_reported() {
    let error = error("message _ {}\nmessage E2 {\n  string _ = 1;\n}");
    assert_eq!(error.lines().filter(|line| line.starts_with("a.proto:")).count(), 2);
}

#[test]
fn editions() {
    let text = "syntax = \"proto3\";\npackage a;\nmessage A {}";
    let mut sources = Sources::default();
    sources.files.insert("a.proto".to_owned(), text.to_owned());
    let mut set = sources.compile().expect("it compiles");
    set.file[0].syntax = Some("editions".to_owned());
    let error = generate(&set, &Options::default()).expect_err("it is not supported");
    assert_says(
        &error.to_string(),
        &[
            "a.proto:1:1: the syntax `editions` is not supported",
            "  help: proto2 and proto3 are; `descriptor_set` reads files with an edition",
        ],
    );
    assert_says(
        &error_with(&[("a.proto", "// A.\nedition = \"2023\";\npackage a;\nmessage A {}")], &[]),
        &[
            "a.proto:2:1: the file has an edition: as text, only proto2 and proto3 can be read",
            "  | edition = \"2023\";",
            "  help: compile it with protoc or buf, and generate from the set of descriptors",
        ],
    );
}

const COLLIDING: &str = "syntax = \"proto3\";\npackage a.v1;\nmessage M {\n  oneof foo { bool a = 1; }\n  oneof Foo { bool b = 2; }\n}";

#[test]
fn elements_can_be_renamed() {
    let rename: fn(Options) -> Options = |options| options.rename("a.v1.M.Foo", "upper");
    try_all(&[("a.proto", COLLIDING)], &[rename]).expect("the names differ");
    let collide: fn(Options) -> Options = |options| options.rename("a.v1.M.Foo", "foo");
    assert_says(
        &error_with(&[("a.proto", COLLIDING)], &[collide]),
        &[
            "a.proto:5:3: the oneof `a.v1.M.Foo` makes a field named `foo`, as does the oneof `a.v1.M.foo` at a.proto:4:3",
            "  help: rename one of the two; case and underscores alone make no difference in Rust",
            "a.proto:5:3: the oneof `a.v1.M.Foo` makes an item named `Foo`, as does the oneof `a.v1.M.foo` at a.proto:4:3",
            "  help: rename one of the two; case and underscores alone make no difference in Rust",
        ],
    );
}

#[test]
fn chosen_names_must_be_names_of_elements() {
    let changes: [fn(Options) -> Options; 2] = [
        |options| options.rename("a.v1.M.y", "z"),
        |options| options.rename("a.v1.M.a", "no name"),
    ];
    assert_says(
        &error_with(&[("a.proto", COLLIDING)], &changes),
        &[
            "a.proto:2:1: the options rename `a.v1.M.a` to `no name`",
            "  help: a name has letters from a to z, digits and underscores only, and begins with a letter",
            "a.proto:2:1: the options rename `a.v1.M.y` to `z`",
            "  help: there is no generated element with that full name",
        ],
    );
}

#[test]
fn packages_with_one_module() {
    let files = [
        ("a.proto", "syntax = \"proto3\";\npackage a.FooBar;\nmessage A {}"),
        ("b.proto", "syntax = \"proto3\";\npackage a.foo_bar;\nmessage A {}"),
    ];
    try_all(&files, &[]).expect("the second is numbered");
    let rename: fn(Options) -> Options = |options| options.rename("a.foo_bar", "a.other");
    try_all(&files, &[rename]).expect("or a chosen name");
}
