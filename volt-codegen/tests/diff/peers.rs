//! The losses of peers with the other version.

use super::*;

#[test]
fn numbers_of_removed_fields_should_be_reserved() {
    let free = "its number is free for another meaning";
    for (new, is_free) in [("", true), ("reserved 1;", false), ("reserved 2 to 9;", true)] {
        let report = compared(&message("string a = 1;"), &message(new));
        let change = report.changes.iter().find(|change| change.what == "field removed").unwrap();
        assert_eq!(change.effects[&Wire].why.contains(free), is_free, "{new}");
        assert_eq!(verdicts(change), [Risky, Risky, Breaking]);
    }
}

/// An old client drops unknown fields, so they are missing when it sends a message back.
#[test]
fn a_field_added_to_a_read_and_written_message_may_be_lost() {
    let wrap = |field: &str, request: &str, response: &str| {
        format!(
            "message M {{ {field} }} message O {{}} service S {{ rpc A({request}) returns ({response}); }}"
        )
    };
    for (request, response, verdict) in [("M", "M", Risky), ("M", "O", Fine), ("O", "M", Fine)] {
        let report =
            compared(&wrap("", request, response), &wrap("bool a = 1;", request, response));
        let [change] = &report.changes[..] else { panic!("{:#?}", report.changes) };
        assert_eq!(verdicts(change), [verdict, verdict, Risky]);
        if verdict == Risky {
            assert_eq!(change.effects[&Json].clients, Clients::Old);
        }
    }
}

#[test]
fn numbers_of_another_size_fit_one_way_in_json() {
    let wrap = |field: &str| {
        format!("message Q {{ {field} }} message R {{}} service S {{ rpc A(Q) returns (R); }}")
    };
    let [small, large] = [wrap("int32 a = 1;"), wrap("int64 a = 1;")];
    let clients = |old: &str, new: &str| compared(old, new).changes[0].effects[&Json].clients;
    // A new client's values may be too large for an old Volt, and vice versa.
    assert_eq!(clients(&small, &large), Clients::New);
    assert_eq!(clients(&large, &small), Clients::Old);
}

#[test]
fn json_names_matter_to_the_peers_that_do_not_know_them() {
    let wrap = |json: &str| {
        format!(
            "message Q {{ string a = 1 {json}; }} message R {{}} service S {{ rpc A(Q) returns (R); }}"
        )
    };
    let clients = |old: &str, new: &str| {
        let report = compared(&wrap(old), &wrap(new));
        report.changes[0].effects[&Json].clients
    };
    // Readers know the name in the `.proto`, too.
    let [z, y] = ["[json_name = \"z\"]", "[json_name = \"y\"]"];
    assert_eq!(clients("", z), Clients::New);
    assert_eq!(clients(z, ""), Clients::Old);
    assert_eq!(clients(z, y), Clients::Both);
}

/// Values are written in JSON with the first name of their number.
#[test]
fn an_alias_before_the_known_name_breaks_json() {
    let wrap = |values: &str| format!("enum E {{ option allow_alias = true; Z = 0; {values} }}");
    for (new, verdict) in [("B = 1; A = 1;", Breaking), ("A = 1; B = 1;", Risky)] {
        let report = compared(&wrap("A = 1;"), &wrap(new));
        let change = report.changes.iter().find(|change| change.element == "p.E.B").unwrap();
        assert_eq!((change.what.as_str(), change.verdict(Json)), ("value added", verdict), "{new}");
    }
}

#[test]
fn presence_and_defaults_of_proto2_are_compared() {
    let compile = |syntax: &str, field: &str| {
        let mut sources = Sources::default();
        let text = format!("syntax = \"{syntax}\"; package p; message M {{ {field} }}");
        sources.files.insert("p.proto".to_owned(), text);
        sources.compile().unwrap()
    };
    let two = |field: &str| compile("proto2", field);
    for (old, new, expected) in [
        (
            two("required string a = 1;"),
            two("optional string a = 1;"),
            Some(("no longer required", [Risky, Risky, Breaking])),
        ),
        (
            two("optional string a = 1;"),
            two("required string a = 1;"),
            Some(("required now", [Risky, Risky, Breaking])),
        ),
        (
            two("optional int32 a = 1 [default = 5];"),
            two("optional int32 a = 1;"),
            Some(("default was 5, is none", [Risky, Risky, Fine])),
        ),
        (
            two("optional string a = 1;"),
            compile("proto3", "string a = 1;"),
            Some(("no longer tracks presence", [Risky, Risky, Breaking])),
        ),
        (two("optional string a = 1;"), compile("proto3", "optional string a = 1;"), None),
        (
            two("repeated int32 a = 1;"),
            compile("proto3", "repeated int32 a = 1;"),
            Some(("packed", [Fine, Fine, Fine])),
        ),
        (
            two("optional group A = 1 { optional int32 x = 1; }"),
            two("message A { optional int32 x = 1; } optional A a = 1;"),
            Some(("was group, is message", [Breaking, Fine, Fine])),
        ),
    ] {
        let report = compared_sets(&old, &new);
        let found: Vec<_> =
            report.changes.iter().map(|change| (change.what.as_str(), verdicts(change))).collect();
        assert_eq!(found, Vec::from_iter(expected));
    }
}
