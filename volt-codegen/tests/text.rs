//! Descriptors are printed as `.proto` files that compile to the same descriptors.

#![allow(clippy::unwrap_used)]

mod common;

use common::api;
use volt_codegen::{
    Sources,
    text::{Comments, write},
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
