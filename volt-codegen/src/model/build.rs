//! From descriptors to the model.

use std::collections::{BTreeMap, HashSet};

use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    FileDescriptorSet, MethodDescriptorProto, ServiceDescriptorProto,
    field_descriptor_proto::{Label as ProtoLabel, Type},
};

use super::{
    Enum, EnumValue, Field, Gate, Kind, Label, Message, Method, MethodKind, Model, Module, Oneof,
    Package, RustPath, Scalar, Service, TypeRef, check,
    needs::Needs,
    recursion::Recursion,
    resolve::{Types, is_generated, is_well_known, join, module},
    source_map::{SourceMap, tag},
};
use crate::{
    Options,
    docs::Docs,
    error::{Error, Place, Problems},
    names,
};

impl Model {
    /// Reads descriptors. They should come with source information, without which there are no
    /// comments, and no lines in errors; and with all that they import.
    ///
    /// # Errors
    ///
    /// When something in the descriptors has no form in Rust. All problems are reported.
    pub fn new(set: &FileDescriptorSet, options: &Options) -> Result<Self, Error> {
        let types = Types::new(set, options);
        let mut files: Vec<_> =
            set.file.iter().filter(|file| is_generated(file, options)).collect();
        files.sort_by_key(|file| file.name());

        let services = || files.iter().flat_map(|file| &file.service);
        let methods = || services().flat_map(|service| &service.method);
        let roots = services().filter(|_| options.features).map(|service| {
            let methods = service.method.iter();
            let used = methods.flat_map(|method| [method.input_type(), method.output_type()]);
            (feature(service.name()), used.map(full_name).collect())
        });
        let mut builder = Builder {
            options,
            needs: Needs::new(set, &types, roots),
            types: &types,
            recursion: Recursion::new(set),
            responses: methods().map(|method| full_name(method.output_type())).collect(),
            problems: Problems::default(),
        };
        let mut packages = BTreeMap::new();
        for file in files {
            builder.file(&mut packages, file);
        }
        let model = Self { packages: packages.into_values().collect(), externs: types.externs() };
        check::model(&model, options, &mut builder.problems);
        builder.problems.into_result(model)
    }
}

struct Builder<'a> {
    options: &'a Options,
    types: &'a Types,
    needs: Needs,
    recursion: Recursion,
    responses: HashSet<String>,
    problems: Problems,
}

/// Where in a file and in Rust an element stands.
struct Scope<'a> {
    source: &'a SourceMap<'a>,
    path: Vec<i32>,
    prefix: String,
    module: Module,
}

impl Scope<'_> {
    /// The path of the element at `index` of a repeated field.
    fn at(&self, tag: i32, index: usize) -> Vec<i32> {
        let index = i32::try_from(index).unwrap_or(i32::MAX);
        self.path.iter().copied().chain([tag, index]).collect()
    }
}

impl Builder<'_> {
    fn file(&mut self, packages: &mut BTreeMap<String, Package>, file: &FileDescriptorProto) {
        let source = SourceMap::new(file);
        let is_empty =
            file.message_type.is_empty() && file.enum_type.is_empty() && file.service.is_empty();
        if is_empty {
            return;
        }
        if file.syntax() != "proto3" {
            self.problems.add(
                &source.place(&[tag::SYNTAX]),
                "only the syntax `proto3` is supported",
                "say `syntax = \"proto3\";` at the top of the file",
            );
            return;
        }
        if file.package().is_empty() {
            self.problems.add(
                &source.place(&[]),
                "the file has no package, which its Rust module is named after",
                "say `package your.name.v1;` below the syntax",
            );
            return;
        }
        let scope = Scope {
            source: &source,
            path: Vec::new(),
            prefix: file.package().to_owned(),
            module: module(file.package()),
        };
        let package = packages.entry(file.package().to_owned()).or_insert_with(|| Package {
            name: file.package().to_owned(),
            module: scope.module.clone(),
            docs: Docs::default(),
            place: source.place(&[tag::PACKAGE]),
            messages: Vec::new(),
            enums: Vec::new(),
            services: Vec::new(),
        });
        if package.docs.is_empty() {
            package.docs = source.docs(&[tag::PACKAGE]);
        }
        for (index, message) in file.message_type.iter().enumerate() {
            if let Some(gate) = self.gate_if_local(&scope, message.name()) {
                let path = scope.at(tag::FILE_MESSAGE, index);
                package.messages.push(self.message(&scope, path, message, &gate));
            }
        }
        for (index, item) in file.enum_type.iter().enumerate() {
            if let Some(gate) = self.gate_if_local(&scope, item.name()) {
                let path = scope.at(tag::FILE_ENUM, index);
                package.enums.push(self.enumeration(&scope, path, item, &gate));
            }
        }
        for (index, service) in file.service.iter().enumerate() {
            let path = scope.at(tag::FILE_SERVICE, index);
            package.services.push(self.service(&scope, path, service));
        }
    }

    /// The gate of a type at top level, unless it is taken from elsewhere.
    fn gate_if_local(&self, scope: &Scope<'_>, name: &str) -> Option<Gate> {
        let full = join(&scope.prefix, name);
        self.types.get(&full)?.ty.is_local().then(|| self.needs.gate(&full))
    }

    fn message(
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
            module: outer.module.child(&names::snake(proto.name())),
            path,
        };
        let (oneofs, indices) = oneofs(&scope, proto);
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
        let ident = names::upper_camel(proto.name());
        Message {
            ty: TypeRef {
                name: name.clone(),
                path: RustPath::Local(outer.module.clone(), ident.clone()),
            },
            ident,
            docs: scope.source.docs(&scope.path),
            place: scope.source.place(&scope.path),
            deprecated: proto.options.as_ref().is_some_and(|options| options.deprecated()),
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
        let oneof = proto.oneof_index.and_then(|index| usize::try_from(index).ok());
        let label = match oneof.and_then(|index| oneofs.get(index).copied().flatten()) {
            _ if repeated => Label::Repeated,
            _ if proto.proto3_optional() => Label::Optional,
            Some(index) => Label::Oneof { index, variant: names::upper_camel(proto.name()) },
            None => Label::Singular,
        };
        let held = full_name(proto.type_name());
        Some(Field {
            name: proto.name().to_owned(),
            json_name: proto.json_name().to_owned(),
            number: proto.number(),
            boxed: !repeated
                && proto.r#type() == Type::Message
                && self.recursion.boxed(&scope.prefix, &held),
            kind,
            label,
            ident: names::snake(proto.name()),
            docs: scope.source.docs(path),
            place,
            deprecated: proto.options.as_ref().is_some_and(|options| options.deprecated()),
        })
    }

    fn map(&mut self, scope: &Scope<'_>, entry: &DescriptorProto, place: &Place) -> Option<Kind> {
        let [key, value] = entry.field.as_slice() else { return None };
        let Some(Kind::Scalar(key)) = self.kind(scope, key, place) else { return None };
        Some(Kind::Map(key, Box::new(self.kind(scope, value, place)?)))
    }

    fn kind(
        &mut self,
        scope: &Scope<'_>,
        proto: &FieldDescriptorProto,
        place: &Place,
    ) -> Option<Kind> {
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
                    Type::Enum => Kind::Enum(found),
                    _ if is_well_known(&name) => Kind::WellKnown(found),
                    _ => Kind::Message(found),
                });
            }
        };
        Some(Kind::Scalar(scalar))
    }

    fn resolve(&mut self, name: &str, element: &str, place: &Place) -> Option<TypeRef> {
        let found = self.types.get(name).map(|found| found.ty.clone());
        if found.is_none() {
            self.problems.add(
                place,
                format!("{element} has the type `{name}`, which is nowhere in the descriptors"),
                "hand in the descriptors of all imported files too",
            );
        }
        found
    }

    fn enumeration(
        &mut self,
        outer: &Scope<'_>,
        path: Vec<i32>,
        proto: &EnumDescriptorProto,
        gate: &Gate,
    ) -> Enum {
        let name = join(&outer.prefix, proto.name());
        let ident = names::upper_camel(proto.name());
        let source = outer.source;
        let scope = Scope { source, path, prefix: name.clone(), module: outer.module.clone() };
        let mut first: BTreeMap<i32, String> = BTreeMap::new();
        let mut values = Vec::new();
        for (index, value) in proto.value.iter().enumerate() {
            let path = scope.at(tag::ENUM_VALUE, index);
            let alias = first.contains_key(&value.number());
            let variant =
                first.entry(value.number()).or_insert_with(|| names::variant(&ident, value.name()));
            values.push(EnumValue {
                name: value.name().to_owned(),
                number: value.number(),
                ident: variant.clone(),
                alias,
                docs: source.docs(&path),
                place: source.place(&path),
                deprecated: value.options.as_ref().is_some_and(|options| options.deprecated()),
            });
        }
        Enum {
            ty: TypeRef {
                name: name.clone(),
                path: RustPath::Local(outer.module.clone(), ident.clone()),
            },
            name,
            ident,
            docs: source.docs(&scope.path),
            place: source.place(&scope.path),
            deprecated: proto.options.as_ref().is_some_and(|options| options.deprecated()),
            values,
            gate: gate.clone(),
        }
    }

    fn service(
        &mut self,
        outer: &Scope<'_>,
        path: Vec<i32>,
        proto: &ServiceDescriptorProto,
    ) -> Service {
        let name = join(&outer.prefix, proto.name());
        let source = outer.source;
        let scope = Scope { source, path, prefix: name.clone(), module: outer.module.clone() };
        let methods = proto.method.iter().enumerate();
        let methods = methods
            .filter_map(|(index, method)| {
                self.method(&scope, &scope.at(tag::SERVICE_METHOD, index), method)
            })
            .collect();
        Service {
            ident: names::upper_camel(proto.name()),
            module: names::snake(proto.name()),
            nickname: names::snake(stem(proto.name())),
            feature: self.options.features.then(|| feature(proto.name())),
            methods,
            docs: source.docs(&scope.path),
            place: source.place(&scope.path),
            deprecated: proto.options.as_ref().is_some_and(|options| options.deprecated()),
            name,
        }
    }

    fn method(
        &mut self,
        scope: &Scope<'_>,
        path: &[i32],
        proto: &MethodDescriptorProto,
    ) -> Option<Method> {
        let place = scope.source.place(path);
        let element = format!("the method `{}` of `{}`", proto.name(), scope.prefix);
        let mut message = |proto_type: &str, role: &str| {
            let name = full_name(proto_type);
            let found = self.resolve(&name, &element, &place)?;
            let what = if is_well_known(&name) {
                "a well-known type"
            } else if self.types.get(&name).is_some_and(|found| found.is_enum) {
                "an enum"
            } else {
                return Some(found);
            };
            self.problems.add(
                &place,
                format!("{element} has {what}, `{name}`, as its {role}"),
                "declare a message of your own for it",
            );
            None
        };
        let request = message(proto.input_type(), "request");
        let response = message(proto.output_type(), "response");
        Some(Method {
            name: proto.name().to_owned(),
            path: format!("/{}/{}", scope.prefix, proto.name()),
            ident: names::snake(proto.name()),
            constant: names::shouty(proto.name()),
            kind: match (proto.client_streaming(), proto.server_streaming()) {
                (false, false) => MethodKind::Unary,
                (false, true) => MethodKind::ServerStreaming,
                (true, false) => MethodKind::ClientStreaming,
                (true, true) => MethodKind::Bidi,
            },
            request: request?,
            response: response?,
            docs: scope.source.docs(path),
            place,
            deprecated: proto.options.as_ref().is_some_and(|options| options.deprecated()),
        })
    }
}

/// The oneofs that have members, and which of them each declaration is. Those that have none in
/// Rust were made for `optional`.
fn oneofs(scope: &Scope<'_>, proto: &DescriptorProto) -> (Vec<Oneof>, Vec<Option<usize>>) {
    let taken: HashSet<String> = proto
        .nested_type
        .iter()
        .map(DescriptorProto::name)
        .chain(proto.enum_type.iter().map(EnumDescriptorProto::name))
        .map(names::upper_camel)
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
        let mut ident = names::upper_camel(oneof.name());
        if taken.contains(&ident) {
            ident.push_str("OneOf");
        }
        oneofs.push(Oneof {
            name: oneof.name().to_owned(),
            ident: names::snake(oneof.name()),
            ty: TypeRef {
                name: join(&scope.prefix, oneof.name()),
                path: RustPath::Local(scope.module.clone(), ident),
            },
            docs: scope.source.docs(&path),
            place: scope.source.place(&path),
        });
    }
    (oneofs, indices)
}

fn is_map(message: &DescriptorProto) -> bool {
    message.options.as_ref().is_some_and(|options| options.map_entry())
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

/// The field by which a response says that it is a refusal: `status`, or the first of its type.
fn status_field(fields: &[Field], status: &str) -> Option<usize> {
    let carries = |field: &Field| {
        field.label != Label::Repeated
            && matches!(&field.kind, Kind::Message(held) if held.name == status)
    };
    fields
        .iter()
        .position(|field| carries(field) && field.name == "status")
        .or_else(|| fields.iter().position(carries))
}

/// Names in descriptors begin with a dot.
fn full_name(name: &str) -> String {
    name.trim_start_matches('.').to_owned()
}

/// The name of a service without `API`, which every name has.
fn stem(service: &str) -> &str {
    let stem = service.strip_suffix("API").or_else(|| service.strip_suffix("Api"));
    stem.filter(|stem| !stem.is_empty()).unwrap_or(service)
}

/// The Cargo feature of a service.
fn feature(service: &str) -> String {
    names::kebab(stem(service))
}
