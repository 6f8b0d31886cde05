//! The changes between two versions of an API and the peers that they affect: one small API and one
//! change at a time.

#![allow(clippy::unwrap_used)]

use prost_types::FileDescriptorSet;
use volt_codegen::{
    Options, Sources,
    diff::{
        Change, Clients, Report,
        Surface::{Json, Source, Wire},
        Verdict::{self, Breaking, Fine, Risky},
        diff,
    },
};

#[path = "diff/code.rs"]
mod code;
#[path = "diff/peers.rs"]
mod peers;

fn compile(body: &str) -> FileDescriptorSet {
    compile_as("p", "p.proto", body)
}

fn compile_as(package: &str, file: &str, body: &str) -> FileDescriptorSet {
    let mut sources = Sources::default();
    let text = format!("syntax = \"proto3\";\npackage {package};\n{body}");
    sources.files.insert(file.to_owned(), text);
    sources.compile().unwrap()
}

fn compared(old: &str, new: &str) -> Report {
    compared_sets(&compile(old), &compile(new))
}

fn compared_sets(old: &FileDescriptorSet, new: &FileDescriptorSet) -> Report {
    diff(old, new, &Options::default()).unwrap()
}

/// The effects of a change on the wire, in JSON and in Rust.
fn verdicts(change: &Change) -> [Verdict; 3] {
    [Wire, Json, Source].map(|surface| change.verdict(surface))
}

/// The only change, and its effects. Traits that a message loses because of it are a separate
/// change.
fn change(old: &str, new: &str) -> (String, [Verdict; 3]) {
    let mut report = compared(old, new);
    report.changes.retain(|change| !change.what.starts_with("no longer implements "));
    let [change] = &report.changes[..] else { panic!("{old} → {new}: {:#?}", report.changes) };
    (change.what.clone(), verdicts(change))
}

/// The changes of a report in the order of their elements, without their effects on Rust code.
fn data(report: &Report) -> Vec<(&str, &str, [Verdict; 2])> {
    let mut data: Vec<_> = report
        .changes
        .iter()
        .map(|change| {
            let verdicts = [Wire, Json].map(|surface| change.verdict(surface));
            (change.element.as_str(), change.what.as_str(), verdicts)
        })
        .collect();
    data.sort_unstable();
    data
}

fn message(fields: &str) -> String {
    format!(
        "message M {{ {fields} }} message N {{ int32 x = 1; }} message Same {{ int32 x = 1; }} \
         message Pair {{ string key = 1; N value = 2; }} \
         enum E {{ A = 0; }} enum F {{ option allow_alias = true; C = 0; B = 0; }}"
    )
}

#[test]
fn a_field_is_renumbered_renamed_removed_added_or_deprecated() {
    for (old, new, what, verdicts) in [
        ("string a = 1;", "string a = 2;", "number was 1, is 2", [Breaking, Fine, Fine]),
        ("string a = 1;", "string b = 1;", "renamed to b", [Fine, Breaking, Breaking]),
        // The same name in Rust.
        ("string aB = 1;", "string a_b = 1;", "renamed to a_b", [Fine, Breaking, Fine]),
        ("string a = 1;", "", "field removed", [Risky, Risky, Breaking]),
        // Structs have public fields, so code may list them all.
        ("", "string a = 1;", "field added", [Fine, Fine, Risky]),
        ("string a = 1;", "string a = 1 [deprecated = true];", "deprecated", [Fine, Fine, Risky]),
        (
            "string a = 1 [deprecated = true];",
            "string a = 1;",
            "no longer deprecated",
            [Fine, Fine, Fine],
        ),
        (
            "string a = 1;",
            "string a = 1 [json_name = \"z\"];",
            "JSON name was a, is z",
            [Fine, Risky, Fine],
        ),
        (
            "int64 a = 1;",
            "int64 a = 1 [jstype = JS_STRING];",
            "jstype was JS_NORMAL, is JS_STRING",
            [Fine, Fine, Fine],
        ),
    ] {
        assert_eq!(change(&message(old), &message(new)), (what.to_owned(), verdicts));
    }
}

/// The groups of types that protobuf treats as compatible, and pairs from different groups.
#[test]
fn a_field_is_retyped() {
    for (old, new, verdicts) in [
        ("int32", "uint32", [Risky, Risky, Breaking]),
        ("int32", "int64", [Risky, Risky, Breaking]),
        ("int64", "int32", [Risky, Risky, Breaking]),
        ("int64", "uint64", [Risky, Risky, Breaking]),
        ("uint32", "bool", [Risky, Breaking, Breaking]),
        ("sint32", "sint64", [Risky, Risky, Breaking]),
        ("fixed32", "sfixed32", [Risky, Risky, Breaking]),
        ("fixed64", "sfixed64", [Risky, Risky, Breaking]),
        // The same number in Rust and JSON, but another encoding.
        ("int32", "sint32", [Breaking, Fine, Fine]),
        ("int64", "sfixed64", [Breaking, Fine, Fine]),
        ("fixed32", "fixed64", [Breaking, Risky, Breaking]),
        ("float", "double", [Breaking, Risky, Breaking]),
        ("int32", "float", [Breaking, Breaking, Breaking]),
        // An enum is an int32 in binary and a name in JSON.
        ("int32", "E", [Fine, Breaking, Breaking]),
        ("E", "int32", [Fine, Breaking, Breaking]),
        ("int64", "E", [Risky, Breaking, Breaking]),
        ("E", "string", [Breaking, Breaking, Breaking]),
        ("string", "bytes", [Risky, Breaking, Breaking]),
        ("bytes", "string", [Breaking, Breaking, Breaking]),
        ("string", "int32", [Breaking, Breaking, Breaking]),
        ("string", "N", [Breaking, Breaking, Breaking]),
        ("bytes", "N", [Breaking, Breaking, Breaking]),
    ] {
        let [was, is] = [old, new].map(|of| match of {
            "E" => "enum",
            "N" => "message",
            of => of,
        });
        let (old, new) = (format!("{old} a = 1;"), format!("{new} a = 1;"));
        let expected = (format!("was {was}, is {is}"), verdicts);
        assert_eq!(change(&message(&old), &message(&new)), expected);
    }
}

#[test]
fn a_field_changes_its_message_or_enum() {
    for (old, new, what, verdicts) in [
        ("M a = 1;", "N a = 1;", "was p.M, is p.N", [Breaking, Breaking, Breaking]),
        ("N a = 1;", "Same a = 1;", "was p.N, is p.Same", [Fine, Fine, Breaking]),
        ("E a = 1;", "F a = 1;", "was p.E, is p.F", [Breaking, Breaking, Breaking]),
    ] {
        assert_eq!(change(&message(old), &message(new)), (what.to_owned(), verdicts));
    }
    // Another enum with all the values under the same names, and more.
    let wrap = |of: &str| {
        format!(
            "message M {{ {of}.E e = 1; }} message O {{ enum E {{ A = 0; }} }} \
             message P {{ enum E {{ A = 0; B = 1; }} }}"
        )
    };
    let expected = ("was p.O.E, is p.P.E".to_owned(), [Fine, Risky, Breaking]);
    // Names of enum values are unique within their scope.
    assert_eq!(change(&wrap("O"), &wrap("P")), expected);
}

#[test]
fn a_field_becomes_repeated_single_or_a_map() {
    for (old, new, what, verdicts) in [
        ("string a = 1;", "repeated string a = 1;", "was single, is repeated", Risky),
        ("repeated bytes a = 1;", "bytes a = 1;", "was repeated, is single", Risky),
        ("N a = 1;", "repeated N a = 1;", "was single, is repeated", Risky),
        // Repeated numbers are packed, which a reader of a singular number does not accept.
        ("int32 a = 1;", "repeated int32 a = 1;", "was single, is repeated", Breaking),
        ("repeated E a = 1;", "E a = 1;", "was repeated, is single", Breaking),
        (
            "int32 a = 1;",
            "repeated int32 a = 1 [packed = false];",
            "was single, is repeated",
            Risky,
        ),
        ("map<string, N> a = 1;", "repeated N a = 1;", "was a map, is repeated", Breaking),
        ("map<string, N> a = 1;", "repeated Pair a = 1;", "was a map, is repeated", Risky),
        ("repeated Pair a = 1;", "map<string, N> a = 1;", "was repeated, is a map", Risky),
        ("repeated Pair a = 1;", "map<string, Same> a = 1;", "was repeated, is a map", Breaking),
        ("map<string, string> a = 1;", "string a = 1;", "was a map, is single", Breaking),
    ] {
        let expected = (what.to_owned(), [verdicts, Breaking, Breaking]);
        assert_eq!(change(&message(old), &message(new)), expected);
    }
    for (old, new, what, verdicts) in [
        (
            "repeated int32 a = 1;",
            "repeated int32 a = 1 [packed = false];",
            "no longer packed",
            [Fine, Fine, Fine],
        ),
        (
            "map<int32, string> a = 1;",
            "map<int64, string> a = 1;",
            "keys were int32, are int64",
            [Risky, Risky, Breaking],
        ),
        (
            "map<int32, string> a = 1;",
            "map<string, string> a = 1;",
            "keys were int32, are string",
            [Breaking, Breaking, Breaking],
        ),
        (
            "map<string, string> a = 1;",
            "map<string, bytes> a = 1;",
            "was string, is bytes",
            [Risky, Breaking, Breaking],
        ),
    ] {
        assert_eq!(change(&message(old), &message(new)), (what.to_owned(), verdicts));
    }
}

#[test]
fn the_presence_of_a_field_changes() {
    let (without, with) = (message("string a = 1;"), message("optional string a = 1;"));
    let expected = ("now tracks presence".to_owned(), [Risky, Risky, Breaking]);
    assert_eq!(change(&without, &with), expected);
    let expected = ("no longer tracks presence".to_owned(), [Risky, Risky, Breaking]);
    assert_eq!(change(&with, &without), expected);
    // A new reader does not see a default of an old writer.
    let wrap = |field: &str| {
        format!("message Q {{ {field} }} message R {{}} service S {{ rpc A(Q) returns (R); }}")
    };
    let report = compared(&wrap("string a = 1;"), &wrap("optional string a = 1;"));
    assert_eq!(report.changes[0].effects[&Wire].clients, Clients::Old);
    // The presence of a message always counts.
    assert!(compared(&message("N a = 1;"), &message("optional N a = 1;")).changes.is_empty());
}

#[test]
fn a_field_moves_into_a_oneof_or_out_of_it() {
    let into = "was in no oneof, is in the oneof o";
    // Alone: no other field could be set beside it.
    let report = compared("message M { string a = 1; }", "message M { oneof o { string a = 1; } }");
    // It now tracks presence.
    let alone = [("p.M.a", into, [Risky, Risky]), ("p.M.o", "oneof added", [Fine, Fine])];
    assert_eq!(data(&report), alone);
    assert_eq!(report.breaking(Source), 1);
    // With another field that could be set beside it before.
    let both = "message M { string a = 1; string b = 2; }";
    let one = "message M { oneof o { string a = 1; string b = 2; } }";
    let report = compared(both, one);
    assert_eq!(
        data(&report)[..2].iter().map(|change| change.2).collect::<Vec<_>>(),
        [[Breaking, Breaking]; 2]
    );
    assert_eq!(data(&report)[0].1, into);
    let report = compared(one, both);
    assert_eq!(data(&report)[0].1, "was in the oneof o, is in no oneof");
    assert_eq!(data(&report)[0].2, [Breaking, Breaking]);
    assert_eq!(data(&report)[2].1, "oneof removed");
    // The name of a oneof is not encoded.
    let renamed = one.replace("oneof o", "oneof q");
    assert_eq!(change(one, &renamed), ("oneof renamed to q".to_owned(), [Fine, Fine, Breaking]));
    // One more member: the enum of a oneof is non-exhaustive.
    let more = one.replace("string b", "string c = 3; string b");
    assert_eq!(change(one, &more), ("field added".to_owned(), [Fine, Fine, Fine]));
}

#[test]
fn a_reused_number_is_the_worst_change() {
    // Used for a new field, and for an existing one.
    for (new, heir, outcome) in [
        ("int32 b = 1;", "b", "a message with it is refused"),
        ("string other = 1;", "other", "it is read as that field"),
    ] {
        let old = message("string a = 1; string other = 2;");
        let report = compared(&old, &message(new));
        let change = report.changes.iter().find(|change| change.element == "p.M.a").unwrap();
        assert_eq!(change.what, "field removed, its number reused");
        assert_eq!(verdicts(change), [Breaking, Risky, Breaking]);
        let why = &change.effects[&Wire].why;
        assert!(why.ends_with(&format!("now means {heir}: {outcome}")), "{change:?}");
    }
}

#[test]
fn reservations_are_removed() {
    let old = message("reserved 4, 6 to 8; reserved \"gone\";");
    let kept = message("reserved 4 to 9; reserved \"gone\";");
    assert!(compared(&old, &kept).changes.is_empty());
    let report = compared(&old, &message("reserved 4;"));
    assert_eq!(
        data(&report),
        [
            ("p.M", "no longer reserved: \"gone\"", [Fine, Risky]),
            ("p.M", "no longer reserved: 6 to 8", [Risky, Fine]),
        ]
    );
}

#[test]
fn the_values_of_an_enum_change() {
    let wrap = |values| format!("enum E {{ option allow_alias = true; Z = 0; Y = 0; {values} }}");
    for (old, new, what, verdicts) in [
        ("A = 1;", "", "value removed", [Risky, Breaking, Breaking]),
        ("A = 1;", "A = 2;", "number was 1, is 2", [Breaking, Fine, Fine]),
        ("A = 1;", "B = 1;", "renamed to B", [Fine, Breaking, Breaking]),
        // An alias has no variant.
        ("A = 1; B = 1;", "A = 1;", "alias removed", [Fine, Breaking, Fine]),
        ("A = 1; B = 1;", "B = 1;", "alias removed", [Fine, Breaking, Breaking]),
        ("", "A = 1;", "value added", [Fine, Risky, Fine]),
        ("A = 1;", "A = 1 [deprecated = true];", "deprecated", [Fine, Fine, Risky]),
    ] {
        assert_eq!(change(&wrap(old), &wrap(new)), (what.to_owned(), verdicts), "{old} → {new}");
    }
    let report = compared(&wrap("A = 1; B = 2;"), &wrap("B = 1;"));
    assert_eq!(
        data(&report),
        [
            ("p.E.A", "value removed, its number reused", [Breaking, Breaking]),
            ("p.E.B", "number was 2, is 1", [Breaking, Fine]),
        ]
    );
}

#[test]
fn services_and_methods_change() {
    let wrap = |methods: &str| {
        format!(
            "message M {{ int32 x = 1; }} message N {{ M m = 1; }} message Same {{ int32 x = 1; }} \
             service S {{ {methods} }}"
        )
    };
    let all = [Breaking, Breaking, Breaking];
    let unary = "rpc A(M) returns (M);";
    for (old, new, what, verdicts) in [
        (unary, "rpc A(M) returns (stream M);", "was unary, is server streaming", all),
        (unary, "rpc A(stream M) returns (M);", "was unary, is client streaming", all),
        (
            "rpc A(stream M) returns (stream M);",
            "rpc A(stream M) returns (M);",
            "was bidirectional, is client streaming",
            all,
        ),
        (unary, "rpc A(N) returns (M);", "request: was p.M, is p.N", all),
        (unary, "rpc A(M) returns (N);", "response: was p.M, is p.N", all),
        (unary, "rpc A(Same) returns (M);", "request: was p.M, is p.Same", [Fine, Fine, Breaking]),
        (
            unary,
            "rpc A(M) returns (M) { option idempotency_level = IDEMPOTENT; }",
            "idempotency level was IDEMPOTENCY_UNKNOWN, is IDEMPOTENT",
            [Risky, Risky, Fine],
        ),
        (unary, "", "method removed", all),
        ("", unary, "method added", [Fine, Fine, Fine]),
        (
            unary,
            "rpc A(M) returns (M) { option deprecated = true; }",
            "deprecated",
            [Fine, Fine, Risky],
        ),
    ] {
        assert_eq!(change(&wrap(old), &wrap(new)), (what.to_owned(), verdicts), "{old} → {new}");
    }
    let (with, without) = ("message M {} service S {}", "message M {}");
    assert_eq!(change(with, without), ("service removed".to_owned(), all));
    let added = ("service added, with 0 methods".to_owned(), [Fine, Fine, Fine]);
    assert_eq!(change(without, with), added);
    let deprecated = "message M { option deprecated = true; } service S {}";
    assert_eq!(change(with, deprecated), ("deprecated".to_owned(), [Fine, Fine, Risky]));
    let deprecated = "message M {} service S { option deprecated = true; }";
    assert_eq!(change(with, deprecated), ("deprecated".to_owned(), [Fine, Fine, Risky]));
}

#[test]
fn messages_and_enums_are_added_and_removed() {
    let (without, message) = ("message M {}", "message M {} message N {}");
    let gone = [Fine, Fine, Breaking];
    assert_eq!(change(message, without), ("message removed".to_owned(), gone));
    assert_eq!(change(without, message), ("message added".to_owned(), [Fine; 3]));
    let enumeration = "message M { enum E { A = 0; } }";
    assert_eq!(change(enumeration, without), ("enum removed".to_owned(), gone));
    assert_eq!(change(without, enumeration), ("enum added".to_owned(), [Fine; 3]));
    let deprecated = "message M { enum E { option deprecated = true; A = 0; } }";
    assert_eq!(change(enumeration, deprecated), ("deprecated".to_owned(), [Fine, Fine, Risky]));
}

#[test]
fn moves_are_distinguished_from_removals() {
    let body = "message M { string a = 1; E e = 2; message I { M m = 1; } } enum E { A = 0; } \
                service S { rpc G(M) returns (M); }";
    let old = compile_as("p.v1", "a.proto", body);
    // To another file: Rust has modules for packages only.
    let report = compared_sets(&old, &compile_as("p.v1", "b.proto", body));
    assert!(report.changes.iter().all(|change| change.what == "moved from a.proto"));
    assert_eq!(report.changes.len(), 4);
    assert!(report.changes.iter().all(|change| change.worst() == Fine));
    // To another package: the name of a service is part of calls, that of a message is not encoded.
    let report = compared_sets(&old, &compile_as("q.v1", "a.proto", body));
    let moved: Vec<_> =
        data(&report).into_iter().filter(|(_, what, _)| what.starts_with("moved to")).collect();
    assert_eq!(
        moved,
        [
            ("p.v1.E", "moved to q.v1.E", [Fine, Fine]),
            ("p.v1.M", "moved to q.v1.M", [Fine, Fine]),
            ("p.v1.M.I", "moved to q.v1.M.I", [Fine, Fine]),
            ("p.v1.S", "moved to q.v1.S", [Breaking, Breaking]),
        ]
    );
    assert_eq!((report.breaking(Wire), report.breaking(Source)), (1, 4));
    // Moved and changed as well.
    let changed = body.replace("string a = 1;", "string b = 1; bool c = 9;");
    let report = compared_sets(&old, &compile_as("q.v1", "a.proto", &changed));
    let data = data(&report);
    assert!(data.contains(&("p.v1.M", "moved to q.v1.M", [Fine, Fine])), "{data:#?}");
    assert!(data.contains(&("p.v1.M.a", "renamed to b", [Fine, Breaking])), "{data:#?}");
    // The same name alone is not sufficient.
    let other = body.replace("string a = 1; E e = 2;", "bool x = 7;");
    let report = compared_sets(&old, &compile_as("q.v1", "a.proto", &other));
    let what = |name: &str| {
        let change = report.changes.iter().find(|change| change.element == name);
        change.map(|change| change.what.clone())
    };
    assert_eq!(what("p.v1.M").as_deref(), Some("message removed"));
    assert_eq!(what("q.v1.M").as_deref(), Some("message added"));
}

/// The effects on an old client with a new Volt differ from those on a new client with an old Volt.
#[test]
fn affected_clients_are_reported() {
    let wrap = |request: &str, response: &str, methods: &str| {
        format!(
            "message Q {{ {request} }} message R {{ {response} }} \
             service S {{ rpc A(Q) returns (R); {methods} }}"
        )
    };
    let clients = |old: &str, new: &str, surface| {
        let report = compared(old, new);
        let [change] = &report.changes[..] else { panic!("{:#?}", report.changes) };
        change.effects[&surface].clients
    };
    let plain = wrap("", "", "");
    let more = wrap("", "", "rpc B(Q) returns (R);");
    assert_eq!(clients(&more, &plain, Wire), Clients::Old);
    assert_eq!(clients(&plain, &more, Wire), Clients::New);
    let report = compared(&more, &plain);
    assert_eq!(report.breaking_for(Wire, Clients::Old), 1);
    assert_eq!(report.breaking_for(Wire, Clients::New), 0);
    // Invalid UTF-8 comes from the writer of bytes, and the reader of text rejects it.
    let [bytes, text] = ["bytes a = 1;", "string a = 1;"];
    let request = [wrap(bytes, "", ""), wrap(text, "", "")];
    assert_eq!(clients(&request[0], &request[1], Wire), Clients::Old);
    assert_eq!(clients(&request[1], &request[0], Wire), Clients::New);
    let response = [wrap("", bytes, ""), wrap("", text, "")];
    assert_eq!(clients(&response[0], &response[1], Wire), Clients::New);
    assert_eq!(clients(&response[1], &response[0], Wire), Clients::Old);
    // A deeply nested message, and one in both requests and responses.
    let inside = |field: &str, both: bool| {
        let response = if both { "repeated I i = 1;" } else { "" };
        format!("message I {{ {field} }}") + &wrap("map<string, I> i = 1;", response, "")
    };
    assert_eq!(clients(&inside(bytes, false), &inside(text, false), Wire), Clients::Old);
    assert_eq!(clients(&inside(bytes, true), &inside(text, true), Wire), Clients::Both);
}

#[test]
fn the_worst_changes_come_first() {
    let report = compared(
        "message M { string a = 1; string b = 2; }",
        "message M { bytes a = 2; string c = 3; }",
    );
    assert!(report.changes.is_sorted_by(|a, b| a.worst() >= b.worst()), "{report:#?}");
    assert!(compared("message M {}", "message M {}").changes.is_empty());
    let text = report.to_text();
    assert!(text.starts_with("breaking p.M"), "{text}");
    let markdown = report.to_markdown(3);
    assert!(markdown.starts_with("- services: 0 before"), "{markdown}");
    assert!(markdown.contains("\n### Breaking\n\n- `p.M"), "{markdown}");
    assert!(markdown.contains("- breaking for wire: 2 (2 for old clients"), "{markdown}");
}
