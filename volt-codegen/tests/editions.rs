//! Sets of descriptors with editions, written by protoc.
//!
//! `protoc -I tests --include_imports --include_source_info --descriptor_set_out=tests/editions/shop.binpb
//! editions/shop.proto` wrote the set from the files beside it. `calls.rs` tests that the code compiles and works.

#![allow(clippy::unwrap_used)]

mod common;

use common::EDITIONS as SHOP;
use prost::Message as _;
use volt_codegen::descriptor_set;

/// The struct of a message in the generated code, without comments.
#[track_caller]
fn structure(code: &str, head: &str) -> Vec<String> {
    let start = code.find(head).unwrap_or_else(|| panic!("{head}: {code}"));
    let lines = code[start..].lines().skip(1).take_while(|line| line.trim() != "}");
    let lines = lines.map(|line| line.trim().to_owned());
    lines.filter(|line| !line.starts_with("//")).collect()
}

#[test]
fn features_become_their_equivalents_in_proto2_and_proto3() {
    let code: String = common::editions().files.into_iter().map(|file| file.contents).collect();
    assert_eq!(
        structure(&code, "pub struct Article {"),
        [
            "#[prost(string, optional, tag = \"1\")]",
            "pub name: Option<String>,",
            "#[prost(int32, tag = \"2\")]",
            "pub count: i32,",
            "#[prost(enumeration = \"Kind\", optional, tag = \"3\")]",
            "pub kind: Option<i32>,",
            "#[prost(int32, repeated, packed = \"false\", tag = \"4\")]",
            "pub sizes: Vec<i32>,",
            "#[prost(int32, repeated, tag = \"5\")]",
            "pub packed: Vec<i32>,",
            "#[prost(btree_map = \"string, message\", tag = \"6\")]",
            "pub parts: rt::BTreeMap<String, Article>,",
            "#[prost(message, optional, tag = \"7\")]",
            "pub other: Option<super::super::super::other::Other>,",
            "#[prost(message, optional, tag = \"10\")]",
            "pub inner: Option<article::Inner>,",
            "#[prost(oneof = \"article::Choice\", tags = \"8, 9\")]",
            "pub choice: Option<article::Choice>,",
        ]
    );
    assert_eq!(
        structure(&code, "pub struct Other {"),
        [
            "#[prost(int32, optional, tag = \"1\", default = \"7\")]",
            "pub count: Option<i32>,",
            "#[prost(string, required, tag = \"2\")]",
            "pub id: String,",
            "#[prost(group, optional, tag = \"3\")]",
            "pub part: Option<other::Part>,",
            "#[prost(message, optional, tag = \"4\")]",
            "pub plain: Option<other::Part>,",
            "#[prost(btree_map = \"string, message\", tag = \"5\")]",
            "pub parts: rt::BTreeMap<String, other::Part>,",
            "#[prost(int32, repeated, tag = \"6\")]",
            "pub sizes: Vec<i32>,",
            "#[prost(enumeration = \"Level\", optional, tag = \"7\")]",
            "pub level: Option<i32>,",
        ]
    );
}

/// Replaces bytes of the set with as many others.
fn changed(from: &[u8], to: &[u8]) -> String {
    let at = SHOP.windows(from.len()).position(|window| window == from).unwrap();
    let set = [&SHOP[..at], to, &SHOP[at + from.len()..]].concat();
    descriptor_set(&set).unwrap_err().to_string()
}

#[test]
fn features_that_no_syntax_can_express_are_an_error() {
    // `features.field_presence = LEGACY_REQUIRED` of the field `id`, and IMPLICIT.
    let error = changed(&[0x42, 5, 0xAA, 1, 2, 8, 3], &[0x42, 5, 0xAA, 1, 2, 8, 2]);
    assert_eq!(
        error,
        "editions/other.proto: the implicit presence of the field `id` of `Other` and the enum \
         `Level`, which does not begin with 0, are in one file, which is not supported\n  help: move one of them to another file"
    );
    // The editions 2024 and 9999.
    let error = changed(&[0x70, 0xE9, 7], &[0x70, 0x8F, 0x4E]);
    assert_eq!(
        error,
        "editions/other.proto: the edition with the number 9999 is not supported\n  help: 2023 and 2024 are"
    );
}

#[test]
fn sets_without_editions_are_unchanged() {
    let mut sources = volt_codegen::Sources::default();
    let text = "syntax = \"proto2\";\npackage a;\nmessage A { required string a = 1; }";
    sources.files.insert("a.proto".to_owned(), text.to_owned());
    let set = sources.compile().unwrap();
    assert_eq!(descriptor_set(&set.encode_to_vec()).unwrap(), set);
    assert!(descriptor_set(b"syntax").unwrap_err().to_string().starts_with("this is not a set"));
}
