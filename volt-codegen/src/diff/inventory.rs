//! Collects the elements of an API by their full names.

use std::collections::{BTreeMap, BTreeSet};

use prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumOptions, EnumValueOptions, FieldDescriptorProto,
    FieldOptions, FileDescriptorSet, MessageOptions, MethodOptions, ServiceDescriptorProto,
    ServiceOptions,
    field_descriptor_proto::{Label, Type},
    field_options::JsType,
    method_options::IdempotencyLevel,
};

#[derive(Default)]
pub(super) struct Inventory {
    pub(super) services: BTreeMap<String, Service>,
    pub(super) messages: BTreeMap<String, Message>,
    pub(super) enums: BTreeMap<String, Enum>,
}

/// The location of a service, message or enum.
#[derive(Clone)]
pub(super) struct Home {
    pub(super) file: String,
    pub(super) package: String,
    proto2: bool,
}

pub(super) struct Service {
    pub(super) home: Home,
    pub(super) deprecated: bool,
    pub(super) methods: BTreeMap<String, Method>,
}

pub(super) struct Method {
    pub(super) request: String,
    pub(super) response: String,
    pub(super) client_streams: bool,
    pub(super) server_streams: bool,
    pub(super) idempotency: IdempotencyLevel,
    pub(super) deprecated: bool,
}

/// A message. The implicit entries of maps are part of their fields instead.
pub(super) struct Message {
    pub(super) home: Home,
    pub(super) deprecated: bool,
    pub(super) fields: BTreeMap<String, Field>,
    pub(super) oneofs: BTreeSet<String>,
    pub(super) reserved: Reserved,
}

#[derive(Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "independent properties of a descriptor")]
pub(super) struct Field {
    pub(super) number: i32,
    /// For a map, the type of its values.
    pub(super) value: Value,
    pub(super) shape: Shape,
    /// Whether the field's presence matters, beside its value.
    pub(super) optional: bool,
    /// Set if a message without it is invalid.
    pub(super) required: bool,
    /// The value of an absent field, if a file of proto2 sets it.
    pub(super) default: Option<String>,
    pub(super) oneof: Option<String>,
    pub(super) json_name: String,
    /// Whether its numbers are packed.
    pub(super) packed: bool,
    /// The type of its numbers in JavaScript.
    pub(super) js: JsType,
    pub(super) deprecated: bool,
}

#[derive(Clone, PartialEq)]
pub(super) struct Value {
    pub(super) kind: Type,
    /// The full name of a message or enum; otherwise empty.
    pub(super) of: String,
}

/// The number of values of a field.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Shape {
    Single,
    Repeated,
    /// A map with keys of this type.
    Map(Type),
}

pub(super) struct Enum {
    pub(super) home: Home,
    pub(super) deprecated: bool,
    pub(super) values: BTreeMap<String, EnumValue>,
    pub(super) reserved: Reserved,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) struct EnumValue {
    pub(super) number: i32,
    /// Whether JSON is written with its name: that of the first value with a number.
    pub(super) is_written: bool,
    pub(super) deprecated: bool,
}

/// Reserved names and numbers.
pub(super) struct Reserved {
    /// Sorted ranges, ends included, without overlaps.
    numbers: Vec<(i32, i32)>,
    names: BTreeSet<String>,
}

impl Inventory {
    pub(super) fn new(set: &FileDescriptorSet) -> Self {
        let mut inventory = Self::default();
        for file in &set.file {
            if file.name().starts_with("google/protobuf/") {
                continue;
            }
            let home = Home {
                file: file.name().to_owned(),
                package: file.package().to_owned(),
                proto2: matches!(file.syntax(), "" | "proto2"),
            };
            for message in &file.message_type {
                inventory.message(&home, &home.package, message);
            }
            for enumeration in &file.enum_type {
                inventory.enumeration(&home, &home.package, enumeration);
            }
            for service in &file.service {
                let name = join(&home.package, service.name());
                inventory.services.insert(name, Service::new(home.clone(), service));
            }
        }
        inventory
    }

    /// The file of a service, message or enum.
    pub(super) fn file(&self, name: &str) -> Option<&str> {
        let service = self.services.get(name).map(|service| &service.home);
        let message = self.messages.get(name).map(|message| &message.home);
        let enumeration = self.enums.get(name).map(|enumeration| &enumeration.home);
        service.or(message).or(enumeration).map(|home| home.file.as_str())
    }

    fn message(&mut self, home: &Home, scope: &str, message: &DescriptorProto) {
        let name = join(scope, message.name());
        for nested in &message.nested_type {
            if !nested.options.as_ref().is_some_and(MessageOptions::map_entry) {
                self.message(home, &name, nested);
            }
        }
        for nested in &message.enum_type {
            self.enumeration(home, &name, nested);
        }
        let fields = message
            .field
            .iter()
            .map(|field| (field.name().to_owned(), Field::new(message, field, home.proto2)));
        let fields: BTreeMap<_, _> = fields.collect();
        let ranges = message.reserved_range.iter().map(|range| (range.start(), range.end() - 1));
        let described = Message {
            home: home.clone(),
            deprecated: message.options.as_ref().is_some_and(MessageOptions::deprecated),
            oneofs: fields.values().filter_map(|field| field.oneof.clone()).collect(),
            fields,
            reserved: Reserved::new(ranges.collect(), &message.reserved_name),
        };
        self.messages.insert(name, described);
    }

    fn enumeration(&mut self, home: &Home, scope: &str, enumeration: &EnumDescriptorProto) {
        let mut numbers = BTreeSet::new();
        let values = enumeration.value.iter().map(|value| {
            let is_written = numbers.insert(value.number());
            let deprecated = value.options.as_ref().is_some_and(EnumValueOptions::deprecated);
            (value.name().to_owned(), EnumValue { number: value.number(), is_written, deprecated })
        });
        let ranges = enumeration.reserved_range.iter().map(|range| (range.start(), range.end()));
        let described = Enum {
            home: home.clone(),
            deprecated: enumeration.options.as_ref().is_some_and(EnumOptions::deprecated),
            values: values.collect(),
            reserved: Reserved::new(ranges.collect(), &enumeration.reserved_name),
        };
        self.enums.insert(join(scope, enumeration.name()), described);
    }
}

impl Service {
    fn new(home: Home, service: &ServiceDescriptorProto) -> Self {
        let methods = service.method.iter().map(|method| {
            let described = Method {
                request: full(method.input_type()),
                response: full(method.output_type()),
                client_streams: method.client_streaming(),
                server_streams: method.server_streaming(),
                idempotency: method
                    .options
                    .as_ref()
                    .map(MethodOptions::idempotency_level)
                    .unwrap_or_default(),
                deprecated: method.options.as_ref().is_some_and(MethodOptions::deprecated),
            };
            (method.name().to_owned(), described)
        });
        Self {
            home,
            deprecated: service.options.as_ref().is_some_and(ServiceOptions::deprecated),
            methods: methods.collect(),
        }
    }
}

impl Field {
    fn new(message: &DescriptorProto, field: &FieldDescriptorProto, proto2: bool) -> Self {
        let oneof = field.oneof_index.filter(|_| !field.proto3_optional());
        let oneof = oneof.and_then(|index| message.oneof_decl.get(usize::try_from(index).ok()?));
        let options = field.options.as_ref();
        let (value, shape) = match (entry(message, field), field.label()) {
            (Some([key, value]), _) => (Value::new(value), Shape::Map(key.r#type())),
            (_, Label::Repeated) => (Value::new(field), Shape::Repeated),
            _ => (Value::new(field), Shape::Single),
        };
        Self {
            number: field.number(),
            shape,
            // The presence of a message always counts.
            optional: !value.is_message()
                && (field.proto3_optional()
                    || proto2 && field.label() == Label::Optional && oneof.is_none()),
            required: field.label() == Label::Required,
            default: field.default_value.clone(),
            oneof: oneof.map(|oneof| oneof.name().to_owned()),
            json_name: field.json_name().to_owned(),
            packed: shape == Shape::Repeated
                && value.is_number()
                && options.and_then(|options| options.packed).unwrap_or(!proto2),
            js: options.map(FieldOptions::jstype).unwrap_or_default(),
            deprecated: options.is_some_and(FieldOptions::deprecated),
            value,
        }
    }

    /// Returns whether a reader can tell a default value from an absent one.
    pub(super) fn has_presence(&self) -> bool {
        self.shape != Shape::Single
            || self.optional
            || self.required
            || self.oneof.is_some()
            || self.value.is_message()
    }
}

impl Value {
    fn new(field: &FieldDescriptorProto) -> Self {
        Self { kind: field.r#type(), of: full(field.type_name()) }
    }

    pub(super) fn is_message(&self) -> bool {
        matches!(self.kind, Type::Message | Type::Group)
    }

    /// Returns whether it is a number in binary, as a `bool` and an enum are.
    pub(super) fn is_number(&self) -> bool {
        !self.is_message() && !matches!(self.kind, Type::String | Type::Bytes)
    }
}

impl Reserved {
    fn new(mut ranges: Vec<(i32, i32)>, names: &[String]) -> Self {
        ranges.sort_unstable();
        let mut numbers: Vec<(i32, i32)> = Vec::new();
        for (start, end) in ranges {
            match numbers.last_mut() {
                Some((_, last)) if start <= last.saturating_add(1) => *last = end.max(*last),
                _ => numbers.push((start, end)),
            }
        }
        Self { numbers, names: names.iter().cloned().collect() }
    }

    pub(super) fn has(&self, number: i32) -> bool {
        self.numbers.iter().any(|(start, end)| (*start..=*end).contains(&number))
    }

    /// The numbers and names that are reserved here but not there, as they are written.
    pub(super) fn without(&self, other: &Self) -> (Vec<String>, Vec<String>) {
        let within =
            |(start, end): &(i32, i32)| other.numbers.iter().any(|(a, b)| a <= start && end <= b);
        let numbers = self.numbers.iter().filter(|range| !within(range)).map(|range| match range {
            (start, end) if start == end => start.to_string(),
            (start, end) => format!("{start} to {end}"),
        });
        (numbers.collect(), self.names.difference(&other.names).cloned().collect())
    }
}

/// The key and the value of a field that is a map.
fn entry<'a>(
    message: &'a DescriptorProto,
    field: &FieldDescriptorProto,
) -> Option<&'a [FieldDescriptorProto; 2]> {
    let name = field.type_name().rsplit('.').next()?;
    let entry = message.nested_type.iter().find(|nested| nested.name() == name)?;
    entry.options.as_ref().filter(|options| options.map_entry())?;
    entry.field.as_slice().try_into().ok()
}

fn full(name: &str) -> String {
    name.trim_start_matches('.').to_owned()
}

fn join(scope: &str, name: &str) -> String {
    if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") }
}
