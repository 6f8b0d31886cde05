//! Types that two versions of an API have in common are generated once.

#![allow(clippy::unwrap_used)]

mod common;

use common::{api, output};
use prost_types::FileDescriptorSet;
use volt_codegen::{Layout, Options, Sources, VOLT_API, generate, same_types};

/// A version of an API, with a service for each of two messages.
const BASE: &str = "
    service ShopAPI { rpc Get(Item) returns (Answer); }
    service CartAPI { rpc Put(Cart) returns (Answer); }
    message Status { int32 code = 1; string message = 2; string description = 3; }
    message Answer { Status status = 1; }
    message Item { string name = 1; Price price = 2; Kind kind = 3; oneof of { int32 a = 4; string b = 5; } }
    message Price { int64 cents = 1; optional string note = 2; message Part { int32 n = 1; } Part part = 3; }
    message Cart { map<string, Item> items = 1; repeated Node nodes = 2; }
    message Node { Leaf leaf = 1; }
    message Leaf { Node node = 1; double weight = 2; }
    enum Kind { KIND_NONE = 0; KIND_ONE = 1; }
";
const ALL: [&str; 8] = ["Answer", "Cart", "Item", "Kind", "Leaf", "Node", "Price", "Status"];

fn compile(body: &str) -> FileDescriptorSet {
    let mut sources = Sources::default();
    let text = format!("syntax = \"proto3\"; package acme.shop.v1; {body}");
    sources.files.insert("shop.proto".to_owned(), text);
    sources.compile().unwrap_or_else(|error| panic!("{error}"))
}

fn options() -> Options {
    Options::default().status("acme.shop.v1.Status").root("acme")
}

/// The types of the base that are the same after a change.
fn same_after(from: &str, to: &str) -> Vec<String> {
    let changed = BASE.replacen(from, to, 1);
    assert_ne!(changed, BASE, "{from}");
    same(&compile(&changed), &options())
}

fn same(set: &FileDescriptorSet, other: &Options) -> Vec<String> {
    let same = same_types([&compile(BASE), set], [&options(), other]).unwrap();
    let short = |(name, path): (&String, &String)| {
        let own = name.strip_prefix("acme.shop.v1.").unwrap().to_owned();
        assert_eq!(*path, format!("shop::v1::{own}"));
        own
    };
    same.iter().map(short).collect()
}

/// All types without these.
fn without(other: &[&str]) -> Vec<&'static str> {
    ALL.into_iter().filter(|name| !other.contains(name)).collect()
}

#[test]
fn a_change_separates_a_type_and_all_that_contain_it() {
    for (from, to, other) in [
        ("string name = 1;", "string name = 1; string more = 9;", &["Item", "Cart"][..]),
        ("string name = 1;", "string name = 11;", &["Item", "Cart"]),
        ("string name = 1;", "string title = 1;", &["Item", "Cart"]),
        ("string name = 1;", "bytes name = 1;", &["Item", "Cart"]),
        ("string name = 1;", "optional string name = 1;", &["Item", "Cart"]),
        ("string name = 1;", "string name = 1 [json_name = \"n\"];", &["Item", "Cart"]),
        ("string name = 1;", "string name = 1 [deprecated = true];", &["Item", "Cart"]),
        // The same Rust type in another encoding.
        ("int32 a = 4;", "sint32 a = 4;", &["Item", "Cart"]),
        ("int32 a = 4; string b = 5; }", "int32 a = 4; } string b = 5;", &["Item", "Cart"]),
        ("int32 n = 1;", "int32 n = 1; int32 m = 2;", &["Price", "Item", "Cart"]),
        ("KIND_ONE = 1;", "KIND_ONE = 1; KIND_TWO = 2;", &["Kind", "Item", "Cart"]),
        // In a cycle of messages.
        ("double weight = 2;", "float weight = 2;", &["Leaf", "Node", "Cart"]),
        // The response of a method is an error if its status is.
        ("returns (Answer); }\n    service Cart", "returns (Price); }\n    service Cart", &[]),
        ("message Leaf", "message Extra {} message Leaf", &[]),
    ] {
        assert_eq!(same_after(from, to), without(other), "{from} to {to}");
    }
}

#[test]
fn comments_reserved_numbers_and_methods_do_not_separate_types() {
    for (from, to) in [
        ("message Item {", "// Other words.\n message Item { reserved 77; reserved \"old\";"),
        ("string name = 1;", "// A name.\n string name = 1;"),
        ("rpc Get(Item) returns (Answer);", "rpc Find(stream Item) returns (stream Answer);"),
    ] {
        assert_eq!(same_after(from, to), ALL, "{from}");
    }
}

#[test]
fn options_that_change_the_code_separate_types() {
    let set = compile(BASE);
    let other = |options: Options| same(&set, &options);
    assert_eq!(other(options().secret("note")), without(&["Price", "Item", "Cart"]));
    assert_eq!(
        other(options().rename("acme.shop.v1.Kind", "Sort")),
        without(&["Kind", "Item", "Cart"])
    );
    // Features, files and accessors have no effect on the types.
    let features = options().features(true).accessors("crate::Client").layout(Layout::Single);
    assert_eq!(other(features), ALL);
    assert!(same_types([&set, &set], [&options(), &Options::default()]).unwrap().is_empty());
}

#[test]
fn messages_with_any_are_not_shared() {
    let any = "import \"google/protobuf/any.proto\";
        message Box { google.protobuf.Any content = 1; } message Shelf { Box box = 1; } message Nail {}";
    let set = compile(any);
    let same = same_types([&set, &set], [&options(), &options()]).unwrap();
    assert_eq!(same.into_keys().collect::<Vec<_>>(), ["acme.shop.v1.Nail"]);
}

#[test]
fn shared_types_are_reexported_and_need_the_feature_of_the_older_version() {
    let old = compile(BASE);
    let new = compile(&BASE.replacen("double weight = 2;", "float weight = 2;", 1));
    let new_options = options().features(true);
    let same = same_types([&old, &new], [&options(), &new_options]).unwrap();

    let old_options = same.iter().fold(options(), |options, (name, path)| {
        options.reexport(name, format!("crate::current::{path}"))
    });
    let output = generate(&old, &old_options).unwrap();
    let text = |path: &str| {
        let file = output.files.iter().find(|file| file.path == path);
        file.unwrap_or_else(|| panic!("{path} is there")).contents.clone()
    };
    assert_eq!(
        text("shop/v1/mod.rs"),
        "// @generated by `volt-codegen`. Do not edit.\n\n\
         mod cart;\nmod shop;\n\n\
         pub use self::cart::*;\npub use self::shop::*;\n\n\
         #[doc(inline)]\npub use crate::current::shop::v1::{\n    Answer,\n    Item,\n    Kind,\n    Price,\n    \
         Status,\n    item,\n    price,\n};\n"
    );
    let messages = text("shop/v1/cart/messages.rs");
    for own in ["pub struct Cart", "pub struct Node", "pub struct Leaf"] {
        assert!(messages.contains(own), "{own} in {messages}");
    }
    assert!(messages.contains("BTreeMap<String, Item>"), "{messages}");
    assert!(!messages.contains("pub struct Item"), "{messages}");

    let new_options =
        same.into_keys().fold(new_options, |options, name| options.also_with(name, "v0"));
    let output = generate(&new, &new_options).unwrap();
    let module = output.files.iter().find(|file| file.path == "shop/v1/mod.rs").unwrap();
    for part in [
        "#[cfg(feature = \"cart\")]\nmod cart;\n",
        "#[cfg(any(feature = \"cart\", feature = \"shop\", feature = \"v0\"))]\nmod shared_by_3;\n",
    ] {
        assert!(module.contents.contains(part), "{part} in {}", module.contents);
    }
}

#[test]
fn a_path_of_another_name_is_refused() {
    let set = compile(BASE);
    for path in ["crate::current::Thing", "Item", "crate:: ::Item"] {
        let error = generate(&set, &options().reexport("acme.shop.v1.Item", path)).unwrap_err();
        assert!(error.to_string().contains(path), "{error}");
    }
}

#[test]
fn a_fork_shares_the_types_that_it_did_not_change() {
    let mut fork = Sources::default();
    let files = VOLT_API.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    fork.files.extend(files);
    let volt = fork.files.get_mut("tdx/volt_api/volt/v1/volt.proto").unwrap();
    *volt = volt.replacen("message Resource {", "message Resource { string mood = 900;", 1);
    let text = |share| {
        output(&fork, &Options::own_volt_api().share_volt_api(share)).files[0].contents.clone()
    };
    let (own, shared) = (text(false), text(true));
    assert!(own.contains("pub struct Status") && own.contains("pub struct Resource"));
    assert!(!shared.contains("pub struct Status") && shared.contains("pub struct Resource"));
    assert!(
        shared.contains("pub use ::volt_api::api::volt::v1::{\n"),
        "types are those of the SDK"
    );
    assert!(shared.contains("::volt_api::__private::same_volt_api("));
}

#[test]
fn only_a_version_of_the_volt_api_shares_its_types() {
    let error = generate(&compile(BASE), &Options::volt_api().share_volt_api(true)).unwrap_err();
    assert!(error.to_string().contains("`share_volt_api`"), "{error}");
}

/// Some types of the SDK's versions are the same, and some are not.
#[test]
fn versions_of_the_volt_api_share_types() {
    let [old, new] = ["0.15.1", "0.20.34"].map(|version| api(version).compile().unwrap());
    let same = same_types([&old, &new], [&Options::default(), &Options::default()]).unwrap();
    assert!(same.contains_key("tdx.volt_api.volt.v1.Status"), "{same:?}");
    assert!(!same.contains_key("tdx.volt_api.volt.v1.Resource"), "{same:?}");
}
