//! The methods of a field that prost adds to its message.

use prost_types::{
    DescriptorProto, FieldDescriptorProto,
    field_descriptor_proto::{Label, Type},
};

use super::link::is_map;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accessors {
    None,
    Getter,
    Enum,
    EnumList,
    EnumMap,
}

impl Accessors {
    pub(super) fn of(
        message: &DescriptorProto,
        field: &FieldDescriptorProto,
        proto3: bool,
    ) -> Self {
        let name = field.type_name().rsplit('.').next().unwrap_or_default();
        let entry =
            message.nested_type.iter().find(|nested| is_map(nested) && nested.name() == name);
        let of_enums = |entry: &DescriptorProto| {
            entry.field.iter().any(|field| field.name() == "value" && field.r#type() == Type::Enum)
        };
        match (field.r#type(), field.label()) {
            (Type::Message, Label::Repeated) if entry.is_some_and(of_enums) => Self::EnumMap,
            (Type::Message | Type::Group, _) => Self::None,
            (Type::Enum, Label::Repeated) => Self::EnumList,
            _ if field.oneof_index.is_some() && !field.proto3_optional() => Self::None,
            (Type::Enum, _) => Self::Enum,
            (_, Label::Optional) if field.proto3_optional() || !proto3 => Self::Getter,
            _ => Self::None,
        }
    }

    /// The names of the methods, for a field with this name, which is not a raw identifier.
    pub(super) fn methods(self, name: &str) -> Vec<String> {
        match self {
            Self::None => Vec::new(),
            Self::Getter => vec![name.to_owned()],
            Self::Enum => vec![name.to_owned(), format!("set_{name}")],
            Self::EnumList => vec![name.to_owned(), format!("push_{name}")],
            Self::EnumMap => vec![format!("get_{name}"), format!("insert_{name}")],
        }
    }
}
