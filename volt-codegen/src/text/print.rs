//! Prints a canonical form: two spaces, one blank line between declarations and before every
//! comment, and type names as short as possible.

use std::fmt::Write as _;

use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    MethodDescriptorProto, MethodOptions, ServiceDescriptorProto,
    field_descriptor_proto::{Label, Type},
};

use super::comments::{Comments, Located, full};
use crate::model::tag;

pub(super) fn file(file: &FileDescriptorProto, comments: &Comments) -> String {
    let mut printer = Printer {
        package: file.package(),
        located: Located::new(file),
        comments,
        maps: Vec::new(),
        out: String::new(),
        indent: 0,
    };
    printer.file(file);
    printer.out
}

struct Printer<'a> {
    package: &'a str,
    located: Located<'a>,
    comments: &'a Comments,
    /// The messages within the current one, including the entries of its maps.
    maps: Vec<&'a DescriptorProto>,
    out: String,
    indent: usize,
}

/// A declaration, to be sorted into its original order.
enum Item<'a> {
    Message(&'a DescriptorProto),
    Enum(&'a EnumDescriptorProto),
    Service(&'a ServiceDescriptorProto),
    Field(&'a FieldDescriptorProto),
    Oneof(&'a str, Vec<&'a FieldDescriptorProto>),
}

impl<'a> Printer<'a> {
    fn file(&mut self, file: &'a FileDescriptorProto) {
        self.line("syntax = \"proto3\";");
        if !self.package.is_empty() {
            self.out.push('\n');
            self.line(&format!("package {};", self.package));
        }
        if !file.dependency.is_empty() {
            self.out.push('\n');
        }
        for (import, index) in file.dependency.iter().zip(0..) {
            let public = file.public_dependency.contains(&index);
            self.line(&format!("import {}\"{import}\";", if public { "public " } else { "" }));
        }
        let mut items = Vec::new();
        for (message, index) in file.message_type.iter().zip(0..) {
            items.push((vec![tag::FILE_MESSAGE, index], Item::Message(message)));
        }
        for (enumeration, index) in file.enum_type.iter().zip(0..) {
            items.push((vec![tag::FILE_ENUM, index], Item::Enum(enumeration)));
        }
        for (service, index) in file.service.iter().zip(0..) {
            items.push((vec![tag::FILE_SERVICE, index], Item::Service(service)));
        }
        self.items(self.package, items, true);
    }

    /// Declarations in their original order.
    fn items(&mut self, scope: &str, mut items: Vec<(Vec<i32>, Item<'a>)>, spaced: bool) {
        items.sort_by_key(|(path, _)| self.located.line(path));
        for (position, (path, item)) in items.into_iter().enumerate() {
            let simple = matches!(item, Item::Field(_));
            let name = match &item {
                Item::Message(message) => message.name(),
                Item::Enum(enumeration) => enumeration.name(),
                Item::Service(service) => service.name(),
                Item::Field(field) => field.name(),
                Item::Oneof(name, _) => name,
            };
            let name = full(scope, name);
            let first = position == 0 && !spaced;
            self.space(!first && (!simple || self.comments.get(&name).is_some()));
            self.comment(&name);
            match item {
                Item::Message(message) => self.message(message, &name, &path),
                Item::Enum(enumeration) => self.enumeration(enumeration, &name),
                Item::Service(service) => self.service(service, &name),
                Item::Field(field) => self.field(field, scope),
                Item::Oneof(own, fields) => {
                    self.open(&format!("oneof {own}"));
                    for (position, field) in fields.into_iter().enumerate() {
                        let name = full(scope, field.name());
                        self.space(position > 0 && self.comments.get(&name).is_some());
                        self.comment(&name);
                        self.field(field, scope);
                    }
                    self.close();
                }
            }
        }
    }

    fn message(&mut self, message: &'a DescriptorProto, name: &str, path: &[i32]) {
        self.open(&format!("message {}", message.name()));
        self.deprecated(
            message.options.as_ref().is_some_and(prost_types::MessageOptions::deprecated),
        );
        self.reserved(
            message.reserved_range.iter().map(|range| (range.start(), range.end() - 1)),
            &message.reserved_name,
        );
        let child = |tag, index| [path, &[tag, index]].concat();
        let mut items = Vec::new();
        let real =
            |field: &FieldDescriptorProto| field.oneof_index.filter(|_| !field.proto3_optional());
        for (field, index) in message.field.iter().zip(0..) {
            if real(field).is_none() {
                items.push((child(tag::MESSAGE_FIELD, index), Item::Field(field)));
            }
        }
        for (oneof, index) in message.oneof_decl.iter().zip(0..) {
            let fields: Vec<_> =
                message.field.iter().filter(|field| real(field) == Some(index)).collect();
            if !fields.is_empty() {
                items.push((child(tag::MESSAGE_ONEOF, index), Item::Oneof(oneof.name(), fields)));
            }
        }
        for (nested, index) in message.nested_type.iter().zip(0..) {
            if !nested.options.as_ref().is_some_and(prost_types::MessageOptions::map_entry) {
                items.push((child(tag::MESSAGE_MESSAGE, index), Item::Message(nested)));
            }
        }
        for (nested, index) in message.enum_type.iter().zip(0..) {
            items.push((child(tag::MESSAGE_ENUM, index), Item::Enum(nested)));
        }
        let maps: Vec<_> = message.nested_type.iter().collect();
        let outer = std::mem::replace(&mut self.maps, maps);
        self.items(name, items, false);
        self.maps = outer;
        self.close();
    }

    fn enumeration(&mut self, enumeration: &EnumDescriptorProto, name: &str) {
        self.open(&format!("enum {}", enumeration.name()));
        let options = enumeration.options.as_ref();
        if options.is_some_and(prost_types::EnumOptions::allow_alias) {
            self.line("option allow_alias = true;");
        }
        self.deprecated(options.is_some_and(prost_types::EnumOptions::deprecated));
        self.reserved(
            enumeration.reserved_range.iter().map(|range| (range.start(), range.end())),
            &enumeration.reserved_name,
        );
        for (position, value) in enumeration.value.iter().enumerate() {
            let name = full(name, value.name());
            self.space(position > 0 && self.comments.get(&name).is_some());
            self.comment(&name);
            let deprecated =
                value.options.as_ref().is_some_and(prost_types::EnumValueOptions::deprecated);
            let option = if deprecated { " [deprecated = true]" } else { "" };
            self.line(&format!("{} = {}{option};", value.name(), value.number()));
        }
        self.close();
    }

    fn service(&mut self, service: &ServiceDescriptorProto, name: &str) {
        self.open(&format!("service {}", service.name()));
        self.deprecated(
            service.options.as_ref().is_some_and(prost_types::ServiceOptions::deprecated),
        );
        for (position, method) in service.method.iter().enumerate() {
            let name = full(name, method.name());
            self.space(position > 0 && self.comments.get(&name).is_some());
            self.comment(&name);
            self.method(method);
        }
        self.close();
    }

    fn method(&mut self, method: &MethodDescriptorProto) {
        let side = |streams, of: &str| {
            format!("({}{})", if streams { "stream " } else { "" }, self.short(of))
        };
        let request = side(method.client_streaming(), method.input_type());
        let response = side(method.server_streaming(), method.output_type());
        let line = format!("rpc {}{request} returns {response}", method.name());
        let options = method.options.as_ref();
        let deprecated = options.is_some_and(MethodOptions::deprecated);
        let idempotency = options.filter(|options| options.idempotency_level.is_some());
        if !deprecated && idempotency.is_none() {
            self.line(&format!("{line};"));
            return;
        }
        self.open(&line);
        self.deprecated(deprecated);
        if let Some(options) = idempotency {
            let level = options.idempotency_level().as_str_name();
            self.line(&format!("option idempotency_level = {level};"));
        }
        self.close();
    }

    fn field(&mut self, field: &FieldDescriptorProto, scope: &str) {
        let kind = if let Some((key, value)) = self.map(field, scope) {
            format!("map<{key}, {value}>")
        } else {
            let label = match field.label() {
                Label::Repeated => "repeated ",
                _ if field.proto3_optional() => "optional ",
                _ => "",
            };
            format!("{label}{}", self.kind(field))
        };
        let mut options = Vec::new();
        let own = field.options.as_ref();
        if own.is_some_and(prost_types::FieldOptions::deprecated) {
            options.push("deprecated = true".to_owned());
        }
        if let Some(packed) = own.and_then(|own| own.packed) {
            options.push(format!("packed = {packed}"));
        }
        if let Some(own) = own.filter(|own| own.jstype.is_some()) {
            options.push(format!("jstype = {}", own.jstype().as_str_name()));
        }
        if field.json_name() != json_name(field.name()) {
            options.push(format!("json_name = {:?}", field.json_name()));
        }
        let options =
            if options.is_empty() { String::new() } else { format!(" [{}]", options.join(", ")) };
        self.line(&format!("{kind} {} = {}{options};", field.name(), field.number()));
    }

    /// The types of a map's keys and values, if the field is a map.
    fn map(&self, field: &FieldDescriptorProto, scope: &str) -> Option<(String, String)> {
        let (of, entry) = field.type_name().strip_prefix('.')?.rsplit_once('.')?;
        let entry = self.maps.iter().find(|nested| of == scope && nested.name() == entry)?;
        entry.options.as_ref().filter(|options| options.map_entry())?;
        let [key, value] = &entry.field[..] else { return None };
        Some((self.kind(key), self.kind(value)))
    }

    fn kind(&self, field: &FieldDescriptorProto) -> String {
        let kind = match field.r#type() {
            Type::Double => "double",
            Type::Float => "float",
            Type::Int64 => "int64",
            Type::Uint64 => "uint64",
            Type::Int32 => "int32",
            Type::Fixed64 => "fixed64",
            Type::Fixed32 => "fixed32",
            Type::Bool => "bool",
            Type::String => "string",
            Type::Bytes => "bytes",
            Type::Uint32 => "uint32",
            Type::Sfixed32 => "sfixed32",
            Type::Sfixed64 => "sfixed64",
            Type::Sint32 => "sint32",
            Type::Sint64 => "sint64",
            Type::Group | Type::Message | Type::Enum => return self.short(field.type_name()),
        };
        kind.to_owned()
    }

    /// A type's name, without the package if it is this file's.
    fn short(&self, name: &str) -> String {
        let name = name.trim_start_matches('.');
        let own = name.strip_prefix(self.package).and_then(|name| name.strip_prefix('.'));
        own.filter(|_| !self.package.is_empty()).unwrap_or(name).to_owned()
    }

    fn reserved(&mut self, ranges: impl Iterator<Item = (i32, i32)>, names: &[String]) {
        for (start, end) in ranges {
            match end {
                _ if start == end => self.line(&format!("reserved {start};")),
                // The greatest number of a field, and of an enum value.
                536_870_911 | i32::MAX => self.line(&format!("reserved {start} to max;")),
                end => self.line(&format!("reserved {start} to {end};")),
            }
        }
        for name in names {
            self.line(&format!("reserved \"{name}\";"));
        }
    }

    fn deprecated(&mut self, deprecated: bool) {
        if deprecated {
            self.line("option deprecated = true;");
        }
    }

    fn comment(&mut self, name: &str) {
        let Some(text) = self.comments.get(name) else { return };
        for line in text.lines() {
            self.line(format!("//{}", line.trim_end()).as_str());
        }
    }

    fn space(&mut self, wanted: bool) {
        if wanted {
            self.out.push('\n');
        }
    }

    fn open(&mut self, line: &str) {
        self.line(&format!("{line} {{"));
        self.indent += 1;
    }

    fn close(&mut self) {
        self.indent -= 1;
        self.line("}");
    }

    fn line(&mut self, line: &str) {
        // Writing to a `String` cannot fail.
        let _ = writeln!(self.out, "{:1$}{line}", "", self.indent * 2);
    }
}

/// The default JSON name of a field.
fn json_name(name: &str) -> String {
    let mut upper = false;
    let mut json = String::new();
    for letter in name.chars() {
        match letter {
            '_' => upper = true,
            letter if std::mem::take(&mut upper) => json.push(letter.to_ascii_uppercase()),
            letter => json.push(letter),
        }
    }
    json
}
