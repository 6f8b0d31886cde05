//! Descriptors as prost-build sees them: with the names from which Rust names are derived, and without
//! elements that it does not need.

use std::collections::{HashMap, HashSet};

use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    FileDescriptorSet, field_descriptor_proto::Type,
};

use super::{TypeRef, packages::join, renames::Renames};

/// A descriptor set for prost-build.
pub(crate) struct Renamed<'a> {
    renames: &'a Renames,
    /// All types of the model.
    known: &'a HashMap<String, TypeRef>,
    /// The renamed types, by their original names. Both begin with a dot.
    types: HashMap<String, String>,
    /// The messages that prost-build sees, with a dot before each.
    messages: HashSet<String>,
    /// The enum values with renamed variants, by the enum, with a dot, and their original names.
    values: HashMap<(String, String), String>,
}

impl<'a> Renamed<'a> {
    pub(crate) fn new(
        set: &FileDescriptorSet,
        renames: &'a Renames,
        known: &'a HashMap<String, TypeRef>,
    ) -> Self {
        let mut all = Self {
            renames,
            known,
            types: HashMap::new(),
            messages: HashSet::new(),
            values: HashMap::new(),
        };
        for file in &set.file {
            let [package, now] = [file.package(), renames.package(file.package())];
            let messages = file.message_type.iter();
            let messages: Vec<_> = messages
                .filter(|message| known.contains_key(&join(package, message.name())))
                .collect();
            all.add([package, now], &messages, &file.enum_type);
        }
        all
    }

    /// The name of a type, with a dot before it.
    pub(crate) fn ty(&self, name: String) -> String {
        self.types.get(&name).cloned().unwrap_or(name)
    }

    fn add(
        &mut self,
        [prefix, renamed]: [&str; 2],
        messages: &[&DescriptorProto],
        enums: &[EnumDescriptorProto],
    ) {
        for item in enums {
            let (full, _) = self.insert([prefix, renamed], item.name());
            let mut first = HashMap::new();
            for value in &item.value {
                let name = self.renames.of(&join(&full, value.name()), value.name());
                // An alias has the variant of the first value with its number.
                let name = (*first.entry(value.number()).or_insert(name)).to_owned();
                if name != value.name() {
                    self.values.insert((format!(".{full}"), value.name().to_owned()), name);
                }
            }
        }
        for message in messages {
            let (full, now) = self.insert([prefix, renamed], message.name());
            self.messages.insert(format!(".{full}"));
            let nested: Vec<_> = message.nested_type.iter().collect();
            self.add([&full, &now], &nested, &message.enum_type);
        }
    }

    fn insert(&mut self, [prefix, renamed]: [&str; 2], own: &str) -> (String, String) {
        let full = join(prefix, own);
        let now = join(renamed, self.renames.of(&full, own));
        if now != full {
            self.types.insert(format!(".{full}"), format!(".{now}"));
        }
        (full, now)
    }

    /// A file for prost-build.
    pub(crate) fn file(&self, file: &FileDescriptorProto) -> FileDescriptorProto {
        let package = file.package();
        let known = |name: &str| self.known.contains_key(&join(package, name));
        let messages = file.message_type.iter().filter(|message| known(message.name()));
        let enums = file.enum_type.iter().filter(|item| known(item.name()));
        // Comments are those of the model, and prost-build generates no services here.
        FileDescriptorProto {
            name: file.name.clone(),
            package: Some(self.renames.package(package).to_owned()),
            message_type: messages.map(|message| self.message(package, message)).collect(),
            enum_type: enums.map(|item| self.enumeration(package, item)).collect(),
            // The model rejects other syntaxes in files for which code is generated.
            syntax: (file.syntax() == "proto3").then(|| "proto3".to_owned()),
            ..FileDescriptorProto::default()
        }
    }

    fn message(&self, prefix: &str, message: &DescriptorProto) -> DescriptorProto {
        let full = join(prefix, message.name());
        let mut message = message.clone();
        // A type that is defined elsewhere may have fields of types that this crate does not know.
        message.field.retain(|field| self.has_type(field));
        for field in &mut message.field {
            self.field(&full, field);
        }
        message.extension.clear();
        for oneof in &mut message.oneof_decl {
            oneof.name = Some(self.name(&full, oneof.name()));
        }
        for nested in &mut message.nested_type {
            *nested = self.message(&full, nested);
        }
        for item in &mut message.enum_type {
            *item = self.enumeration(&full, item);
        }
        message.name = Some(self.name(prefix, message.name()));
        message
    }

    fn field(&self, message: &str, field: &mut FieldDescriptorProto) {
        if field.r#type() == Type::Enum
            && let Some(default) = field.default_value.take()
        {
            let value = (field.type_name().to_owned(), default);
            field.default_value = Some(self.values.get(&value).cloned().unwrap_or(value.1));
        }
        if let Some(infinity) = infinity(field) {
            field.default_value = Some(infinity.to_owned());
        }
        if let Some(renamed) = self.types.get(field.type_name()) {
            field.type_name = Some(renamed.clone());
        }
        field.name = Some(self.name(message, field.name()));
    }

    fn has_type(&self, field: &FieldDescriptorProto) -> bool {
        field.r#type() != Type::Message || self.messages.contains(field.type_name())
    }

    fn enumeration(&self, prefix: &str, item: &EnumDescriptorProto) -> EnumDescriptorProto {
        let full = join(prefix, item.name());
        let mut item = item.clone();
        for value in &mut item.value {
            value.name = Some(self.name(&full, value.name()));
        }
        item.name = Some(self.name(prefix, item.name()));
        item
    }

    /// The name of an element in a scope.
    pub(crate) fn name(&self, prefix: &str, own: &str) -> String {
        self.renames.of(&join(prefix, own), own).to_owned()
    }
}

/// Returns the spelling of infinity if the default of a field is too large for its type. prost parses a
/// default as it is written, and rejects a number that became infinite.
fn infinity(field: &FieldDescriptorProto) -> Option<&'static str> {
    let value = match field.r#type() {
        Type::Float => field.default_value().parse::<f32>().ok()?.into(),
        Type::Double => field.default_value().parse::<f64>().ok()?,
        _ => return None,
    };
    value.is_infinite().then_some(if value > 0.0 { "inf" } else { "-inf" })
}
