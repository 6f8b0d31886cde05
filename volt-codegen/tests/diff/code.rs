//! Breaks of Rust code that the descriptors do not show, and the reverse.

use super::*;

/// The changes that break code.
fn breaks(old: &str, new: &str) -> Vec<(String, String)> {
    let mut breaks: Vec<_> = compared(old, new)
        .changes
        .into_iter()
        .filter(|change| change.verdict(Source) == Breaking)
        .map(|change| (change.element, change.what))
        .collect();
    breaks.sort();
    breaks
}

fn assert_breaks(old: &str, new: &str, expected: &[(&str, &str)]) {
    let found = breaks(old, new);
    let found: Vec<_> = found.iter().map(|(name, what)| (name.as_str(), what.as_str())).collect();
    assert_eq!(found, expected, "{old} → {new}");
}

#[test]
fn lost_traits_are_reported_for_every_message() {
    let with = |field: &str| {
        format!(
            "message M {{ int32 a = 1; {field} }} message O {{ M m = 1; }} message P {{ oneof k {{ M m = 1; }} }}"
        )
    };
    let all = "no longer implements Copy";
    let copies = [("p.M", all), ("p.O", all), ("p.P", all), ("p.P.k", all)];
    assert_breaks(&with(""), &with("string s = 2;"), &copies);
    let all = "no longer implements Eq, Hash";
    let hashes = [("p.M", all), ("p.O", all), ("p.P", all), ("p.P.k", all)];
    assert_breaks(&with(""), &with("double d = 2;"), &hashes);
    assert_breaks(&with("string s = 2;"), &with("string s = 2; repeated float d = 3;"), &hashes);
    // Gained traits break nothing.
    for field in ["string s = 2;", "double d = 2;"] {
        let without = with("").replace("int32 a = 1;", "int32 a = 1; reserved 2;");
        let gone = [("p.M.s", "field removed"), ("p.M.d", "field removed")];
        let gone = if field.starts_with('s') { &gone[..1] } else { &gone[1..] };
        assert_breaks(&with(field), &without, gone);
    }
}

#[test]
fn boxed_fields_are_reported() {
    let with = |field: &str| {
        format!("message M {{ N n = 1; }} message N {{ repeated M all = 1; {field} }}")
    };
    let boxed = [("p.M.n", "Rust type was Option<p.N>, is Option<Box<p.N>>")];
    assert_breaks(&with(""), &with("M m = 2;"), &boxed);
    let oneof = with("").replace("N n = 1;", "oneof k { N n = 1; }");
    let into = oneof.replace("repeated M all = 1;", "repeated M all = 1; M m = 2;");
    let boxed = [("p.M.n", "Rust type was variant of p.M.k: p.N, is variant of p.M.k: Box<p.N>")];
    assert_breaks(&oneof, &into, &boxed);
}

#[test]
fn changed_features_are_reported() {
    let with = |more: &str| {
        format!(
            "message A {{}} message B {{}} message C {{}} \
             service DriveAPI {{ rpc Go(A) returns (B); {more} }} service FileAPI {{ rpc Go(A) returns (A); }}"
        )
    };
    let options = Options::default().features(true);
    let breaks = |old: &str, new: &str| {
        let report = diff(&compile(old), &compile(new), &options).unwrap();
        let breaks = report.changes.into_iter().filter(|change| change.verdict(Source) == Breaking);
        breaks.map(|change| (change.element, change.what)).collect::<Vec<_>>()
    };
    // C was always there, and is now that of one service.
    let found = [("p.C".to_owned(), "Cargo feature was none, is drive".to_owned())];
    assert_eq!(breaks(&with(""), &with("rpc Do(C) returns (C);")), found);
    assert_eq!(breaks(&with("rpc Do(C) returns (C);"), &with("")).len(), 1);
    // B moves from one service to the other, which breaks its users. A further service that uses it does not.
    let old = with("");
    let moved = old.replace("returns (B)", "returns (A)");
    let moved = moved.replace("FileAPI { rpc Go(A) returns (A)", "FileAPI { rpc Go(A) returns (B)");
    let found = breaks(&old, &moved);
    assert!(
        found.contains(&("p.B".to_owned(), "Cargo feature was drive, is file".to_owned())),
        "{found:?}"
    );
    // The feature of a removed service is removed, too. The report has the service only.
    let three = old.clone() + " service GoneAPI { rpc Go(A) returns (B); }";
    let found = breaks(&three, &old);
    assert_eq!(found, [("p.GoneAPI".to_owned(), "service removed".to_owned())]);
    let more = old.replace("FileAPI { rpc Go(A)", "FileAPI { rpc More(B) returns (B); rpc Go(A)");
    assert_eq!(breaks(&old, &more), []);
}

#[test]
fn renames_that_are_invisible_in_rust_break_nothing() {
    for (old, new) in [
        // The variant's name does not contain the enum's.
        ("enum Kind { KIND_ANY = 0; }", "enum Kind { ANY = 0; }"),
        ("enum Kind { Z = 0; KIND_A = 1; }", "enum Kind { Z = 0; A = 1; }"),
        ("message M { string aB = 1; }", "message M { string a_b = 1; }"),
        ("message M { string aB = 1; }", "message M { string a_b = 2; }"),
        ("message FooBAR { int32 a = 1; }", "message FooBar { int32 a = 1; }"),
        (
            "message M { FooBAR f = 1; } message FooBAR {}",
            "message M { FooBar f = 1; } message FooBar {}",
        ),
        ("message M { oneof aB { string a = 1; } }", "message M { oneof a_b { string a = 1; } }"),
        (
            "message M {} service S { rpc DoIT(M) returns (M); }",
            "message M {} service S { rpc DoIt(M) returns (M); }",
        ),
        // An alias has no variant of its own.
        ("enum E { option allow_alias = true; Z = 0; Y = 0; }", "enum E { Z = 0; }"),
    ] {
        assert_breaks(old, new, &[]);
        assert!(!compared(old, new).changes.is_empty(), "{old}");
    }
}

#[test]
fn names_that_another_element_takes_are_reported() {
    // The first value with a number names the variant.
    let alias = |values: &str| format!("enum E {{ option allow_alias = true; {values} }}");
    let renamed = [("p.E.A", "Rust name was A, is B")];
    assert_breaks(&alias("A = 0;"), &alias("B = 0; A = 0;"), &renamed);
    // A new message takes the name of an existing one, which is then numbered.
    let path = [("p.FooBAR", "Rust path was p::FooBar, is p::FooBar2")];
    assert_breaks("message FooBAR {}", "message FooBar { int32 x = 1; } message FooBAR {}", &path);
}

#[test]
fn former_names_break_nothing() {
    let old = "message Old { int32 a = 1; } message M { Old o = 1; } service S { rpc Fetch(Old) returns (M); }";
    let new = "message New { int32 a = 1; } message M { New o = 1; } service S { rpc Get(New) returns (M); }";
    let options = Options::default().former_name("p.New", "Old").former_name("p.S.Get", "Fetch");
    let report = diff(&compile(old), &compile(new), &options).unwrap();
    assert_eq!(report.breaking(Source), 0, "{}", report.to_text());
    // The method's name on the wire is another one.
    assert_eq!(report.breaking(Wire), 1);
    let renames = report.renames.iter().map(|(old, new)| (old.as_str(), new.as_str()));
    assert_eq!(renames.collect::<Vec<_>>(), [("p.Old", "p.New"), ("p.S.Fetch", "p.S.Get")]);
    assert_breaks(
        old,
        new,
        &[
            ("p.M.o", "was p.Old, is p.New"),
            ("p.Old", "message removed"),
            ("p.S.Fetch", "method removed"),
        ],
    );
}

#[test]
fn declared_renames_are_compared_in_depth() {
    let old = "message Old { int32 a = 1; oneof k { string s = 2; } } enum E { A = 0; B = 1; } \
               service S { rpc Fetch(Old) returns (Old); }";
    let new = "message New { int32 b = 1; oneof k { string s = 2; } } enum F { A = 0; C = 1; } \
               service S { rpc Get(New) returns (stream New); }";
    let options = [("p.New", "Old"), ("p.F", "E"), ("p.S.Get", "Fetch")];
    let options = options
        .into_iter()
        .fold(Options::default(), |options, (name, former)| options.former_name(name, former));
    let report = diff(&compile(old), &compile(new), &options).unwrap();
    let found = |element: &str, what: &str, verdict| {
        let mut changes = report.changes.iter().filter(|change| change.element == element);
        let found = changes.find(|change| change.what == what);
        assert_eq!(
            found.map(|change| change.verdict(Source)),
            Some(verdict),
            "{}",
            report.to_text()
        );
    };
    found("p.Old", "moved to p.New", Fine);
    found("p.Old.a", "renamed to b", Breaking);
    // The alias of the message has no module with the enum of the oneof.
    found("p.Old.k", "Rust path was p::old::K, is p::new::K", Breaking);
    found("p.E.B", "renamed to C", Breaking);
    found("p.S.Fetch", "was unary, is server streaming", Breaking);
    assert_eq!(report.renames["p.Old.a"], "p.New.b");
    assert_eq!(report.renames["p.E.B"], "p.F.C");
    assert!(!report.to_text().contains("method added"), "{}", report.to_text());
}

#[test]
fn parts_of_moved_messages_move_with_them() {
    let body = "message M { oneof k { string a = 1; N n = 2; } message N {} }";
    let report =
        compared_sets(&compile_as("p", "p.proto", body), &compile_as("q", "p.proto", body));
    let mut breaks: Vec<_> = report
        .changes
        .iter()
        .filter(|change| change.verdict(Source) == Breaking)
        .map(|change| (change.element.as_str(), change.what.as_str()))
        .collect();
    breaks.sort_unstable();
    let expected = [
        ("p.M", "moved to q.M"),
        ("p.M.N", "moved to q.M.N"),
        ("p.M.k", "Rust path was p::m::K, is q::m::K"),
    ];
    assert_eq!(breaks, expected);
}

#[test]
fn elements_that_look_alike_are_proposed_as_renames() {
    let proposed = |old: &str, new: &str| {
        let report = compared(old, new);
        // They are never applied.
        assert!(report.renames.is_empty(), "{:?}", report.renames);
        report.proposals.into_iter().collect::<Vec<_>>()
    };
    let old = "message GetItemRequest { string id = 1; } message Item { string id = 1; Part part = 2; } \
               message Part { int32 a = 1; int32 b = 2; } enum Sort { SORT_ANY = 0; SORT_BY = 1; } \
               service S { rpc GetItem(GetItemRequest) returns (Item); rpc Count(Item) returns (stream Part); }";
    let new = "message FetchItemRequest { string id = 1; } message Thing { string id = 1; Piece part = 2; } \
               message Piece { int32 a = 1; int32 b = 2; } enum Order { ORDER_ANY = 0; ORDER_BY = 1; } \
               service S { rpc FetchItem(FetchItemRequest) returns (Thing); rpc CountAll(Thing) returns (stream Piece); }";
    let expected = [
        ("p.GetItemRequest", "p.FetchItemRequest"),
        ("p.Item", "p.Thing"),
        ("p.Part", "p.Piece"),
        ("p.S.Count", "p.S.CountAll"),
        ("p.S.GetItem", "p.S.FetchItem"),
        ("p.Sort", "p.Order"),
    ];
    let found = proposed(old, new);
    let found: Vec<_> = found.iter().map(|(was, is)| (was.as_str(), is.as_str())).collect();
    assert_eq!(found, expected);
    let text = compared(old, new).to_text();
    assert!(text.contains("\nperhaps a rename: p.S.GetItem p.S.FetchItem\n"), "{text}");
    for (old, new) in [
        // Other fields, no fields, another package's scope, and two that suit equally well.
        ("message FooX { int32 a = 1; }", "message FooY { int32 b = 2; }"),
        ("message FooX {}", "message FooY {}"),
        ("message FooX { int32 a = 1; }", "message O { message FooY { int32 a = 1; } }"),
        (
            "message FooX { int32 a = 1; }",
            "message FooY { int32 a = 1; } message FooZ { int32 a = 1; }",
        ),
        // One field alone is no likeness.
        ("message GetRequest { int32 a = 1; }", "message DeleteRequest { int32 a = 1; }"),
        (
            "message M {} service S { rpc Get(M) returns (M); }",
            "message M {} service S { rpc Delete(M) returns (M); }",
        ),
        (
            "message M {} service S { rpc GetItem(M) returns (M); }",
            "message M {} service S { rpc FetchItem(M) returns (stream M); }",
        ),
    ] {
        assert_eq!(proposed(old, new), [], "{old} → {new}");
    }
    // The words decide.
    let two = "message FooB { int32 a = 1; } message C { int32 a = 1; }";
    let found = proposed("message FooX { int32 a = 1; }", two);
    assert_eq!(found, [("p.FooX".to_owned(), "p.FooB".to_owned())]);
}
