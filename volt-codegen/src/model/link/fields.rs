//! Checks the fields of a message.

use std::collections::HashMap;

use prost_types::{
    DescriptorProto, FieldDescriptorProto,
    field_descriptor_proto::{Label, Type},
};

use super::{Kind, Link, Scope, defaults};
use crate::{
    error::Place,
    model::{packages::join, source_map::tag},
};

/// The largest number of a field.
const MAX_NUMBER: i32 = (1 << 29) - 1;
/// The numbers that protobuf keeps for itself.
const RESERVED: std::ops::RangeInclusive<i32> = 19_000..=19_999;

impl<'a> Link<'a> {
    pub(super) fn fields(&mut self, scope: &Scope<'_, '_>, message: &DescriptorProto) {
        let mut numbers: HashMap<i32, &str> = HashMap::new();
        for (index, field) in message.field.iter().enumerate() {
            let place = scope.source.place(&scope.at(tag::MESSAGE_FIELD, index));
            self.named(&place, "field", field.name(), &scope.full);
            let element = format!("the field `{}` of `{}`", field.name(), scope.full);
            let number = field.number();
            if !(1..=MAX_NUMBER).contains(&number) || RESERVED.contains(&number) {
                let message = format!("{element} has the number {number}, which is not allowed");
                self.problem(&place, message);
            } else if let Some(first) = numbers.insert(number, field.name()) {
                let message = format!("{element} has the number {number}, as does `{first}`");
                self.problem(&place, message);
            }
            self.field(scope, message, field, &element, &place);
        }
    }

    fn field(
        &mut self,
        scope: &Scope<'_, '_>,
        message: &DescriptorProto,
        field: &FieldDescriptorProto,
        element: &str,
        place: &Place,
    ) {
        let Some((ty, kind)) = self.kind(field, element, place) else { return };
        let Some(label) = self.label(field, element, place) else { return };
        if ty == Type::Group && scope.proto3 {
            self.problem(place, format!("{element} is a group, which proto3 does not have"));
        }
        if matches!(kind, Some(Kind::MapEntry)) {
            let own = message.nested_type.iter().any(|entry| {
                super::is_map(entry)
                    && field.type_name().strip_prefix('.') == Some(&join(&scope.full, entry.name()))
            });
            if !own || ty != Type::Message || label != Label::Repeated {
                self.problem(place, format!("{element} has the entry of a map as its type"));
            }
        }
        let inner = field.type_name().trim_start_matches('.');
        if label == Label::Required && self.always_contains(inner, &scope.full) {
            let message = format!("the required field `{}` makes `{}`", field.name(), scope.full);
            self.problem(place, format!("{message} contain itself recursively"));
        }
        if let Some(index) = field.oneof_index {
            let oneof = usize::try_from(index).ok().and_then(|at| message.oneof_decl.get(at));
            if oneof.is_none() {
                self.problem(place, format!("{element} is in the oneof {index}, which is missing"));
            }
            if label != Label::Optional {
                self.problem(place, format!("{element} is in a oneof and repeated or required"));
            }
        }
        if field.proto3_optional() && label != Label::Optional {
            self.problem(place, format!("{element} is optional and repeated or required"));
        }
        if let Some(text) = &field.default_value {
            let fits = label != Label::Repeated
                && !scope.proto3
                && defaults::fits(ty, text, |name| match kind {
                    Some(Kind::Enum(item)) => item.value.iter().any(|value| value.name() == name),
                    _ => false,
                });
            if !fits {
                self.problem(
                    place,
                    format!("{element} has the default {text:?}, which is invalid"),
                );
            }
        }
    }

    /// The type of a field and, if it has a name, what that names.
    fn kind(
        &mut self,
        field: &FieldDescriptorProto,
        element: &str,
        place: &Place,
    ) -> Option<(Type, Option<Kind<'a>>)> {
        let number = field.r#type.unwrap_or_default();
        let Ok(ty) = Type::try_from(number) else {
            let message = match field.type_name().trim_start_matches('.') {
                "" => format!("{element} has no type"),
                name => format!("{element} has the type `{name}`, which is not resolved"),
            };
            self.problem(place, message);
            return None;
        };
        if !matches!(ty, Type::Message | Type::Group | Type::Enum) {
            if field.type_name.is_some() {
                let message = format!("{element} has a type with a name, and is `{ty:?}`");
                self.problem(place, message);
                return None;
            }
            return Some((ty, None));
        }
        let kind = self.ty(place, element, field.type_name())?;
        if matches!(kind, Kind::Enum(_)) != (ty == Type::Enum) {
            let is = if ty == Type::Enum { "an enum" } else { "a message" };
            let name = field.type_name().trim_matches('.');
            self.problem(place, format!("{element} has the type `{name}`, which is not {is}"));
            return None;
        }
        Some((ty, Some(kind)))
    }

    fn label(
        &mut self,
        field: &FieldDescriptorProto,
        element: &str,
        place: &Place,
    ) -> Option<Label> {
        let label = field.label.map_or(Ok(Label::Optional), Label::try_from).ok();
        if label.is_none() {
            let number = field.label.unwrap_or_default();
            self.problem(place, format!("{element} has the label {number}, which does not exist"));
        }
        label
    }

    /// The entry of a map in a message: a key and a value.
    pub(super) fn entry(
        &mut self,
        scope: &Scope<'_, '_>,
        message: &DescriptorProto,
        entry: &DescriptorProto,
        place: &Place,
    ) {
        let full = join(&scope.full, entry.name());
        let is_map =
            |field: &FieldDescriptorProto| field.type_name().strip_prefix('.') == Some(&full);
        let index = message.field.iter().position(is_map);
        let place = &index.map_or_else(
            || place.clone(),
            |index| scope.source.place(&scope.at(tag::MESSAGE_FIELD, index)),
        );
        self.named(place, "message", entry.name(), &scope.full);
        let named = |field: &FieldDescriptorProto, name: &str, number: i32| {
            field.name() == name && field.number() == number && field.oneof_index.is_none()
        };
        let [key, value] = entry.field.as_slice() else {
            self.problem(place, format!("the entry `{full}` of a map does not have two fields"));
            return;
        };
        if !named(key, "key", 1) || !named(value, "value", 2) {
            self.problem(place, format!("the entry `{full}` of a map has no `key` and `value`"));
        }
        for (field, what) in [(key, "key"), (value, "value")] {
            let element = format!("the {what} of `{full}`");
            let label = self.label(field, &element, place);
            let optional = label.is_none_or(|label| label == Label::Optional);
            let extra = field.proto3_optional() || field.default_value.is_some();
            let Some((ty, kind)) = self.kind(field, &element, place) else { continue };
            let allowed = match what {
                "key" => kind.is_none() && !matches!(ty, Type::Double | Type::Float | Type::Bytes),
                _ => ty != Type::Group && !matches!(kind, Some(Kind::MapEntry)),
            };
            if !allowed || !optional || extra {
                self.problem(place, format!("{element} has a type that maps do not have"));
            }
        }
    }
}
