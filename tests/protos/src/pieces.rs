//! Pieces of programs that use the invented API below `tests/fork/changes/old`.

/// The code of a program that uses one element.
pub(crate) struct Piece {
    /// The full name of the element.
    pub(crate) element: &'static str,
    /// The body of a function. The package is `v1`.
    pub(crate) code: &'static str,
    /// The only feature that the program enables; otherwise all are.
    pub(crate) feature: Option<&'static str>,
}

const fn piece(element: &'static str, code: &'static str) -> Piece {
    Piece { element, code, feature: None }
}

const fn with(feature: &'static str, element: &'static str, code: &'static str) -> Piece {
    Piece { element, code, feature: Some(feature) }
}

pub(crate) const PIECES: &[Piece] = &[
    piece("acme.v1.DriveAPI", "let _ = v1::DriveApiClient::new;"),
    piece("acme.v1.DriveAPI.Keep", "let _ = |c: v1::DriveApiClient| c.keep(v1::Kept::default());"),
    piece(
        "acme.v1.DriveAPI.Remove",
        "let _ = |c: v1::DriveApiClient| c.remove(v1::Kept::default());",
    ),
    piece(
        "acme.v1.DriveAPI.Stream",
        "async fn f(c: v1::DriveApiClient) -> volt_runtime::Result<v1::Kept> { c.stream(v1::Kept::default()).await }",
    ),
    piece(
        "acme.v1.DriveAPI.Retype",
        "let _ = |c: v1::DriveApiClient| c.retype(v1::Kept::default());",
    ),
    piece("acme.v1.DriveAPI.DoIT", "let _ = |c: v1::DriveApiClient| c.do_it(v1::Kept::default());"),
    piece(
        "acme.v1.DriveAPI.Scan",
        "let _ = |c: v1::DriveApiClient| c.scan(v1::Scanned::default());",
    ),
    piece("acme.v1.FileAPI.Keep", "let _ = |c: v1::FileApiClient| c.keep(v1::Kept::default());"),
    piece("acme.v1.GoneAPI", "let _ = v1::GoneApiClient::new;"),
    piece("acme.v1.Kept", "let a = v1::Kept::default(); let b = a; let _ = (a, b);"),
    piece("acme.v1.Kept.a", "let _ = v1::Kept { a: 1, ..Default::default() };"),
    with("drive", "acme.v1.Scanned", "let _ = v1::Scanned::default();"),
    with("drive", "acme.v1.Kept", "let _ = v1::Kept::default();"),
    with("file", "acme.v1.Other", "let _ = v1::Other::default();"),
    piece("acme.v1.Fields.removed", "let _ = v1::Fields::default().removed;"),
    piece("acme.v1.Fields.renamed", "let _ = v1::Fields::default().with_renamed(\"\");"),
    piece("acme.v1.Fields.aB", "let _ = v1::Fields::default().with_a_b(\"\").a_b;"),
    piece("acme.v1.Fields.widened", "let _: i32 = v1::Fields::default().widened;"),
    piece("acme.v1.Fields.encoded", "let _: i32 = v1::Fields::default().encoded;"),
    piece("acme.v1.Fields.several", "let _: String = v1::Fields::default().several;"),
    piece("acme.v1.Fields.present", "let _: String = v1::Fields::default().present;"),
    piece("acme.v1.Fields.joins", "let _: String = v1::Fields::default().joins;"),
    piece("acme.v1.Fields.number", "let _ = v1::Fields::default().with_number(v1::Kind::None);"),
    piece("acme.v1.Fields.keys", "let _: Option<&String> = v1::Fields::default().keys.get(&1);"),
    piece("acme.v1.Fields.renumbered", "let _: i32 = v1::Fields::default().renumbered;"),
    piece("acme.v1.Fields.reused", "let _: String = v1::Fields::default().reused;"),
    piece("acme.v1.Fields.text", "let _: String = v1::Fields::default().text;"),
    piece("acme.v1.Fields.kept", "let _: String = v1::Fields::default().kept;"),
    piece("acme.v1.Fields.packed", "let _: Vec<i32> = v1::Fields::default().packed;"),
    piece("acme.v1.Copied", "let a = v1::Copied::default(); let b = a; let _ = (a, b);"),
    piece(
        "acme.v1.Hashed",
        "let mut all = std::collections::HashSet::new(); all.insert(v1::Hashed::default());",
    ),
    piece("acme.v1.Outer", "let a = v1::Outer::default(); let b = a; let _ = (a, b);"),
    piece(
        "acme.v1.Outer.inner",
        "let _ = v1::Outer { inner: Some(v1::Inner::default()), ..Default::default() };",
    ),
    piece("acme.v1.Inner", "let a = v1::Inner::default(); let b = a; let _ = (a, b);"),
    piece("acme.v1.Gone", "let _ = v1::Gone::default();"),
    piece("acme.v1.Moved", "let _ = v1::Moved::default();"),
    piece("acme.v1.FooBAR", "let _ = v1::FooBar { a: 1, ..Default::default() };"),
    piece("acme.v1.TakenNAME", "let _ = v1::TakenName { a: 1, ..Default::default() };"),
    piece("acme.v1.Choice.renamed", "let _ = v1::Choice::default().renamed;"),
    piece("acme.v1.Choice.a", "let _ = v1::Choice::default().with_a(\"\");"),
    piece(
        "acme.v1.Choice.kept",
        "let _ = v1::Choice { kept: Some(v1::choice::Kept::C(String::new())), ..Default::default() };",
    ),
    piece("acme.v1.Choice.c", "let _ = v1::Choice::default().with_c(\"\");"),
    piece("acme.v1.Kind", "let _ = v1::Kind::default();"),
    piece("acme.v1.Kind.KIND_NONE", "let _ = v1::Kind::None;"),
    piece("acme.v1.Kind.KIND_REMOVED", "let _ = v1::Kind::Removed;"),
    piece("acme.v1.Kind.KIND_RENAMED", "let _ = v1::Kind::Renamed;"),
    piece("acme.v1.Kind.KIND_SAME", "let _ = v1::Kind::Same;"),
    piece("acme.v1.Kind.KIND_FIRST", "let _ = v1::Kind::First;"),
];
