//! Errors in an API are reported with their place and a remedy.

use volt_codegen::{Error, Options, Sources, generate};

/// The error for a file `a.proto` with this text after its package.
fn error(body: &str) -> String {
    error_with(&[("a.proto", &format!("syntax = \"proto3\";\npackage a.v1;\n{body}"))], &[])
}

fn error_with(files: &[(&str, &str)], changes: &[fn(Options) -> Options]) -> String {
    try_all(files, changes).expect_err("there is something wrong").to_string()
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
fn fields_with_one_name() {
    let message = "message A {\n  int32 end_ = 1;\n  oneof end {\n    bool x = 2;\n  }\n}";
    assert_says(
        &error(message),
        &[
            "a.proto:4:3: the field `end_` of `a.v1.A` makes a field named `end`, as does the oneof `a.v1.A.end` at a.proto:5:3",
            "  help: rename one of the two; case and underscores alone make no difference in Rust",
        ],
    );
}

#[test]
fn messages_with_one_name() {
    assert_says(
        &error("message DIDUpdate {}\nmessage DidUpdate {}"),
        &[
            "a.proto:4:1: the message `a.v1.DidUpdate` makes an item named `DidUpdate`, as does the message `a.v1.DIDUpdate` at a.proto:3:1",
            "  help: rename one of the two; case and underscores alone make no difference in Rust",
        ],
    );
}

#[test]
fn setters_with_one_name() {
    let message = "message A {\n  optional string with_b = 1;\n  string b = 2;\n}";
    assert_says(
        &error(message),
        &[
            "a.proto:5:3: the field `b` of `a.v1.A` makes a method named `with_b`, as does the field `with_b` of `a.v1.A` at a.proto:4:3",
            "  help: rename one of the two; case and underscores alone make no difference in Rust",
        ],
    );
}

#[test]
fn variants_with_one_name() {
    assert_says(
        &error("enum E {\n  E_NONE = 0;\n  NONE = 1;\n}"),
        &[
            "a.proto:5:3: the value `NONE` of `a.v1.E` makes a variant named `None`, as does the value `E_NONE` of `a.v1.E` at a.proto:4:3",
            "  help: rename one of the two; case and underscores alone make no difference in Rust",
        ],
    );
}

#[test]
fn methods_with_one_name() {
    let body =
        "message M {}\nservice S {\n  rpc GetIt(M) returns (M);\n  rpc Get_it(M) returns (M);\n}";
    assert_says(
        &error(body),
        &[
            "a.proto:6:3: the method `Get_it` of `a.v1.S` makes a method named `get_it`, as does the method `GetIt` of `a.v1.S` at a.proto:5:3",
            "  help: rename one of the two; case and underscores alone make no difference in Rust",
        ],
    );
}

#[test]
fn method_named_new() {
    let body = "message M {}\nservice S {\n  rpc New(M) returns (M);\n}";
    assert_says(
        &error(body),
        &[
            "a.proto:5:3: the method `New` of `a.v1.S` would be `new` in Rust, which makes the client",
            "  help: rename it, for example to `Create`",
        ],
    );
}

#[test]
fn service_and_message_with_one_name() {
    let body = "message FileApi {\n  enum E {\n    E_NONE = 0;\n  }\n}\nservice FileAPI {}";
    assert_says(
        &error(body),
        &[
            "a.proto:8:1: the service `a.v1.FileAPI` makes an item named `FileApi`, as does the message `a.v1.FileApi` at a.proto:3:1",
            "  help: rename one of the two; case and underscores alone make no difference in Rust",
        ],
    );
}

#[test]
fn well_known_type_as_request() {
    let text = "syntax = \"proto3\";\npackage a.v1;\nimport \"google/protobuf/empty.proto\";\n\
        service S {\n  rpc Go(google.protobuf.Empty) returns (google.protobuf.Empty);\n}";
    assert_says(
        &error_with(&[("a.proto", text)], &[]),
        &[
            "a.proto:5:3: the method `Go` of `a.v1.S` has a well-known type, `google.protobuf.Empty`, as its request",
            "  help: declare a message of your own for it",
            "a.proto:5:3: the method `Go` of `a.v1.S` has a well-known type, `google.protobuf.Empty`, as its response",
            "  help: declare a message of your own for it",
        ],
    );
}

#[test]
fn older_syntax() {
    let text = "syntax = \"proto2\";\npackage a;\nmessage A {}";
    assert_says(
        &error_with(&[("a.proto", text)], &[]),
        &[
            "a.proto:1:1: only the syntax `proto3` is supported",
            "  help: say `syntax = \"proto3\";` at the top of the file",
        ],
    );
}

#[test]
fn no_package() {
    assert_says(
        &error_with(&[("a.proto", "syntax = \"proto3\";\nmessage A {}")], &[]),
        &[
            "a.proto:1:1: the file has no package, which its Rust module is named after",
            "  help: say `package your.name.v1;` below the syntax",
        ],
    );
}

#[test]
fn packages_with_one_module() {
    let files = [
        ("a.proto", "syntax = \"proto3\";\npackage a.FooBar;\nmessage A {}"),
        ("b.proto", "syntax = \"proto3\";\npackage a.foo_bar;\nmessage A {}"),
    ];
    assert_says(
        &error_with(&files, &[]),
        &[
            "b.proto:2:1: the package `a.foo_bar` makes a Rust module named `a::foo_bar`, as does the package `a.FooBar` at a.proto:2:1",
            "  help: rename one of the two; case and underscores alone make no difference in Rust",
        ],
    );
}

#[test]
fn package_and_message_with_one_module() {
    let files = [
        ("a.proto", "syntax = \"proto3\";\npackage a;\nmessage B {\n  message C {}\n}"),
        ("b.proto", "syntax = \"proto3\";\npackage a.b;\nmessage A {}"),
    ];
    assert_says(
        &error_with(&files, &[]),
        &[
            "a.proto:3:1: the message `a.B` makes an item named `b`, as does the package `a.b` at b.proto:2:1",
            "  help: rename one of the two; case and underscores alone make no difference in Rust",
        ],
    );
}

#[test]
fn services_with_one_feature() {
    let files = [
        ("a.proto", "syntax = \"proto3\";\npackage a;\nservice FileAPI {}"),
        ("b.proto", "syntax = \"proto3\";\npackage b;\nservice File {}\nservice Server {}"),
    ];
    assert_says(
        &error_with(&files, &[|options| options.features(true)]),
        &[
            "b.proto:3:1: the service `b.File` makes a Cargo feature named `file`, as does the service `a.FileAPI` at a.proto:3:1",
            "  help: rename one of the two; case and underscores alone make no difference in Rust",
            "b.proto:4:1: the service `b.Server` would get the Cargo feature `server`, which is taken",
            "  help: rename the service",
        ],
    );
    assert_says(
        &error_with(&files, &[|options| options.accessors("crate::Client")]),
        &[
            "b.proto:3:1: the service `b.File` makes an accessor named `file`, as does the service `a.FileAPI` at a.proto:3:1",
            "  help: rename one of the two; case and underscores alone make no difference in Rust",
        ],
    );
}

#[test]
fn names_of_underscores() {
    assert_says(
        &error("message A {\n  string _ = 1;\n}"),
        &[
            "a.proto:4:3: the field `_` of `a.v1.A` has no letter or digit to make a Rust name of",
            "  help: rename it",
        ],
    );
    assert_says(
        &error_with(&[("a.proto", "syntax = \"proto3\";\npackage a._;\nservice S {}")], &[]),
        &[
            "a.proto:2:1: `_` in the package `a._` has no letter or digit to make a Rust name of",
            "  help: rename it",
        ],
    );
    assert_says(
        &error("service _ {}"),
        &[
            "a.proto:3:1: the service `a.v1._` has no letter or digit to make a Rust name of",
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
                "a.proto:3:1: the service `a.v1._API` has no letter or digit to make a Rust name of",
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
fn extern_path_that_is_none() {
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
            "a.proto:5:3: the field `b` of `a.A` has the type `b.B`, which is nowhere in the descriptors",
            "  help: hand in the descriptors of all imported files too",
        ],
    );
}

#[test]
fn every_problem_is_reported() {
    let error = error("enum E {\n  E_NONE = 0;\n  NONE = 1;\n}\nmessage E2 {\n  string _ = 1;\n}");
    assert_eq!(error.lines().filter(|line| line.starts_with("a.proto:")).count(), 2);
}
