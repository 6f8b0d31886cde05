//! `Struct`, `Value`, `ListValue` and `NullValue`: any JSON at all.
//!
//! Fields of type `Value` and `NullValue` read `null` as a value; all others read it as absent. Numbers
//! are floats, as in JavaScript, so large integers lose digits.

use std::{fmt, marker::PhantomData};

use prost_types::{ListValue, Struct, Value as Any, value::Kind};
use serde::{
    Deserializer, Serialize as _, Serializer,
    de::{Error as DeError, MapAccess, SeqAccess, Visitor},
    ser::Error as _,
};

use crate::json::{
    codec::{Codec, NullValue, Plain},
    depth,
    map::MapVisitor,
    reader::ListVisitor,
    writer::{List, Map},
};

impl Codec<Struct> for Plain {
    fn read<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Struct>, D::Error> {
        let _depth = depth::enter::<D::Error>()?;
        let fields = input.deserialize_map(MapVisitor::<String, Self, Any>::new())?;
        Ok(fields.map(|fields| Struct { fields }))
    }

    fn write<S: Serializer>(value: &Struct, output: S) -> Result<S::Ok, S::Error> {
        let _depth = depth::enter_within_any::<S::Error>()?;
        Map::<String, Self, Any>(&value.fields, PhantomData).serialize(output)
    }
}

impl Codec<ListValue> for Plain {
    fn read<'de, D: Deserializer<'de>>(input: D) -> Result<Option<ListValue>, D::Error> {
        let _depth = depth::enter::<D::Error>()?;
        let values = input.deserialize_seq(ListVisitor::<Self, Any>::new())?;
        Ok(values.map(|values| ListValue { values }))
    }

    fn write<S: Serializer>(value: &ListValue, output: S) -> Result<S::Ok, S::Error> {
        let _depth = depth::enter_within_any::<S::Error>()?;
        List::<Self, Any>(&value.values, PhantomData).serialize(output)
    }
}

impl Codec<Any> for Plain {
    const NULL: bool = true;

    fn read<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Any>, D::Error> {
        let _depth = depth::enter::<D::Error>()?;
        let kind = input.deserialize_any(KindVisitor)?;
        Ok(Some(Any { kind: Some(kind) }))
    }

    fn write<S: Serializer>(value: &Any, output: S) -> Result<S::Ok, S::Error> {
        let _depth = depth::enter_within_any::<S::Error>()?;
        match &value.kind {
            None | Some(Kind::NullValue(_)) => output.serialize_unit(),
            Some(Kind::BoolValue(value)) => output.serialize_bool(*value),
            Some(Kind::NumberValue(value)) if value.is_finite() => output.serialize_f64(*value),
            Some(Kind::NumberValue(_)) => {
                Err(S::Error::custom("a number within a `google.protobuf.Value` must be finite"))
            }
            Some(Kind::StringValue(value)) => output.serialize_str(value),
            Some(Kind::StructValue(value)) => Self::write(value, output),
            Some(Kind::ListValue(value)) => Self::write(value, output),
        }
    }
}

/// Reads any JSON value. Lists and objects enter the depth twice, as a `Value` and as the message in
/// it, which is how the binary form nests them.
struct KindVisitor;

impl<'de> Visitor<'de> for KindVisitor {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E: DeError>(self) -> Result<Kind, E> {
        Ok(Kind::NullValue(0))
    }

    fn visit_bool<E: DeError>(self, value: bool) -> Result<Kind, E> {
        Ok(Kind::BoolValue(value))
    }

    #[expect(clippy::cast_precision_loss, reason = "numbers are floats here, as in JavaScript")]
    fn visit_i64<E: DeError>(self, value: i64) -> Result<Kind, E> {
        Ok(Kind::NumberValue(value as f64))
    }

    #[expect(clippy::cast_precision_loss, reason = "numbers are floats here, as in JavaScript")]
    fn visit_u64<E: DeError>(self, value: u64) -> Result<Kind, E> {
        Ok(Kind::NumberValue(value as f64))
    }

    fn visit_f64<E: DeError>(self, value: f64) -> Result<Kind, E> {
        Ok(Kind::NumberValue(value))
    }

    fn visit_str<E: DeError>(self, value: &str) -> Result<Kind, E> {
        Ok(Kind::StringValue(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, input: A) -> Result<Kind, A::Error> {
        let _depth = depth::enter::<A::Error>()?;
        let values = ListVisitor::<Plain, Any>::new().visit_seq(input)?.unwrap_or_default();
        Ok(Kind::ListValue(ListValue { values }))
    }

    fn visit_map<A: MapAccess<'de>>(self, input: A) -> Result<Kind, A::Error> {
        let _depth = depth::enter::<A::Error>()?;
        let fields = MapVisitor::<String, Plain, Any>::new().visit_map(input)?.unwrap_or_default();
        Ok(Kind::StructValue(Struct { fields }))
    }
}

impl Codec<i32> for NullValue {
    const NULL: bool = true;

    fn read<'de, D: Deserializer<'de>>(input: D) -> Result<Option<i32>, D::Error> {
        struct NullVisitor;

        impl Visitor<'_> for NullVisitor {
            type Value = Option<i32>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("null")
            }

            fn visit_unit<E: DeError>(self) -> Result<Option<i32>, E> {
                Ok(Some(0))
            }

            fn visit_str<E: DeError>(self, name: &str) -> Result<Option<i32>, E> {
                Ok((name == "NULL_VALUE").then_some(0))
            }

            fn visit_u64<E: DeError>(self, _: u64) -> Result<Option<i32>, E> {
                Ok(Some(0))
            }
        }

        input.deserialize_any(NullVisitor)
    }

    fn write<S: Serializer>(_: &i32, output: S) -> Result<S::Ok, S::Error> {
        output.serialize_unit()
    }

    fn is_default(value: &i32) -> bool {
        *value == 0
    }
}
