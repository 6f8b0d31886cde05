//! What changed between two versions of an API, and for whom.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;

use common::api;
use prost_types::FileDescriptorSet;
use volt_codegen::{
    Sources,
    diff::{
        Reader::{Json, Source, Wire},
        Report,
        Verdict::{self, Breaking, Fine, Risky},
        diff,
    },
};

fn compile(body: &str) -> FileDescriptorSet {
    let mut sources = Sources::default();
    let text = format!("syntax = \"proto3\";\npackage p;\n{body}");
    sources.files.insert("p.proto".to_owned(), text);
    sources.compile().unwrap()
}

fn compared(old: &str, new: &str) -> Report {
    diff(&compile(old), &compile(new))
}

/// The one change, and what it means on the wire, in JSON and in Rust.
fn change(old: &str, new: &str) -> (String, [Verdict; 3]) {
    let report = compared(old, new);
    let [change] = &report.changes[..] else { panic!("{:#?}", report.changes) };
    (change.what.clone(), [Wire, Json, Source].map(|reader| change.verdict(reader)))
}

fn field(old: &str, new: &str) -> (String, [Verdict; 3]) {
    let wrap = |field| format!("message M {{ {field} }} message N {{}} enum E {{ A = 0; }}");
    change(&wrap(old), &wrap(new))
}

#[test]
fn fields() {
    let gone = [Risky, Risky, Breaking];
    for (old, new, what, verdicts) in [
        ("string a = 1;", "string a = 2;", "number was 1, is 2", [Breaking, Fine, Fine]),
        ("string a = 1;", "string b = 1;", "renamed to b", [Fine, Breaking, Breaking]),
        ("string a = 1;", "", "field removed", gone),
        ("", "string a = 1;", "field added", [Fine, Fine, Fine]),
        ("int32 a = 1;", "int64 a = 1;", "was int32, is int64", [Risky, Risky, Breaking]),
        ("int32 a = 1;", "sint32 a = 1;", "was int32, is sint32", [Breaking, Fine, Fine]),
        ("int32 a = 1;", "bool a = 1;", "was int32, is bool", [Risky, Breaking, Breaking]),
        ("int32 a = 1;", "E a = 1;", "was int32, is enum", [Risky, Risky, Breaking]),
        ("string a = 1;", "bytes a = 1;", "was string, is bytes", [Risky, Breaking, Breaking]),
        ("string a = 1;", "N a = 1;", "was string, is message", [Breaking, Breaking, Breaking]),
        ("M a = 1;", "N a = 1;", "was p.M, is p.N", [Breaking, Breaking, Breaking]),
        (
            "string a = 1;",
            "repeated string a = 1;",
            "was single, is repeated",
            [Risky, Breaking, Breaking],
        ),
        (
            "string a = 1;",
            "oneof o { string a = 1; }",
            "was in no oneof, is in the oneof o",
            [Risky, Risky, Breaking],
        ),
        (
            "string a = 1;",
            "optional string a = 1;",
            "its presence counts now",
            [Fine, Fine, Breaking],
        ),
        ("string a = 1;", "string a = 1 [deprecated = true];", "deprecated", [Fine, Fine, Risky]),
    ] {
        assert_eq!(field(old, new), (what.to_owned(), verdicts), "{old} → {new}");
    }
}

#[test]
fn a_number_that_means_something_else_is_the_worst() {
    let report = compared("message M { string a = 1; }", "message M { int32 b = 1; }");
    let worst = &report.changes[0];
    assert_eq!((&*worst.element, &*worst.what), ("p.M.a", "field removed, its number reused"));
    assert!(worst.effects[&Wire].why.contains("now means b"), "{worst:?}");
}

#[test]
fn enums() {
    let wrap = |values| format!("enum E {{ Z = 0; {values} }}");
    for (old, new, what, verdicts) in [
        ("A = 1;", "", "value removed", [Risky, Breaking, Breaking]),
        ("A = 1;", "A = 2;", "number was 1, is 2", [Breaking, Fine, Fine]),
        ("A = 1;", "B = 1;", "renamed to B", [Fine, Breaking, Breaking]),
        ("", "A = 1;", "value added", [Fine, Risky, Fine]),
    ] {
        assert_eq!(change(&wrap(old), &wrap(new)), (what.to_owned(), verdicts), "{old} → {new}");
    }
}

#[test]
fn services_and_methods() {
    let wrap = |method| format!("message M {{}} message N {{}} service S {{ {method} }}");
    let all = [Breaking, Breaking, Breaking];
    for (old, new, what, verdicts) in [
        (
            "rpc A(M) returns (M);",
            "rpc A(M) returns (stream M);",
            "was unary, is server streaming",
            all,
        ),
        ("rpc A(M) returns (M);", "rpc A(N) returns (M);", "request: was p.M, is p.N", all),
        ("rpc A(M) returns (M);", "", "method removed", all),
        ("", "rpc A(M) returns (M);", "method added", [Fine, Fine, Fine]),
    ] {
        assert_eq!(change(&wrap(old), &wrap(new)), (what.to_owned(), verdicts), "{old} → {new}");
    }
    let removed = change("message M {} service S {}", "message M {}");
    assert_eq!(removed, ("service removed".to_owned(), all));
}

#[test]
fn moves_are_told_from_removals() {
    let files = |package: &str, file: &str| {
        let mut sources = Sources::default();
        let text =
            format!("syntax = \"proto3\";\npackage {package};\nmessage M {{ string a = 1; }}");
        sources.files.insert(file.to_owned(), text);
        sources.compile().unwrap()
    };
    let report = diff(&files("p.v1", "a.proto"), &files("q.v1", "a.proto"));
    assert_eq!(report.changes.len(), 1, "{:#?}", report.changes);
    assert_eq!(report.changes[0].what, "moved to q.v1.M");
    assert_eq!(report.changes[0].verdict(Wire), Fine);
    assert_eq!(report.changes[0].verdict(Source), Breaking);
    let report = diff(&files("p.v1", "a.proto"), &files("p.v1", "b.proto"));
    assert_eq!(report.changes[0].what, "moved from a.proto");
    assert_eq!(report.changes[0].worst(), Fine);
}

#[test]
fn the_worst_come_first_and_the_same_has_no_changes() {
    let report = compared(
        "message M { string a = 1; string b = 2; }",
        "message M { bytes a = 2; string c = 3; }",
    );
    let verdicts: Vec<_> = report.changes.iter().map(volt_codegen::diff::Change::worst).collect();
    assert!(verdicts.is_sorted_by(|a, b| a >= b), "{verdicts:?}");
    assert!(compared("message M {}", "message M {}").changes.is_empty());
    assert!(report.to_text().contains("breaking p.M"), "{}", report.to_text());
    assert!(report.to_markdown("T").starts_with("# T\n\n- services: 0 before"));
}

/// Counted here from the descriptors, in another way.
#[test]
fn the_real_versions_are_counted_rightly() {
    let (old, new) = (api("0.15.1").compile().unwrap(), api("0.20.34").compile().unwrap());
    let report = diff(&old, &new);
    let services = |set: &FileDescriptorSet| -> BTreeSet<String> {
        let of = |file: &prost_types::FileDescriptorProto| {
            let package = file.package().to_owned();
            file.service
                .iter()
                .map(move |service| format!("{package}.{}", service.name()))
                .collect::<Vec<_>>()
        };
        set.file.iter().flat_map(of).collect()
    };
    let count = report.counts["services"];
    let (before, after) = (services(&old), services(&new));
    assert_eq!((count.old, count.new), (before.len(), after.len()));
    assert_eq!(count.removed, before.difference(&after).count());
    let methods = |set: &FileDescriptorSet| -> usize {
        set.file.iter().flat_map(|file| &file.service).map(|service| service.method.len()).sum()
    };
    let count = report.counts["methods"];
    assert_eq!((count.old, count.new), (methods(&old), methods(&new)));
    assert_eq!((count.old, count.new, count.removed, count.added), (56, 92, 12, 48));
    let count = report.counts["messages"];
    assert_eq!((count.old, count.new, count.removed, count.added), (171, 254, 36, 119));
    let count = report.counts["enums"];
    assert_eq!((count.old, count.new, count.removed, count.added), (17, 18, 4, 5));
    let reused = report.changes.iter().filter(|change| change.what.contains("number reused"));
    assert!(reused.count() > 0);
}
