//! Types of `google.protobuf` as requests and responses.
//!
//! prost maps them to plain Rust types, such as `()` and `Vec<u8>`. These cannot implement [`Message`]
//! themselves: their implementations of serde's traits, if any, are not protobuf's JSON.

use std::{
    fmt::Debug,
    ops::{Deref, DerefMut},
};

use bytes::{Buf, BufMut};
use prost::{
    DecodeError,
    encoding::{DecodeContext, WireType},
};
use prost_types::{
    Any, Api, Duration, Enum, EnumValue, Field, FieldMask, FileDescriptorProto, FileDescriptorSet,
    ListValue, Method, Mixin, Option as TypeOption, SourceContext, Struct, Timestamp, Type, Value,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    Message,
    json::{
        any::AnyType,
        codec::{Codec, Plain},
        message::Fields,
    },
};

/// A type of `google.protobuf` as the request or the response of a method.
///
/// It dereferences to the type itself. Create one with [`From`] or from its field.
///
/// ```
/// use volt_runtime::json::{Empty, WellKnown};
///
/// let text: WellKnown<String> = "hello".to_owned().into();
/// assert_eq!(text.len(), 5);
/// assert_eq!(Empty::default(), WellKnown(()));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct WellKnown<T>(pub T);

/// The request or the response without content, `google.protobuf.Empty`.
pub type Empty = WellKnown<()>;

/// The name of a type in `google.protobuf`.
pub trait Named: prost::Message + Debug + Default + Clone + 'static {
    /// The full name.
    const NAME: &'static str;
}

/// The messages whose JSON is an object with their fields.
impl<M: Fields + prost::Message + Debug + Clone + 'static> Named for M {
    const NAME: &'static str = M::MESSAGE;
}

/// The others.
macro_rules! named {
    ($($type:ty = $name:literal;)*) => {
        $(
            impl Named for $type {
                const NAME: &'static str = concat!("google.protobuf.", $name);
            }
        )*

        /// The types that a `google.protobuf.Any` may always contain.
        pub(in crate::json) const TYPES: &[AnyType] = &[
            // It is an object without members.
            AnyType::of::<Empty>(),
            AnyType::of::<WellKnown<Api>>(),
            AnyType::of::<WellKnown<Enum>>(),
            AnyType::of::<WellKnown<EnumValue>>(),
            AnyType::of::<WellKnown<Field>>(),
            AnyType::of::<WellKnown<FileDescriptorProto>>(),
            AnyType::of::<WellKnown<FileDescriptorSet>>(),
            AnyType::of::<WellKnown<Method>>(),
            AnyType::of::<WellKnown<Mixin>>(),
            AnyType::of::<WellKnown<SourceContext>>(),
            AnyType::of::<WellKnown<Type>>(),
            AnyType::of::<WellKnown<TypeOption>>(),
            $(AnyType::special::<WellKnown<$type>>(),)*
        ];
    };
}

impl Named for () {
    const NAME: &'static str = "google.protobuf.Empty";
}

named! {
    Any = "Any";
    Duration = "Duration";
    FieldMask = "FieldMask";
    ListValue = "ListValue";
    Struct = "Struct";
    Timestamp = "Timestamp";
    Value = "Value";
    bool = "BoolValue";
    Vec<u8> = "BytesValue";
    f64 = "DoubleValue";
    f32 = "FloatValue";
    i32 = "Int32Value";
    i64 = "Int64Value";
    String = "StringValue";
    u32 = "UInt32Value";
    u64 = "UInt64Value";
}

impl<T> From<T> for WellKnown<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> Deref for WellKnown<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for WellKnown<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: Named> Message for WellKnown<T>
where
    Plain: Codec<T>,
{
    const NAME: &'static str = T::NAME;
}

impl<T: prost::Message> prost::Message for WellKnown<T> {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        self.0.encode_raw(buf);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        self.0.merge_field(tag, wire_type, buf, ctx)
    }

    fn encoded_len(&self) -> usize {
        self.0.encoded_len()
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

impl<T> Serialize for WellKnown<T>
where
    Plain: Codec<T>,
{
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        Plain::write(&self.0, output)
    }
}

impl<'de, T: Default> Deserialize<'de> for WellKnown<T>
where
    Plain: Codec<T>,
{
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        Ok(Self(Plain::read(input)?.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    /// Those of the files that [`json::register`] names.
    #[test]
    fn an_any_may_contain_the_messages_of_protobuf() {
        for (name, body) in [
            ("Api", r#""name":"a""#),
            ("Empty", ""),
            ("Enum", r#""name":"a""#),
            ("EnumValue", r#""number":1"#),
            ("Field", r#""packed":true"#),
            ("FileDescriptorProto", r#""package":"p""#),
            ("FileDescriptorSet", ""),
            ("Method", r#""name":"a""#),
            ("Mixin", r#""root":"r""#),
            ("Option", r#""name":"a""#),
            ("SourceContext", r#""file_name":"a""#),
            ("Type", r#""name":"a""#),
            ("Any", r#""value":{}"#),
            ("Duration", r#""value":"1s""#),
            ("FieldMask", r#""value":"a,b""#),
            ("ListValue", r#""value":[1.0]"#),
            ("Struct", r#""value":{"a":null}"#),
            ("Timestamp", r#""value":"2026-01-31T12:00:00Z""#),
            ("Value", r#""value":null"#),
            ("BoolValue", r#""value":true"#),
            ("BytesValue", r#""value":"/w==""#),
            ("DoubleValue", r#""value":0.5"#),
            ("FloatValue", r#""value":0.5"#),
            ("Int32Value", r#""value":-1"#),
            ("Int64Value", r#""value":"-1""#),
            ("StringValue", r#""value":"a""#),
            ("UInt32Value", r#""value":1"#),
            ("UInt64Value", r#""value":"1""#),
        ] {
            let comma = if body.is_empty() { "" } else { "," };
            let text = format!(r#"{{"@type":"x/google.protobuf.{name}"{comma}{body}}}"#);
            let any: WellKnown<Any> = json::read(text.as_bytes()).unwrap();
            let mut out = Vec::new();
            json::write(&any, &mut out, json::Form::Plain).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
        assert_eq!(TYPES.len(), 28, "every type has a case in this test");
    }
}
