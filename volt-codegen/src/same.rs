//! Finds the messages and enums that two APIs have in common.

use std::collections::{BTreeMap, BTreeSet};

use prost_types::FileDescriptorSet;

use crate::{
    Error, Options, Sources,
    bundled::VOLT_API,
    emit,
    model::{FieldKind, Message, Model},
    options::VOLT_API_TYPES,
};

/// Returns the top-level messages and enums for which the same code is generated from two APIs, such as two versions
/// of one: by full name, with their path from the root of the generated code, such as `shop::v1::Item`.
///
/// The same types have equal names, fields and values in the same order, encodings, JSON, derived traits and hidden
/// fields, and contain only types that are the same. Documentation may differ. A message with a
/// `google.protobuf.Any` is not the same, because the list of the messages inside is that of one API.
///
/// [`Options::reexport`] declares such a type, so that it is generated once.
///
/// # Errors
///
/// Same as [`generate`](crate::generate).
///
/// ```
/// # fn main() -> Result<(), volt_codegen::Error> {
/// use volt_codegen::{Options, Sources, same_types};
///
/// let api = |text: &str| {
///     let mut sources = Sources::default();
///     sources.files.insert("shop.proto".to_owned(), format!("syntax = \"proto3\"; package shop.v1; {text}"));
///     sources.compile()
/// };
/// let old = api("message Item { Price price = 1; } message Price { int64 cents = 1; } message Cart {}")?;
/// let new = api("message Item { Price price = 1; } message Price { int64 cents = 1; } message Cart { Item item = 1; }")?;
/// let same = same_types([&old, &new], [&Options::default(), &Options::default()])?;
/// let paths: Vec<_> = same.values().collect();
/// assert_eq!(paths, ["shop::v1::Item", "shop::v1::Price"]);
/// # Ok(())
/// # }
/// ```
pub fn same_types(
    sets: [&FileDescriptorSet; 2],
    options: [&Options; 2],
) -> Result<BTreeMap<String, String>, Error> {
    let [old, new] = [types(sets[0], options[0])?, types(sets[1], options[1])?];
    let mut same: BTreeSet<&String> =
        old.keys().filter(|name| old.get(*name) == new.get(*name)).collect();
    // Types may contain one another, so all are the same until one is found that is not.
    loop {
        let contains_other = |name: &&&String| {
            let mut held = old.get(**name).into_iter().flat_map(|ty| &ty.held);
            held.any(|held| !same.contains(held))
        };
        let other: Vec<_> = same.iter().filter(contains_other).copied().collect();
        if other.is_empty() {
            break;
        }
        for name in other {
            same.remove(name);
        }
    }
    let paths = old.iter().filter(|(name, _)| same.contains(name));
    Ok(paths.map(|(name, ty)| (name.clone(), ty.path.clone())).collect())
}

/// The options with the re-exports of all types that `volt-api` has as well.
pub(crate) fn sharing_volt_api(
    set: &FileDescriptorSet,
    mut options: Options,
) -> Result<Options, Error> {
    let mut sources = Sources::default();
    let files = VOLT_API.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    sources.files.extend(files);
    let same = same_types([set, &sources.compile()?], [&options, &Options::own_volt_api()])?;
    for (name, path) in same {
        options = options.reexport(name, format!("{VOLT_API_TYPES}::{path}"));
    }
    Ok(options)
}

/// A top-level message or enum.
#[derive(PartialEq, Eq)]
struct Type {
    path: String,
    code: String,
    /// The full names of the generated top-level types in its fields.
    held: BTreeSet<String>,
}

fn types(set: &FileDescriptorSet, options: &Options) -> Result<BTreeMap<String, Type>, Error> {
    let model = Model::new(set, options)?;
    let mut codes = emit::types(&model, set)?;
    let tops: BTreeSet<String> = codes.keys().cloned().collect();
    let mut types = BTreeMap::new();
    for package in &model.packages {
        let path = |ident: &String| {
            let parts = package.module.0.iter().chain([ident]);
            parts.map(String::as_str).collect::<Vec<_>>().join("::")
        };
        for message in package.messages.iter().filter(|message| !has_any(message, &model)) {
            let code = codes.remove(&message.name).unwrap_or_default();
            let ty = Type { path: path(&message.ident), code, held: held(message, &tops) };
            types.insert(message.name.clone(), ty);
        }
        for item in &package.enums {
            let code = codes.remove(&item.name).unwrap_or_default();
            let ty = Type { path: path(&item.ident), code, held: BTreeSet::new() };
            types.insert(item.name.clone(), ty);
        }
    }
    Ok(types)
}

/// The types of all fields of a message, those of its nested messages included.
fn kinds(message: &Message) -> impl Iterator<Item = &FieldKind> {
    let fields = message.with_nested().into_iter().flat_map(|message| &message.fields);
    fields.map(|field| match &field.kind {
        FieldKind::Map(_, held) => &**held,
        kind => kind,
    })
}

fn has_any(message: &Message, model: &Model) -> bool {
    model.any_types && kinds(message).any(FieldKind::is_any)
}

/// The full names of the top-level types in a message, which are among `tops`.
fn held(message: &Message, tops: &BTreeSet<String>) -> BTreeSet<String> {
    let held = kinds(message).filter_map(|kind| match kind {
        FieldKind::Message(ty) | FieldKind::Enum(ty) => outermost(&ty.name, tops),
        FieldKind::Scalar(_) | FieldKind::WellKnown(_) | FieldKind::Map(..) => None,
    });
    held.filter(|name| *name != message.name).map(str::to_owned).collect()
}

fn outermost<'a>(name: &'a str, tops: &BTreeSet<String>) -> Option<&'a str> {
    let ends = name.match_indices('.').map(|(end, _)| end).chain([name.len()]);
    ends.map(|end| &name[..end]).find(|prefix| tops.contains(*prefix))
}
