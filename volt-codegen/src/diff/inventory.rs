//! The elements of an API by their full names.

use std::collections::BTreeMap;

use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
};

#[derive(Default)]
pub(super) struct Inventory {
    pub(super) services: BTreeMap<String, Service>,
    pub(super) messages: BTreeMap<String, Message>,
    pub(super) enums: BTreeMap<String, Enum>,
}

pub(super) struct Service {
    pub(super) file: String,
    pub(super) deprecated: bool,
    pub(super) methods: BTreeMap<String, Method>,
}

#[derive(PartialEq)]
pub(super) struct Method {
    pub(super) request: String,
    pub(super) response: String,
    pub(super) client_streams: bool,
    pub(super) server_streams: bool,
    pub(super) deprecated: bool,
}

pub(super) struct Message {
    pub(super) file: String,
    pub(super) deprecated: bool,
    /// The entry of a map, which nobody wrote.
    pub(super) map_entry: bool,
    pub(super) fields: BTreeMap<String, Field>,
}

#[derive(Clone, PartialEq)]
pub(super) struct Field {
    pub(super) number: i32,
    pub(super) kind: Type,
    /// The full name of a message or enum.
    pub(super) of: String,
    pub(super) repeated: bool,
    pub(super) optional: bool,
    pub(super) oneof: Option<String>,
    pub(super) deprecated: bool,
}

pub(super) struct Enum {
    pub(super) file: String,
    pub(super) deprecated: bool,
    pub(super) values: BTreeMap<String, i32>,
}

impl Inventory {
    pub(super) fn new(set: &FileDescriptorSet) -> Self {
        let mut inventory = Self::default();
        for file in &set.file {
            if file.name().starts_with("google/protobuf/") {
                continue;
            }
            let scope = file.package();
            for message in &file.message_type {
                inventory.message(file.name(), scope, message);
            }
            for enumeration in &file.enum_type {
                inventory.enumeration(file.name(), scope, enumeration);
            }
            for service in &file.service {
                let methods = service.method.iter().map(|method| {
                    let described = Method {
                        request: full(method.input_type()),
                        response: full(method.output_type()),
                        client_streams: method.client_streaming(),
                        server_streams: method.server_streaming(),
                        deprecated: method
                            .options
                            .as_ref()
                            .is_some_and(prost_types::MethodOptions::deprecated),
                    };
                    (method.name().to_owned(), described)
                });
                let described = Service {
                    file: file.name().to_owned(),
                    deprecated: service
                        .options
                        .as_ref()
                        .is_some_and(prost_types::ServiceOptions::deprecated),
                    methods: methods.collect(),
                };
                inventory.services.insert(join(scope, service.name()), described);
            }
        }
        inventory
    }

    fn message(&mut self, file: &str, scope: &str, message: &DescriptorProto) {
        let name = join(scope, message.name());
        for nested in &message.nested_type {
            self.message(file, &name, nested);
        }
        for nested in &message.enum_type {
            self.enumeration(file, &name, nested);
        }
        let options = message.options.as_ref();
        let fields =
            message.field.iter().map(|field| (field.name().to_owned(), Field::new(message, field)));
        let described = Message {
            file: file.to_owned(),
            deprecated: options.is_some_and(prost_types::MessageOptions::deprecated),
            map_entry: options.is_some_and(prost_types::MessageOptions::map_entry),
            fields: fields.collect(),
        };
        self.messages.insert(name, described);
    }

    fn enumeration(&mut self, file: &str, scope: &str, enumeration: &EnumDescriptorProto) {
        let values = enumeration.value.iter();
        let described = Enum {
            file: file.to_owned(),
            deprecated: enumeration
                .options
                .as_ref()
                .is_some_and(prost_types::EnumOptions::deprecated),
            values: values.map(|value| (value.name().to_owned(), value.number())).collect(),
        };
        self.enums.insert(join(scope, enumeration.name()), described);
    }
}

impl Field {
    fn new(message: &DescriptorProto, field: &FieldDescriptorProto) -> Self {
        let oneof = field.oneof_index.filter(|_| !field.proto3_optional());
        let oneof = oneof.and_then(|index| message.oneof_decl.get(usize::try_from(index).ok()?));
        Self {
            number: field.number(),
            kind: field.r#type(),
            of: full(field.type_name()),
            repeated: field.label() == Label::Repeated,
            optional: field.proto3_optional(),
            oneof: oneof.map(|oneof| oneof.name().to_owned()),
            deprecated: field.options.as_ref().is_some_and(prost_types::FieldOptions::deprecated),
        }
    }
}

fn full(name: &str) -> String {
    name.trim_start_matches('.').to_owned()
}

fn join(scope: &str, name: &str) -> String {
    if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") }
}
