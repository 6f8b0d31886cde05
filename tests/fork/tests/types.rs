//! Each type of a field becomes each other one, and so does each type of the keys of a map: what is lost of ordinary
//! and of extreme values, in both directions, is what the report of the change promises.

#![allow(clippy::unwrap_used, clippy::wildcard_imports)]

use std::{collections::BTreeMap, fmt::Write as _};

use volt_api::__private::prost::Message as _;
use volt_codegen::{
    Options, Sources,
    diff::{Clients, Surface, Verdict, diff},
};
use volt_fork::changes_types::acme::types::*;

/// A value of any type.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Int(i128),
    Float(f64),
    Bool(bool),
    Text(String),
    Bytes(Vec<u8>),
    Enum(i32),
    Message(i32),
}

/// One value in a message with a field of one type.
struct Sample {
    value: Value,
    /// Set if few programs have such values.
    is_rare: bool,
    wire: Vec<u8>,
    json: String,
}

/// A type, as it is written in a `.proto`, and the message with a field of it.
struct Type {
    name: &'static str,
    samples: Vec<Sample>,
    from_wire: fn(&[u8]) -> Option<Value>,
    from_json: fn(&str) -> Option<Value>,
}

macro_rules! types {
    ($($message:ident, $name:literal, $value:expr, [$ordinary:expr $(, $rare:expr)*];)*) => {
        vec![$({
            let value: fn($message) -> Option<Value> = $value;
            let sample = |message: $message, is_rare| Sample {
                wire: message.encode_to_vec(),
                json: serde_json::to_string(&message).unwrap(),
                value: value(message).unwrap(),
                is_rare,
            };
            Type {
                name: $name,
                samples: vec![
                    sample($message::default().with_a($ordinary), false),
                    $(sample($message::default().with_a($rare), true)),*
                ],
                from_wire: |bytes| {
                    let value: fn($message) -> Option<Value> = $value;
                    value($message::decode(bytes).ok()?)
                },
                from_json: |text| {
                    let value: fn($message) -> Option<Value> = $value;
                    value(serde_json::from_str(text).ok()?)
                },
            }
        }),*]
    };
}

fn fields() -> Vec<Type> {
    let mut types: Vec<Type> = types! {
        OfInt32, "int32", |read| Some(Value::Int(read.a.into())), [1, i32::MIN, i32::MAX];
        OfInt64, "int64", |read| Some(Value::Int(read.a.into())), [1, i64::MIN, i64::MAX];
        OfUint32, "uint32", |read| Some(Value::Int(read.a.into())), [1_u32, u32::MAX];
        OfUint64, "uint64", |read| Some(Value::Int(read.a.into())), [1_u64, u64::MAX];
        OfSint32, "sint32", |read| Some(Value::Int(read.a.into())), [1, i32::MIN, i32::MAX];
        OfSint64, "sint64", |read| Some(Value::Int(read.a.into())), [1, i64::MIN, i64::MAX];
        OfFixed32, "fixed32", |read| Some(Value::Int(read.a.into())), [1_u32, u32::MAX];
        OfFixed64, "fixed64", |read| Some(Value::Int(read.a.into())), [1_u64, u64::MAX];
        OfSfixed32, "sfixed32", |read| Some(Value::Int(read.a.into())), [1, i32::MIN, i32::MAX];
        OfSfixed64, "sfixed64", |read| Some(Value::Int(read.a.into())), [1, i64::MIN, i64::MAX];
        OfBool, "bool", |read| Some(Value::Bool(read.a)), [true];
        OfFloat, "float", |read| Some(Value::Float(read.a.into())), [1.5, f32::MAX];
        OfDouble, "double", |read| Some(Value::Float(read.a)), [1.5, f64::MAX];
        OfString, "string", |read| Some(Value::Text(read.a)), ["x"];
        OfBytes, "bytes", |read| Some(Value::Bytes(read.a)), [*b"hey", [0xff_u8]];
        OfEnum, "Sort", |read| Some(Value::Enum(read.a)), [Sort::First];
        OfMessage, "Inner", |read| Some(Value::Message(read.a?.n)), [Inner::default().with_n(1)];
    };
    // Numbers without a name.
    for sort in types.iter_mut().filter(|of| of.name == "Sort") {
        for a in [i32::MIN, i32::MAX] {
            let message = OfEnum { a, ..OfEnum::default() };
            sort.samples.push(Sample {
                value: Value::Enum(a),
                is_rare: true,
                wire: message.encode_to_vec(),
                json: serde_json::to_string(&message).unwrap(),
            });
        }
    }
    types
}

fn keys() -> Vec<Type> {
    fn int<K: Into<i128>>(map: BTreeMap<K, bool>) -> Option<Value> {
        map.into_keys().next().map(|key| Value::Int(key.into()))
    }
    fn of<K: Ord>(key: K) -> BTreeMap<K, bool> {
        BTreeMap::from([(key, true)])
    }
    types! {
        KeyInt32, "map<int32, bool>", |read| int(read.a), [of(1), of(i32::MIN), of(i32::MAX)];
        KeyInt64, "map<int64, bool>", |read| int(read.a), [of(1), of(i64::MIN), of(i64::MAX)];
        KeyUint32, "map<uint32, bool>", |read| int(read.a), [of(1), of(u32::MAX)];
        KeyUint64, "map<uint64, bool>", |read| int(read.a), [of(1), of(u64::MAX)];
        KeySint32, "map<sint32, bool>", |read| int(read.a), [of(1), of(i32::MIN), of(i32::MAX)];
        KeySint64, "map<sint64, bool>", |read| int(read.a), [of(1), of(i64::MIN), of(i64::MAX)];
        KeyFixed32, "map<fixed32, bool>", |read| int(read.a), [of(1), of(u32::MAX)];
        KeyFixed64, "map<fixed64, bool>", |read| int(read.a), [of(1), of(u64::MAX)];
        KeySfixed32, "map<sfixed32, bool>", |read| int(read.a), [of(1), of(i32::MIN), of(i32::MAX)];
        KeySfixed64, "map<sfixed64, bool>", |read| int(read.a), [of(1), of(i64::MIN), of(i64::MAX)];
        KeyBool, "map<bool, bool>", |read| read.a.into_keys().next().map(Value::Bool), [of(true)];
        KeyString, "map<string, bool>", |read| read.a.into_keys().next().map(Value::Text),
            [of("x".to_owned())];
    }
}

impl Value {
    fn number(&self) -> Option<i128> {
        match self {
            Self::Int(int) => Some(*int),
            Self::Bool(bool) => Some((*bool).into()),
            Self::Enum(number) => Some((*number).into()),
            _ => None,
        }
    }

    /// Returns whether a program of the other version finds this value. `is_key` is set for keys of maps, which are
    /// text in JSON.
    fn is_same(&self, other: &Self, is_key: bool) -> bool {
        match (self, other) {
            (Self::Text(text), Self::Bytes(bytes)) | (Self::Bytes(bytes), Self::Text(text)) => {
                text.as_bytes() == bytes
            }
            (Self::Text(text), Self::Enum(number)) | (Self::Enum(number), Self::Text(text)) => {
                *number == 1 && text == "FIRST"
            }
            (Self::Text(text), Self::Bool(value)) | (Self::Bool(value), Self::Text(text)) => {
                is_key && *text == value.to_string()
            }
            (Self::Text(text), Self::Int(value)) | (Self::Int(value), Self::Text(text)) => {
                is_key && *text == value.to_string()
            }
            #[expect(
                clippy::cast_precision_loss,
                clippy::float_cmp,
                reason = "a lost digit is a lost value"
            )]
            (Self::Float(float), Self::Int(int)) | (Self::Int(int), Self::Float(float)) => {
                *float == *int as f64
            }
            // The shorter one has fewer digits.
            (Self::Float(one), Self::Float(other)) => {
                (one - other).abs() <= f64::from(f32::EPSILON) * one.abs()
            }
            _ => self == other || self.number().is_some() && self.number() == other.number(),
        }
    }
}

/// The worst loss of the values of one type that are read as another one, in binary and JSON.
fn seen(written: &Type, read: &Type, is_old: bool, is_key: bool) -> [Verdict; 2] {
    let mut worst = [Verdict::Fine; 2];
    for sample in &written.samples {
        let found = [(read.from_wire)(&sample.wire), (read.from_json)(&sample.json)];
        // A new program may go on to write text only; what old programs wrote is there.
        let is_rare = sample.is_rare && !(is_old && written.name == "bytes");
        let verdict = if is_rare { Verdict::Risky } else { Verdict::Breaking };
        for (worst, found) in worst.iter_mut().zip(found) {
            if !found.is_some_and(|found| sample.value.is_same(&found, is_key)) {
                *worst = verdict.max(*worst);
            }
        }
    }
    worst
}

/// Compares two versions of an API in which each type becomes each other one.
fn check(types: &[Type], is_key: bool) {
    let pairs = || types.iter().flat_map(|old| types.iter().map(move |new| (old, new)));
    let mut all = String::from("message All {");
    let [mut old_text, mut new_text] = [String::new(), String::new()];
    for (index, (old, new)) in pairs().enumerate() {
        write!(all, " P{index} p{index} = {};", index + 1).unwrap();
        writeln!(old_text, "message P{index} {{ {} a = 1; }}", old.name).unwrap();
        writeln!(new_text, "message P{index} {{ {} a = 1; }}", new.name).unwrap();
    }
    // Only in requests: what old programs write affects old clients.
    let compiled = |text: &str| {
        let text = format!(
            "syntax = \"proto3\"; {text} {all} }} message R {{}} message Inner {{ int32 n = 1; }} \
             enum Sort {{ NONE = 0; FIRST = 1; }} service S {{ rpc Send(All) returns (R); }}"
        );
        let mut sources = Sources::default();
        sources.files.insert("p.proto".to_owned(), text);
        sources.compile().unwrap()
    };
    let report = diff(&compiled(&old_text), &compiled(&new_text), &Options::default()).unwrap();
    let mut differences = Vec::new();
    for (index, (old, new)) in pairs().enumerate() {
        let element = format!("P{index}.a");
        let mut changes = report.changes.iter().filter(|change| change.element == element);
        let effects = changes.next().map(|change| &change.effects);
        assert!(changes.next().is_none(), "one change of {} to {}", old.name, new.name);
        let seen = [seen(old, new, true, is_key), seen(new, old, false, is_key)];
        for (at, surface) in [Surface::Wire, Surface::Json].into_iter().enumerate() {
            let effect = effects.map(|effects| &effects[&surface]);
            let promised = |clients| match effect {
                Some(effect) if effect.clients.include(clients) => effect.verdict,
                _ => Verdict::Fine,
            };
            let promised = [Clients::Old, Clients::New].map(promised);
            let seen = seen.map(|verdicts| verdicts[at]);
            // A break of one side is the effect that is reported.
            let is_hidden = |side: usize| {
                promised[1 - side] == Verdict::Breaking && seen[side] == Verdict::Risky
            };
            if (0..2).any(|side| promised[side] != seen[side] && !is_hidden(side)) {
                differences.push(format!(
                    "{} of {} to {}: promised {promised:?}, seen {seen:?}",
                    surface.name(),
                    old.name,
                    new.name
                ));
            }
        }
    }
    assert!(differences.is_empty(), "{differences:#?}");
}

#[test]
fn each_type_of_a_field_becomes_each_other_one() {
    check(&fields(), false);
}

#[test]
fn each_type_of_keys_becomes_each_other_one() {
    check(&keys(), true);
}
