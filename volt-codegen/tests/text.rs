//! Descriptors are printed as `.proto` files that compile to the same descriptors.

#![allow(clippy::unwrap_used)]

mod common;

use common::api;
use volt_codegen::{
    Sources,
    text::{Comments, Header, plain, write},
};

fn one(text: &str) -> Sources {
    let mut sources = Sources::default();
    sources.files.insert("test.proto".to_owned(), text.to_owned());
    sources
}

#[test]
fn both_api_versions_have_the_canonical_form() {
    for version in ["0.20.34", "0.15.1"] {
        let set = api(version).compile().unwrap();
        let written = write(&set, &Comments::of(&set)).unwrap();
        for (name, text) in written.files {
            let path = format!("{}/../proto/{version}/{name}", env!("CARGO_MANIFEST_DIR"));
            let kept = std::fs::read_to_string(&path).unwrap();
            assert!(
                kept == text,
                "{path} is not in its form: run cargo xtask api import on its folder"
            );
        }
    }
}

/// Every construct of the canonical form.
const FORM: &str = r#"syntax = "proto3";

package test.v1;

import "google/protobuf/timestamp.proto";

// Says hello.
service HelloAPI {
  // To one.
  rpc Hello(Request) returns (stream Request);

  // To many.
  rpc Hellos(stream Request) returns (Request) {
    option deprecated = true;
    option idempotency_level = NO_SIDE_EFFECTS;
  }
}

message Request {
  reserved 4;
  reserved 10 to 12;
  reserved 100 to max;
  reserved "gone";
  string name = 1;

  // When.
  google.protobuf.Timestamp time = 2 [deprecated = true];
  map<string, Request.Inner> inner = 3;
  optional int32 perhaps = 5;
  repeated Request.Inner.Kind kinds = 6 [packed = false, json_name = "sorts"];
  int64 number = 9 [jstype = JS_STRING];

  // One of them.
  oneof choice {
    bool yes = 7;

    // In words.
    string no = 8;
  }

  message Inner {
    enum Kind {
      option allow_alias = true;
      KIND_A = 0;

      // The same.
      KIND_B = 0;
      KIND_C = 1 [deprecated = true];
    }
  }
}
"#;

#[test]
fn the_form_is_stable() {
    let set = one(FORM).compile().unwrap();
    let written = write(&set, &Comments::of(&set)).unwrap();
    assert_eq!(written.files["test.proto"], FORM);
}

#[test]
fn comments_are_selected_and_gaps_filled() {
    let ours = "syntax = \"proto3\";\n\nmessage M {\n  // Ours.\n  string a = 1;\n}\n";
    let theirs = "syntax = \"proto3\";\n\n// Theirs.\nmessage M {\n  // Theirs.\n  string a = 1;\n}\n\nmessage New {\n  string b = 1;\n}\n";
    let (ours, theirs) = (one(ours).compile().unwrap(), one(theirs).compile().unwrap());
    let written = write(&theirs, &Comments::of(&ours)).unwrap();
    assert!(!written.files["test.proto"].contains("Theirs"));
    let both = write(&theirs, &Comments::of(&ours).or(Comments::of(&theirs))).unwrap();
    let text = &both.files["test.proto"];
    assert!(text.contains("// Theirs.\nmessage M {\n  // Ours.\n  string a"), "{text}");
    assert_eq!(Comments::of(&ours).unknown(&theirs), ["New"]);
}

#[test]
fn comments_follow_moved_elements() {
    let old = "syntax = \"proto3\";\npackage p;\n// M.\nmessage M {\n  // A.\n  string a = 1;\n}\n// Me.\nmessage Me {}\n";
    let new = old.replace("package p", "package q");
    let (old, new) = (one(old).compile().unwrap(), one(&new).compile().unwrap());
    let moved = [("p.M".to_owned(), "q.M".to_owned())].into();
    let comments = Comments::of(&old).moved(&moved);
    let text = &write(&new, &comments).unwrap().files["test.proto"];
    assert!(text.contains("// M.\nmessage M {\n  // A.\n"), "{text}");
    assert!(!text.contains("// Me."), "a name that only begins alike: {text}");
    assert_eq!(comments.unknown(&new), ["q.Me"]);
}

#[test]
fn unrepresentable_elements_are_refused() {
    let text = "syntax = \"proto2\";\nmessage M { required string a = 1; }";
    let set = one(text).compile().unwrap();
    let error = write(&set, &Comments::default()).unwrap_err().to_string();
    assert!(error.contains("would lose") && error.contains("test.proto"), "{error}");
}

/// A vendor's files, with everything that the canonical form cannot represent.
fn vendor() -> Sources {
    let mut sources = Sources::default();
    for (name, text) in [
        (
            "api.proto",
            r#"syntax = "proto3";
package p;
import "google/api/annotations.proto";
import "rules.proto";
import public "forward.proto";
import "google/protobuf/descriptor.proto";
option go_package = "p;p";
option java_multiple_files = true;
extend google.protobuf.FieldOptions { string own = 1000; }
message M {
  option (marked) = true;
  int64 id = 1 [jstype = JS_STRING, (rules).min = 3, ctype = CORD, deprecated = true];
  oneof choice { option (one) = 1; string a = 2; }
  Kind kind = 3;
  N n = 4;
}
enum Kind { option (kind) = "x"; KIND_NONE = 0 [(value) = 2]; }
service S {
  option (host) = "h";
  rpc Go(M) returns (M) { option idempotency_level = IDEMPOTENT; option (google.api.http) = { get: "/v1" }; }
}
"#,
        ),
        ("forward.proto", "syntax = \"proto3\";\nimport public \"n.proto\";\n"),
        ("n.proto", "syntax = \"proto3\";\npackage p;\nmessage N {}\n"),
        (
            "rules.proto",
            "import \"google/protobuf/descriptor.proto\";\nextend google.protobuf.FieldOptions { optional Rules rules = 1001; }\nmessage Rules { optional int32 min = 1; }\n",
        ),
        ("empty.proto", ""),
        ("comment.proto", "syntax = \"proto3\";\n// Nothing here.\npackage p;\n"),
    ] {
        sources.files.insert(name.to_owned(), text.to_owned());
    }
    sources
}

#[test]
fn unneeded_definitions_are_left_out_with_a_notice() {
    let plain = plain(&vendor()).unwrap();
    let written = write(&plain.set, &Comments::default()).unwrap();
    assert_eq!(written.files.keys().collect::<Vec<_>>(), ["api.proto", "forward.proto", "n.proto"]);
    let expected = r#"syntax = "proto3";

package p;

import public "forward.proto";

message M {
  int64 id = 1 [deprecated = true, jstype = JS_STRING];

  oneof choice {
    string a = 2;
  }

  Kind kind = 3;
  N n = 4;
}

enum Kind {
  KIND_NONE = 0;
}

service S {
  rpc Go(M) returns (M) {
    option idempotency_level = IDEMPOTENT;
  }
}
"#;
    let bare: String = expected.split("\n\n").collect::<Vec<_>>().join("\n");
    let found: String = written.files["api.proto"].split("\n\n").collect::<Vec<_>>().join("\n");
    assert_eq!(found, bare);
    let left_out: Vec<_> = plain.left_out.iter().map(ToString::to_string).collect();
    assert_eq!(
        left_out,
        [
            "api.proto:3:1: the import `google/api/annotations.proto` is left out",
            "api.proto:4:1: the import `rules.proto` is left out",
            "api.proto:6:1: the import `google/protobuf/descriptor.proto` is left out",
            "api.proto:7:1: the option `go_package` of the file is left out",
            "api.proto:8:1: the option `java_multiple_files` of the file is left out",
            "api.proto:9:39: the extension `own` is left out",
            "api.proto:11:3: the option `(marked)` of `p.M` is left out",
            "api.proto:12:37: the option `(rules).min` of `p.M.id` is left out",
            "api.proto:12:54: the option `ctype` of `p.M.id` is left out",
            "api.proto:13:18: the option `(one)` of `p.M.choice` is left out",
            "api.proto:17:13: the option `(kind)` of `p.Kind` is left out",
            "api.proto:17:49: the option `(value)` of `p.Kind.KIND_NONE` is left out",
            "api.proto:19:3: the option `(host)` of `p.S` is left out",
            "api.proto:20:66: the option `(google.api.http)` of `p.S.Go` is left out",
            "comment.proto: the file is left out: it defines nothing",
            "empty.proto: the file is left out: it defines nothing",
            "rules.proto: the file is left out: only options need its types",
        ]
    );
    // The remaining text is canonical.
    let again = plain_of(&written);
    assert!(again.left_out.is_empty(), "{:?}", again.left_out);
    assert_eq!(write(&again.set, &Comments::default()).unwrap().files, written.files);
}

fn plain_of(sources: &Sources) -> volt_codegen::text::Plain {
    plain(sources).unwrap()
}

#[test]
fn needed_definitions_without_a_canonical_form_are_errors() {
    let error = |text: &str| {
        let mut sources = vendor();
        sources.files.insert("n.proto".to_owned(), text.to_owned());
        plain(&sources).unwrap_err().to_string()
    };
    let found = error("// Old.\nsyntax = \"proto2\";\npackage p;\nmessage N {}\n");
    assert!(
        found.starts_with("n.proto:2:1: the file is proto2, and the API needs its types"),
        "{found}"
    );
    let found = error("edition = \"2023\";\npackage p;\nmessage N {}\n");
    assert!(found.starts_with("n.proto:1:1: the file has an edition"), "{found}");
    let found = error("syntax = \"proto3\";\npackage p;\nmessage N {");
    assert!(found.starts_with("n.proto:3:"), "{found}");
    // A type of a missing file.
    let found =
        error("syntax = \"proto3\";\npackage p;\nimport \"no.proto\";\nmessage N { no.X x = 1; }");
    assert!(found.starts_with("n.proto:4:13: name 'no.X' is not defined"), "{found}");
    let empty = plain(&one("syntax = \"proto3\";")).unwrap_err();
    assert_eq!(empty.to_string(), "the files define no message and no service");
}

#[test]
fn headers_are_parsed() {
    let text = "/*\npackage no;\nimport \"no.proto\";\n*/\nsyntax = \"proto3\"; package\n  a.b; import \"c.proto\";";
    let header = Header::of(text).unwrap();
    assert_eq!(
        (header.package.as_str(), &header.imports[..]),
        ("a.b", &["c.proto".to_owned()][..])
    );
    assert_eq!(Header::of("package"), None);
}
