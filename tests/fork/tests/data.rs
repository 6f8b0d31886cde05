//! Data of an invented API and of its next version, written by one and read by the other: the values that are lost
//! are those for which the report of the changes promises it.

#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, fs, path::Path};

use volt_api::__private::{
    prost,
    serde::{Serialize, de::DeserializeOwned},
};
use volt_codegen::{
    Options, Sources,
    diff::{Report, Surface, Verdict, diff},
};
use volt_fork::{changes_new::acme::v1 as new, changes_old::acme::v1 as old};

/// A message and, if it can be read as the other version, what is found there.
trait Data: prost::Message + Default + Serialize + DeserializeOwned {}

impl<T: prost::Message + Default + Serialize + DeserializeOwned> Data for T {}

/// The losses of one value, in binary and JSON.
#[derive(Debug, Default, PartialEq, Eq)]
struct Lost {
    wire: bool,
    json: bool,
}

/// Writes a message, reads it as the other version, and tests whether its value is found.
fn pass<A: Data, B: Data>(lost: &mut Lost, written: &A, is_found: impl Fn(&B) -> bool) {
    let read = B::decode(written.encode_to_vec().as_slice());
    lost.wire |= !read.is_ok_and(|read| is_found(&read));
    let read = serde_json::from_str::<B>(&serde_json::to_string(written).unwrap());
    lost.json |= !read.is_ok_and(|read| is_found(&read));
}

/// Both directions.
fn lost(
    there: (&old::Fields, impl Fn(&new::Fields) -> bool),
    back: (&new::Fields, impl Fn(&old::Fields) -> bool),
) -> Lost {
    let mut lost = Lost::default();
    pass(&mut lost, there.0, there.1);
    pass(&mut lost, back.0, back.1);
    lost
}

/// An expression for both versions, and how each finds the value of the other.
macro_rules! fields {
    ($($element:literal: $there:expr => $found:expr, $back:expr => $known:expr;)*) => {
        vec![$(($element, lost((&$there, $found), (&$back, $known)))),*]
    };
}

fn seen() -> Vec<(&'static str, Lost)> {
    let from = old::Fields::default;
    let to = new::Fields::default;
    fields! {
        "Fields.renamed": from().with_renamed("x") => |read| read.renamed_since == "x",
            to().with_renamed_since("x") => |read| read.renamed == "x";
        "Fields.aB": from().with_a_b("x") => |read| read.a_b == "x",
            to().with_a_b("x") => |read| read.a_b == "x";
        "Fields.widened": from().with_widened(7) => |read| read.widened == 7,
            to().with_widened(7) => |read| read.widened == 7;
        "Fields.encoded": from().with_encoded(7) => |read| read.encoded == 7,
            to().with_encoded(7) => |read| read.encoded == 7;
        "Fields.several": from().with_several("x") => |read| read.several == ["x"],
            to().with_several(["x"]) => |read| read.several == "x";
        "Fields.present": from().with_present("x") => |read| read.present.as_deref() == Some("x"),
            to().with_present("x") => |read| read.present == "x";
        "Fields.joins": from().with_joins("x") => |read| read.joined.is_some(),
            to().with_joins("x") => |read| read.joins == "x";
        "Fields.number": from().with_number(old::Kind::First) => |read| read.number == 4,
            to().with_number(4) => |read| read.number == 4;
        "Fields.keys": from().with_keys(BTreeMap::from([(1, "x".to_owned())])) => |read| read.keys.contains_key("1"),
            to().with_keys(BTreeMap::from([("one".to_owned(), "x".to_owned())])) => |read| !read.keys.is_empty();
        "Fields.renumbered": from().with_renumbered(7) => |read| read.renumbered == 7,
            to().with_renumbered(7) => |read| read.renumbered == 7;
        "Fields.text": from().with_text("h\u{e9}!") => |read| read.text == "h\u{e9}!".as_bytes(),
            to().with_text("hey".as_bytes().to_vec()) => |read| read.text == "hey";
        "Fields.kept": from().with_kept("x") => |read| read.kept == "x",
            to().with_kept("x") => |read| read.kept == "x";
        "Fields.packed": from().with_packed([1, 2]) => |read| read.packed == [1, 2],
            to().with_packed([1, 2]) => |read| read.packed == [1, 2];
    }
}

fn report() -> Report {
    let compiled = |version: &str| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("changes").join(version);
        let mut sources = Sources::default();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            sources.files.insert(name, fs::read_to_string(&path).unwrap());
        }
        sources.compile().unwrap()
    };
    diff(&compiled("old"), &compiled("new"), &Options::default()).unwrap()
}

#[test]
fn the_report_predicts_all_losses_of_data() {
    let report = report();
    let mut differences = Vec::new();
    for (element, seen) in seen() {
        let changes: Vec<_> = report
            .changes
            .iter()
            .filter(|change| change.element == format!("acme.v1.{element}"))
            .collect();
        let breaks =
            |surface| changes.iter().any(|change| change.verdict(surface) == Verdict::Breaking);
        let promised = Lost { wire: breaks(Surface::Wire), json: breaks(Surface::Json) };
        if promised != seen {
            differences.push(format!("{element}: promised {promised:?}, seen {seen:?}"));
        }
    }
    assert!(differences.is_empty(), "{differences:#?}");
}
