//! `google.protobuf.Any`: the message inside, with the URL of its type.
//!
//! The JSON form needs the message's type. It is looked up by name among the types that were generated
//! with the field, protobuf's own types ([`well_known`]), and those that the program has registered.

mod tree;

use std::{
    collections::BTreeMap,
    fmt::Debug,
    marker::PhantomData,
    sync::{PoisonError, RwLock},
};

use prost::Message as _;
use prost_types::Any;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::Error as _};

use self::tree::Tree;
use super::{
    Form,
    codec::{Codec, Plain},
    depth,
    output::Output,
    well_known,
};
use crate::Message;

/// The member with the URL of the type.
const TYPE: &str = "@type";
/// The member with the value of a type that is not an object in JSON, or has a special form.
const VALUE: &str = "value";
/// The type that contains further types, which are those of the outer value.
const ANY: &str = "google.protobuf.Any";

/// A message that a `google.protobuf.Any` may contain.
#[derive(Clone, Copy, Debug)]
pub struct AnyType {
    name: &'static str,
    /// Set if the message is the member `value`, and not the object itself.
    special: bool,
    read: fn(&str) -> Result<Vec<u8>, serde_json::Error>,
    write: fn(&[u8], &mut Vec<u8>) -> Result<(), String>,
}

/// A list of types that were generated together.
pub trait AnyTypes: Debug {
    /// The types, sorted by name.
    const TYPES: &'static [AnyType];
}

/// The codec of `google.protobuf.Any` with the types of `R`.
#[derive(Clone, Copy, Debug)]
pub struct AnyOf<R>(PhantomData<R>);

/// The types that the program has registered.
static REGISTERED: RwLock<BTreeMap<&'static str, AnyType>> = RwLock::new(BTreeMap::new());

/// Registers a message that a `google.protobuf.Any` may contain in JSON, for the whole program.
///
/// The types that were generated together with the field need no registration, and neither do those of
/// protobuf: all messages of its files `any`, `api`, `duration`, `empty`, `field_mask`, `source_context`,
/// `struct`, `timestamp`, `type` and `wrappers`, and `FileDescriptorSet` and `FileDescriptorProto`. Types of
/// other crates do, and so do the other messages of `descriptor.proto` and `plugin.proto`.
///
/// ```
/// volt_runtime::json::register::<volt_runtime::json::Empty>();
/// ```
pub fn register<M: Message>() {
    let mut registered = REGISTERED.write().unwrap_or_else(PoisonError::into_inner);
    registered.insert(M::NAME, AnyType::of::<M>());
}

impl AnyType {
    /// The type of a generated message.
    #[must_use]
    pub const fn of<M: Message>() -> Self {
        Self { name: M::NAME, special: false, read: read::<M>, write: write::<M> }
    }

    /// A type with a special form in JSON.
    pub(super) const fn special<M: Message>() -> Self {
        Self { special: true, ..Self::of::<M>() }
    }

    /// Looks up the type of a URL, of which only the part after the last slash matters.
    fn find(own: &[Self], url: &str) -> Result<Self, String> {
        let name = url.rsplit_once('/').map(|(_, name)| name).filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| {
            format!("`{url}` is not the URL of a type, such as type.googleapis.com/package.Message")
        })?;
        let generated = own.binary_search_by(|ty| ty.name.cmp(name)).ok();
        let generated = generated.map(|index| own[index]);
        let well_known = || well_known::TYPES.iter().find(|ty| ty.name == name).copied();
        let registered = || {
            let registered = REGISTERED.read().unwrap_or_else(PoisonError::into_inner);
            registered.get(name).copied()
        };
        generated.or_else(well_known).or_else(registered).ok_or_else(|| {
            format!("the type of `{url}` is unknown: `json::register` makes its message known")
        })
    }
}

fn read<M: Message>(text: &str) -> Result<Vec<u8>, serde_json::Error> {
    super::read_text::<M>(text).map(|message| message.encode_to_vec())
}

fn write<M: Message>(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    let message = M::decode(bytes).map_err(|error| error.to_string())?;
    message.serialize(&mut Output::new(out, Form::Plain)).map_err(|error| error.to_string())
}

impl<R: AnyTypes> Codec<Any> for AnyOf<R> {
    fn read<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Any>, D::Error> {
        let tree = Tree::deserialize(input)?;
        from_tree(R::TYPES, tree).map(Some).map_err(D::Error::custom)
    }

    fn write<S: Serializer>(value: &Any, output: S) -> Result<S::Ok, S::Error> {
        to_tree(R::TYPES, value).map_err(S::Error::custom)?.serialize(output)
    }
}

/// Without types that were generated together.
impl Codec<Any> for Plain {
    fn read<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Any>, D::Error> {
        AnyOf::<Nothing>::read(input)
    }

    fn write<S: Serializer>(value: &Any, output: S) -> Result<S::Ok, S::Error> {
        AnyOf::<Nothing>::write(value, output)
    }
}

#[derive(Debug)]
struct Nothing;

impl AnyTypes for Nothing {
    const TYPES: &'static [AnyType] = &[];
}

fn from_tree(own: &[AnyType], tree: Tree) -> Result<Any, String> {
    let _nested = depth::enter_any()?;
    let Tree::Object(mut members) = tree else {
        return Err(format!("a `google.protobuf.Any` must be an object with the member `{TYPE}`"));
    };
    if members.is_empty() {
        return Ok(Any::default());
    }
    let place = members.iter().position(|(name, _)| name == TYPE);
    let Some((_, Tree::Text(url))) = place.map(|place| members.remove(place)) else {
        return Err(format!("a `google.protobuf.Any` must have the member `{TYPE}` with a URL"));
    };
    let ty = AnyType::find(own, &url)?;
    let held = if ty.special {
        let value = members.into_iter().find(|(name, _)| name == VALUE);
        value.ok_or_else(|| format!("the `{url}` has no member `{VALUE}`"))?.1
    } else {
        Tree::Object(members)
    };
    let value = if ty.name == ANY {
        from_tree(own, held).map(|inner| inner.encode_to_vec())
    } else {
        let text = serde_json::to_string(&held);
        // The tree takes several times the memory of its text.
        drop(held);
        text.and_then(|text| (ty.read)(&text)).map_err(|error| unplaced(&error))
    };
    let value = value.map_err(|error| format!("in the `{url}`: {error}"))?;
    Ok(Any { type_url: url, value })
}

fn to_tree(own: &[AnyType], any: &Any) -> Result<Tree, String> {
    let _nested = depth::enter_any()?;
    if any.type_url.is_empty() && any.value.is_empty() {
        return Ok(Tree::Object(Vec::new()));
    }
    let ty = AnyType::find(own, &any.type_url)?;
    let within = |error: &dyn std::fmt::Display| format!("in the `{}`: {error}", any.type_url);
    let held = if ty.name == ANY {
        let inner = Any::decode(&*any.value).map_err(|error| within(&error))?;
        to_tree(own, &inner).map_err(|error| within(&error))?
    } else {
        let mut text = Vec::new();
        (ty.write)(&any.value, &mut text).map_err(|error| within(&error))?;
        serde_json::from_slice(&text).map_err(|error| within(&error))?
    };
    let mut members = vec![(TYPE.to_owned(), Tree::Text(any.type_url.clone()))];
    match held {
        Tree::Object(fields) if !ty.special => members.extend(fields),
        other => members.push((VALUE.to_owned(), other)),
    }
    Ok(Tree::Object(members))
}

/// Removes the position from an error, because it refers to the text of the inner message.
fn unplaced(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(text, _)| text.to_owned())
}
