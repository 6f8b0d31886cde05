//! Builds messages, fields and enums.

use std::collections::{BTreeMap, HashSet};

use prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumOptions, EnumValueOptions, FieldDescriptorProto,
    FieldOptions, MessageOptions,
    field_descriptor_proto::{Label as ProtoLabel, Type},
};

use super::builder::{Builder, Scope, full_name};
use crate::{
    error::Place,
    model::{
        Enum, EnumValue, Field, FieldKind, Gate, Label, Message, Oneof, RustPath, Scalar, TypeRef,
        accessors::Accessors,
        link::is_map,
        packages::{is_well_known, join},
        source_map::tag,
    },
    names,
};

impl Builder<'_> {
    pub(super) fn message(
        &mut self,
        outer: &Scope<'_>,
        path: Vec<i32>,
        proto: &DescriptorProto,
        gate: &Gate,
    ) -> Message {
        let name = join(&outer.prefix, proto.name());
        let scope = Scope {
            source: outer.source,
            prefix: name.clone(),
            module: outer.module.child(&names::snake(self.renames.of(&name, proto.name()))),
            path,
        };
        let (oneofs, indices) = self.oneofs(&scope, proto);
        let fields = proto.field.iter().enumerate();
        let fields: Vec<Field> = fields
            .filter_map(|(index, field)| {
                let path = scope.at(tag::MESSAGE_FIELD, index);
                self.field(&scope, &path, proto, field, &indices)
            })
            .collect();
        let nested = proto.nested_type.iter().enumerate().filter(|(_, nested)| !is_map(nested));
        let messages = nested
            .map(|(index, nested)| {
                self.message(&scope, scope.at(tag::MESSAGE_MESSAGE, index), nested, gate)
            })
            .collect();
        let enums = proto.enum_type.iter().enumerate();
        let enums = enums
            .map(|(index, item)| {
                self.enumeration(&scope, scope.at(tag::MESSAGE_ENUM, index), item, gate)
            })
            .collect();
        let rust = self.renames.of(&name, proto.name());
        let ident = names::upper_camel(rust);
        Message {
            module: names::snake(rust),
            ty: TypeRef {
                name: name.clone(),
                path: RustPath::Local(outer.module.clone(), ident.clone()),
            },
            ident,
            former: self.options.former.get(&name).cloned(),
            docs: self.docs(scope.source, &scope.path, &name),
            place: scope.source.place(&scope.path),
            deprecated: proto.options.as_ref().is_some_and(MessageOptions::deprecated),
            is_status: name == self.options.status,
            status_field: self
                .responses
                .contains(&name)
                .then(|| status_field(&fields, &self.options.status))
                .flatten(),
            fields,
            oneofs,
            messages,
            enums,
            gate: gate.clone(),
            reexport: self.options.reexports.get(&name).cloned(),
            name,
        }
    }

    fn field(
        &mut self,
        scope: &Scope<'_>,
        path: &[i32],
        message: &DescriptorProto,
        proto: &FieldDescriptorProto,
        oneofs: &[Option<usize>],
    ) -> Option<Field> {
        let place = scope.source.place(path);
        let entry = map_entry(message, scope, proto);
        let kind = match entry {
            Some(entry) => self.map(scope, entry, &place),
            None => self.kind(scope, proto, &place),
        }?;
        let repeated = proto.label() == ProtoLabel::Repeated;
        let full = join(&scope.prefix, proto.name());
        let rust = self.renames.of(&full, proto.name());
        let is_message = matches!(proto.r#type(), Type::Message | Type::Group);
        let oneof = proto.oneof_index.and_then(|index| usize::try_from(index).ok());
        let label = match oneof.and_then(|index| oneofs.get(index).copied().flatten()) {
            _ if repeated => Label::Repeated,
            _ if proto.proto3_optional() => Label::Optional,
            Some(index) => Label::Oneof { index, variant: names::upper_camel(rust) },
            None if proto.label() == ProtoLabel::Required => Label::Required,
            None if self.proto2 && !is_message => Label::Optional,
            None => Label::Singular,
        };
        let held = full_name(proto.type_name());
        let secret = matches!(kind, FieldKind::Scalar(Scalar::String | Scalar::Bytes))
            && self.options.hides(&full, proto.name());
        Some(Field {
            name: proto.name().to_owned(),
            json_name: match proto.json_name() {
                "" => names::json(proto.name()),
                name => name.to_owned(),
            },
            boxed: !repeated && is_message && self.recursion.boxed(&scope.prefix, &held),
            kind,
            label,
            ident: names::snake(rust),
            setter: format!("with_{}", names::snake_rest(rust)),
            docs: self.docs(scope.source, path, &full),
            place,
            deprecated: proto.options.as_ref().is_some_and(FieldOptions::deprecated),
            secret,
            accessors: Accessors::of(message, proto, !self.proto2),
        })
    }

    fn map(
        &mut self,
        scope: &Scope<'_>,
        entry: &DescriptorProto,
        place: &Place,
    ) -> Option<FieldKind> {
        let [key, value] = entry.field.as_slice() else { return None };
        let Some(FieldKind::Scalar(key)) = self.kind(scope, key, place) else { return None };
        Some(FieldKind::Map(key, Box::new(self.kind(scope, value, place)?)))
    }

    fn kind(
        &mut self,
        scope: &Scope<'_>,
        proto: &FieldDescriptorProto,
        place: &Place,
    ) -> Option<FieldKind> {
        let scalar = match proto.r#type() {
            Type::Double => Scalar::Double,
            Type::Float => Scalar::Float,
            Type::Int32 | Type::Sint32 | Type::Sfixed32 => Scalar::Int32,
            Type::Int64 | Type::Sint64 | Type::Sfixed64 => Scalar::Int64,
            Type::Uint32 | Type::Fixed32 => Scalar::Uint32,
            Type::Uint64 | Type::Fixed64 => Scalar::Uint64,
            Type::Bool => Scalar::Bool,
            Type::String => Scalar::String,
            Type::Bytes => Scalar::Bytes,
            Type::Message | Type::Group | Type::Enum => {
                let name = full_name(proto.type_name());
                let element = format!("the field `{}` of `{}`", proto.name(), scope.prefix);
                let found = self.resolve(&name, &element, place)?;
                return Some(match proto.r#type() {
                    Type::Enum => FieldKind::Enum(found),
                    _ if is_well_known(&name) => FieldKind::WellKnown(found),
                    _ => FieldKind::Message(found),
                });
            }
        };
        Some(FieldKind::Scalar(scalar))
    }

    pub(super) fn enumeration(
        &self,
        outer: &Scope<'_>,
        path: Vec<i32>,
        proto: &EnumDescriptorProto,
        gate: &Gate,
    ) -> Enum {
        let name = join(&outer.prefix, proto.name());
        let ident = names::upper_camel(self.renames.of(&name, proto.name()));
        let source = outer.source;
        let scope = Scope { source, path, prefix: name.clone(), module: outer.module.clone() };
        let mut first: BTreeMap<i32, String> = BTreeMap::new();
        let mut values = Vec::new();
        for (index, value) in proto.value.iter().enumerate() {
            let path = scope.at(tag::ENUM_VALUE, index);
            let alias = first.contains_key(&value.number());
            let full = join(&name, value.name());
            let rust = self.renames.of(&full, value.name());
            let variant =
                first.entry(value.number()).or_insert_with(|| names::variant(&ident, rust));
            values.push(EnumValue {
                name: value.name().to_owned(),
                number: value.number(),
                ident: variant.clone(),
                alias,
                docs: self.docs(source, &path, &full),
                place: source.place(&path),
                deprecated: value.options.as_ref().is_some_and(EnumValueOptions::deprecated),
            });
        }
        Enum {
            ty: TypeRef {
                name: name.clone(),
                path: RustPath::Local(outer.module.clone(), ident.clone()),
            },
            former: self.options.former.get(&name).cloned(),
            reexport: self.options.reexports.get(&name).cloned(),
            name,
            ident,
            docs: self.docs(source, &scope.path, &scope.prefix),
            place: source.place(&scope.path),
            deprecated: proto.options.as_ref().is_some_and(EnumOptions::deprecated),
            values,
            gate: gate.clone(),
        }
    }

    /// The oneofs with members, and for each declaration its index among them. The others are
    /// synthetic oneofs of `optional` fields.
    fn oneofs(
        &self,
        scope: &Scope<'_>,
        proto: &DescriptorProto,
    ) -> (Vec<Oneof>, Vec<Option<usize>>) {
        let taken: HashSet<String> = proto
            .nested_type
            .iter()
            .map(DescriptorProto::name)
            .chain(proto.enum_type.iter().map(EnumDescriptorProto::name))
            .map(|name| names::upper_camel(self.renames.of(&join(&scope.prefix, name), name)))
            .collect();
        let mut oneofs = Vec::new();
        let mut indices = Vec::new();
        for (index, oneof) in proto.oneof_decl.iter().enumerate() {
            let mut members = proto.field.iter().filter(|field| {
                !field.proto3_optional() && field.oneof_index == i32::try_from(index).ok()
            });
            if members.next().is_none() {
                indices.push(None);
                continue;
            }
            indices.push(Some(oneofs.len()));
            let path = scope.at(tag::MESSAGE_ONEOF, index);
            let full = join(&scope.prefix, oneof.name());
            let rust = self.renames.of(&full, oneof.name());
            let mut ident = names::upper_camel(rust);
            if taken.contains(&ident) {
                ident.push_str("OneOf");
            }
            oneofs.push(Oneof {
                name: oneof.name().to_owned(),
                ident: names::snake(rust),
                ty: TypeRef {
                    path: RustPath::Local(scope.module.clone(), ident),
                    name: full.clone(),
                },
                docs: self.docs(scope.source, &path, &full),
                place: scope.source.place(&path),
            });
        }
        (oneofs, indices)
    }
}

fn map_entry<'a>(
    message: &'a DescriptorProto,
    scope: &Scope<'_>,
    field: &FieldDescriptorProto,
) -> Option<&'a DescriptorProto> {
    let name = full_name(field.type_name());
    message
        .nested_type
        .iter()
        .find(|nested| is_map(nested) && join(&scope.prefix, nested.name()) == name)
}

/// The field that carries a response's status: `status`, or the first of its type.
fn status_field(fields: &[Field], status: &str) -> Option<usize> {
    let carries = |field: &Field| {
        field.label != Label::Repeated
            && matches!(&field.kind, FieldKind::Message(held) if held.name == status)
    };
    fields
        .iter()
        .position(|field| carries(field) && field.name == "status")
        .or_else(|| fields.iter().position(carries))
}
