//! Documents as JSON, and JSON into documents.
//!
//! A document is an object of its roots. The kind of a root's shared type is unknown until a client uses
//! it, so its content decides: entries with names are an object, characters a text, other elements an
//! array. A root without content is left out.

use std::{collections::HashMap, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map as Object, Number, Value};
use volt_api::Status;
use yrs::{
    Any, Array as _, ArrayPrelim, ArrayRef, GetString as _, In, Map as _, MapPrelim, MapRef, Out,
    ReadTxn, Text as _, TextRef, TransactionMut, WriteTxn as _, any, branch::BranchPtr,
};

use super::path::Step;
use crate::error::precondition;

/// The kind of a root's shared type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Map,
    Array,
    Text,
    Xml,
}

impl Kind {
    /// Returns the kind with this name, as Yjs or others write it.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        match name.strip_prefix('y').unwrap_or(&name) {
            "map" | "object" => Some(Self::Map),
            "array" | "list" => Some(Self::Array),
            "text" | "string" => Some(Self::Text),
            "xml" | "xmlfragment" | "xmlelement" | "xmltext" => Some(Self::Xml),
            _ => None,
        }
    }

    /// Returns whether a root of this kind may have this value.
    pub(crate) fn accepts(self, value: &Value) -> bool {
        match self {
            Self::Map => value.is_object(),
            Self::Array => value.is_array(),
            Self::Text => value.is_string(),
            // An element has attributes, a fragment has none.
            Self::Xml => !value.is_null(),
        }
    }

    /// Returns the value of a root of this kind that has no content.
    pub(crate) fn empty(self) -> Value {
        match self {
            Self::Map => Value::Object(Object::new()),
            Self::Array => Value::Array(Vec::new()),
            Self::Text | Self::Xml => Value::String(String::new()),
        }
    }
}

/// Returns a document as JSON.
pub(crate) fn to_json<T: ReadTxn>(txn: &T) -> Value {
    let roots = txn.root_refs().filter_map(|(name, root)| {
        let value = from_out(root, txn);
        (!value.is_null()).then(|| (name.to_owned(), value))
    });
    Value::Object(roots.collect())
}

fn from_out<T: ReadTxn>(out: Out, txn: &T) -> Value {
    match out {
        Out::Any(any) => from_any(&any),
        Out::YText(text) => Value::String(text.get_string(txn)),
        Out::YArray(array) => from_array(&array, txn),
        Out::YMap(map) => from_map(&map, txn),
        Out::YXmlElement(element) => Value::String(element.get_string(txn)),
        Out::YXmlFragment(fragment) => Value::String(fragment.get_string(txn)),
        Out::YXmlText(text) => Value::String(text.get_string(txn)),
        Out::YDoc(document) => Value::String(document.guid().to_string()),
        Out::UndefinedRef(branch) => guess(branch, txn),
    }
}

fn guess<T: ReadTxn>(branch: BranchPtr, txn: &T) -> Value {
    let map = MapRef::from(branch);
    if map.len(txn) > 0 {
        return from_map(&map, txn);
    }
    let text = TextRef::from(branch).get_string(txn);
    if !text.is_empty() {
        return Value::String(text);
    }
    let array = ArrayRef::from(branch);
    if array.len(txn) > 0 { from_array(&array, txn) } else { Value::Null }
}

fn from_map<T: ReadTxn>(map: &MapRef, txn: &T) -> Value {
    Value::Object(map.iter(txn).map(|(name, out)| (name.to_owned(), from_out(out, txn))).collect())
}

fn from_array<T: ReadTxn>(array: &ArrayRef, txn: &T) -> Value {
    Value::Array(array.iter(txn).map(|out| from_out(out, txn)).collect())
}

fn from_any(any: &Any) -> Value {
    match any {
        Any::Null | Any::Undefined => Value::Null,
        Any::Bool(bool) => Value::Bool(*bool),
        Any::Number(any::Number::Int(number)) => Value::Number((*number).into()),
        Any::Number(any::Number::Float(number)) => from_float(*number),
        Any::String(text) => Value::String(text.to_string()),
        Any::Buffer(bytes) => Value::String(STANDARD.encode(bytes)),
        Any::Array(values) => Value::Array(values.iter().map(from_any).collect()),
        Any::Map(entries) => Value::Object(
            entries.iter().map(|(name, value)| (name.clone(), from_any(value))).collect(),
        ),
    }
}

/// The numbers of JavaScript are all floating-point; whole ones are written without a fraction.
#[expect(clippy::cast_possible_truncation, reason = "the number is whole and small")]
fn from_float(number: f64) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= EXACT {
        return Value::Number((number as i64).into());
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

fn to_any(value: &Value) -> Any {
    match value {
        Value::Null => Any::Null,
        Value::Bool(bool) => Any::Bool(*bool),
        Value::Number(number) => match number.as_i64() {
            Some(number) => Any::Number(any::Number::Int(number)),
            None => Any::Number(any::Number::Float(number.as_f64().unwrap_or_default())),
        },
        Value::String(text) => Any::String(text.as_str().into()),
        Value::Array(values) => Any::Array(values.iter().map(to_any).collect()),
        Value::Object(entries) => {
            let entries = entries.iter().map(|(name, value)| (name.clone(), to_any(value)));
            Any::Map(Arc::new(entries.collect::<HashMap<_, _>>()))
        }
    }
}

/// Returns a new value: objects and arrays become shared types, whose parts can be changed separately.
fn to_in(value: &Value) -> In {
    match value {
        Value::Array(values) => In::Array(values.iter().map(to_in).collect::<ArrayPrelim>()),
        Value::Object(entries) => {
            let entries = entries.iter().map(|(name, value)| (name.as_str(), to_in(value)));
            In::Map(entries.collect::<MapPrelim>())
        }
        plain => In::Any(to_any(plain)),
    }
}

/// Writes a value at a path, whose missing objects are created. `kind` is the kind of the root, if
/// it is known.
pub(crate) fn write(
    txn: &mut TransactionMut<'_>,
    path: &[Step],
    value: &Value,
    kind: Option<Kind>,
) -> Result<(), Status> {
    let Some((Step::Name(root), rest)) = path.split_first() else {
        return Err(precondition("a path starts with the name of a root"));
    };
    let present = txn.get(root.as_str()).map(|out| from_out(out, txn));
    let kind = kind.or_else(|| match (present, rest.first()) {
        (Some(Value::Object(_)), _) => Some(Kind::Map),
        (Some(Value::String(_)), _) => Some(Kind::Text),
        (Some(Value::Array(_)), _) | (_, Some(Step::Index(_))) => Some(Kind::Array),
        (_, Some(_)) => Some(Kind::Map),
        (_, None) => match value {
            Value::Object(_) => Some(Kind::Map),
            Value::Array(_) => Some(Kind::Array),
            Value::String(_) => Some(Kind::Text),
            _ => None,
        },
    });
    match kind {
        Some(Kind::Map) => {
            let map = txn.get_or_insert_map(root.as_str());
            set_in_map(txn, &map, rest, value)
        }
        Some(Kind::Array) => {
            let array = txn.get_or_insert_array(root.as_str());
            set_in_array(txn, &array, rest, value)
        }
        Some(Kind::Text) if rest.is_empty() => {
            let text = txn.get_or_insert_text(root.as_str());
            set_text(txn, &text, value)
        }
        Some(Kind::Text | Kind::Xml) => Err(precondition("the path leads into a text")),
        None => Err(precondition("a root is an object, an array or a text")),
    }
}

fn set_in_map(
    txn: &mut TransactionMut<'_>,
    map: &MapRef,
    path: &[Step],
    value: &Value,
) -> Result<(), Status> {
    let Some((step, rest)) = path.split_first() else { return assign_map(txn, map, value) };
    let Step::Name(name) = step else {
        return Err(precondition("the path has an index where there is an object"));
    };
    let present = map.get(txn, name);
    if rest.is_empty() {
        return match present {
            Some(present) if from_out(present.clone(), txn) == *value => Ok(()),
            Some(present) if assign(txn, &present, value)? => Ok(()),
            _ => {
                map.insert(txn, name.as_str(), to_in(value));
                Ok(())
            }
        };
    }
    match present {
        Some(Out::Any(Any::Null | Any::Undefined)) | None => {
            let created = created(rest, value)?;
            map.insert(txn, name.as_str(), to_in(&created));
            Ok(())
        }
        Some(Out::Any(plain)) => {
            let changed = changed(&plain, rest, value)?;
            map.insert(txn, name.as_str(), changed);
            Ok(())
        }
        Some(shared) => set_in_shared(txn, shared, rest, value),
    }
}

fn set_in_array(
    txn: &mut TransactionMut<'_>,
    array: &ArrayRef,
    path: &[Step],
    value: &Value,
) -> Result<(), Status> {
    let Some((step, rest)) = path.split_first() else { return assign_array(txn, array, value) };
    let Step::Index(index) = *step else {
        return Err(precondition("the path has a name where there is an array"));
    };
    let length = array.len(txn);
    if index > length {
        let message = format!("the array has {length} elements, and no element {index}");
        return Err(precondition(message));
    }
    if index == length {
        let created = if rest.is_empty() { value.clone() } else { created(rest, value)? };
        array.push_back(txn, to_in(&created));
        return Ok(());
    }
    let present = array.get(txn, index).unwrap_or_default();
    let new = match present {
        present if rest.is_empty() => {
            if from_out(present.clone(), txn) == *value || assign(txn, &present, value)? {
                return Ok(());
            }
            to_in(value)
        }
        Out::Any(plain) => changed(&plain, rest, value)?.into(),
        shared => return set_in_shared(txn, shared, rest, value),
    };
    array.remove(txn, index);
    array.insert(txn, index, new);
    Ok(())
}

fn set_in_shared(
    txn: &mut TransactionMut<'_>,
    shared: Out,
    path: &[Step],
    value: &Value,
) -> Result<(), Status> {
    match shared {
        Out::YMap(map) => set_in_map(txn, &map, path, value),
        Out::YArray(array) => set_in_array(txn, &array, path, value),
        _ => Err(precondition("the path leads into a text or another document")),
    }
}

/// Sets the value of a shared type. Returns false if it is of another kind.
fn assign(txn: &mut TransactionMut<'_>, shared: &Out, value: &Value) -> Result<bool, Status> {
    match (shared, value) {
        (Out::YMap(map), Value::Object(_)) => assign_map(txn, map, value)?,
        (Out::YArray(array), Value::Array(_)) => assign_array(txn, array, value)?,
        (Out::YText(text), Value::String(_)) => set_text(txn, text, value)?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn assign_map(txn: &mut TransactionMut<'_>, map: &MapRef, value: &Value) -> Result<(), Status> {
    let Value::Object(entries) = value else {
        return Err(precondition("the value is not an object, but the root is"));
    };
    let names: Vec<String> = map.keys(txn).map(str::to_owned).collect();
    for name in names.iter().filter(|name| !entries.contains_key(*name)) {
        map.remove(txn, name);
    }
    for (name, value) in entries {
        set_in_map(txn, map, &[Step::Name(name.clone())], value)?;
    }
    Ok(())
}

fn assign_array(
    txn: &mut TransactionMut<'_>,
    array: &ArrayRef,
    value: &Value,
) -> Result<(), Status> {
    let Value::Array(values) = value else {
        return Err(precondition("the value is not an array, but the root is"));
    };
    let present = from_array(array, txn);
    let present = present.as_array().map(Vec::as_slice).unwrap_or_default();
    // Unchanged elements at both ends are kept, with the changes of others in them.
    let same = |(one, other): &(&Value, &Value)| one == other;
    let front = present.iter().zip(values).take_while(same).count();
    let rest = (&present[front..], &values[front..]);
    let back = rest.0.iter().rev().zip(rest.1.iter().rev()).take_while(same).count();
    let (removed, added) = (rest.0.len() - back, &rest.1[..rest.1.len() - back]);
    let at = index(front)?;
    if removed > 0 {
        array.remove_range(txn, at, index(removed)?);
    }
    for (offset, value) in added.iter().enumerate() {
        array.insert(txn, index(front + offset)?, to_in(value));
    }
    Ok(())
}

/// Replaces the part of a text that differs.
fn set_text(txn: &mut TransactionMut<'_>, text: &TextRef, value: &Value) -> Result<(), Status> {
    let Value::String(new) = value else {
        return Err(precondition("the value is not a text, but the root is"));
    };
    let old: Vec<char> = text.get_string(txn).chars().collect();
    let new: Vec<char> = new.chars().collect();
    let front = old.iter().zip(&new).take_while(|(one, other)| one == other).count();
    let (old_rest, new_rest) = (&old[front..], &new[front..]);
    let pairs = old_rest.iter().rev().zip(new_rest.iter().rev());
    let back = pairs.take_while(|(one, other)| one == other).count();
    let units = |chars: &[char]| index(chars.iter().map(|char| char.len_utf16()).sum());
    let at = units(&old[..front])?;
    let removed = units(&old_rest[..old_rest.len() - back])?;
    if removed > 0 {
        text.remove_range(txn, at, removed);
    }
    let added: String = new_rest[..new_rest.len() - back].iter().collect();
    if !added.is_empty() {
        text.insert(txn, at, &added);
    }
    Ok(())
}

fn index(number: usize) -> Result<u32, Status> {
    u32::try_from(number).map_err(|_| precondition("the document is too long"))
}

/// Returns a new value that has `value` at a path.
fn created(path: &[Step], value: &Value) -> Result<Value, Status> {
    let mut created = value.clone();
    for step in path.iter().rev() {
        created = match step {
            Step::Name(name) => Value::Object([(name.clone(), created)].into_iter().collect()),
            Step::Index(0) => Value::Array(vec![created]),
            _ => return Err(precondition("the path has an index beyond the end of an array")),
        };
    }
    Ok(created)
}

/// Returns a copy of a plain value with another value at a path.
fn changed(plain: &Any, path: &[Step], value: &Value) -> Result<Any, Status> {
    let mut whole = from_any(plain);
    let mut place = &mut whole;
    for (position, step) in path.iter().enumerate() {
        if place.is_null() {
            *place = created(&path[position..], value)?;
            return Ok(to_any(&whole));
        }
        place = match (step, place) {
            (Step::Name(name), Value::Object(entries)) => {
                entries.entry(name.clone()).or_insert(Value::Null)
            }
            (Step::Index(index), Value::Array(values)) if *index as usize <= values.len() => {
                if *index as usize == values.len() {
                    values.push(Value::Null);
                }
                &mut values[*index as usize]
            }
            _ => return Err(precondition("the path does not fit the existing value")),
        };
    }
    *place = value.clone();
    Ok(to_any(&whole))
}
