//! Invents the next version of an API: additions everywhere, none of which breaks source code.

use prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto,
    FileDescriptorProto, FileDescriptorSet, MessageOptions, MethodDescriptorProto,
    OneofDescriptorProto, ServiceDescriptorProto,
    enum_descriptor_proto::EnumReservedRange,
    field_descriptor_proto::{Label, Type},
};

/// The numbers that protobuf keeps for itself.
const RESERVED: std::ops::Range<i32> = 19_000..20_000;

/// Adds fields to every message, values to every enum, methods of all kinds to every service, and a package.
pub(super) fn grow(set: &mut FileDescriptorSet) {
    let text = format!("{set:?}").to_lowercase();
    // The API may have grown before.
    let words = (1..).map(|number| format!("grown{number}"));
    let Some(word) = words.into_iter().find(|word| !text.contains(word)) else { return };
    Grow(word).set(set);
}

/// The additions, with a word that all of their names contain.
struct Grow(String);

impl Grow {
    fn set(&self, set: &mut FileDescriptorSet) {
        let is_own = |file: &&mut FileDescriptorProto| !file.name().starts_with("google/protobuf/");
        for file in set.file.iter_mut().filter(is_own) {
            file.message_type.iter_mut().for_each(|message| self.message(message));
            file.enum_type.iter_mut().for_each(|item| self.enumeration(item));
            let mut services = std::mem::take(&mut file.service);
            for service in &mut services {
                let word = self.camel();
                let names = ["Get", "Watch", "Send", "Talk"].map(|name| format!("{word}{name}"));
                methods(file, service, &format!("{word}{}", service.name()), &names);
                if service.name() == "FileAPI" && !has_method(service, "Upload") {
                    // The name of a helper.
                    methods(file, service, &format!("{word}Upload"), &["Upload".to_owned()]);
                }
            }
            file.service = services;
        }
        set.file.push(self.package());
    }

    /// A new package. A feature of the SDK has the name of one of its services.
    fn package(&self) -> FileDescriptorProto {
        let word = &self.0;
        let mut file = FileDescriptorProto {
            name: Some(format!("tdx/volt_api/{word}/v1/{word}_api.proto")),
            package: Some(format!("tdx.volt_api.{word}.v1")),
            syntax: Some("proto3".to_owned()),
            ..FileDescriptorProto::default()
        };
        for name in [format!("{}API", self.camel()), "MetricsAPI".to_owned()] {
            let mut service = ServiceDescriptorProto {
                name: Some(name.clone()),
                ..ServiceDescriptorProto::default()
            };
            let names = ["Get", "Watch", "Send", "Talk"].map(str::to_owned);
            methods(&mut file, &mut service, &name, &names);
            file.service.push(service);
        }
        file
    }

    fn message(&self, own: &mut DescriptorProto) {
        if own.options.as_ref().is_some_and(MessageOptions::map_entry) {
            return;
        }
        own.nested_type.iter_mut().for_each(|nested| self.message(nested));
        own.enum_type.iter_mut().for_each(|item| self.enumeration(item));
        let fields = own.field.iter().map(FieldDescriptorProto::number);
        let reserved = own.reserved_range.iter().map(|range| range.end() - 1);
        let mut number = fields.chain(reserved).max().unwrap_or_default();
        let mut next = |ty, name: &str| {
            number += 1;
            if RESERVED.contains(&number) {
                number = RESERVED.end;
            }
            self.field(name, number, ty)
        };
        // A message of numbers alone is `Copy`.
        let is_copy = !own.field.iter().any(|field| {
            field.label() == Label::Repeated || matches!(field.r#type(), Type::String | Type::Bytes)
        });
        let mut fields = vec![next(Type::Int32, "")];
        for (index, oneof) in (0_i32..).zip(&own.oneof_decl) {
            let is_real = |field: &FieldDescriptorProto| {
                field.oneof_index == Some(index) && !field.proto3_optional()
            };
            if let Some(last) = own.field.iter().rposition(is_real) {
                let mut variant = next(Type::Int32, &oneof.name().replace('_', "").to_lowercase());
                variant.oneof_index = Some(index);
                // The text has the variants of a oneof in one block.
                own.field.insert(last + 1, variant);
            }
        }
        if !is_copy {
            fields.push(next(Type::String, "text"));
            // The name looks secret, and no file decides on it.
            let mut token = next(Type::String, "_token");
            token.json_name = Some(format!("{}Token", self.0));
            fields.push(token);
            let mut list = next(Type::Uint64, "list");
            list.label = Some(Label::Repeated.into());
            fields.push(list);
        }
        let mut flag = next(Type::Bool, "flag");
        flag.proto3_optional = Some(true);
        flag.oneof_index = i32::try_from(own.oneof_decl.len()).ok();
        let name = Some(format!("_{}flag", self.0));
        own.oneof_decl.push(OneofDescriptorProto { name, options: None });
        fields.push(flag);
        own.field.extend(fields);
    }

    /// A field with its own name in JSON, unless the name has an underscore.
    fn field(&self, name: &str, number: i32, ty: Type) -> FieldDescriptorProto {
        field(&format!("{}{name}", self.0), number, ty)
    }

    fn enumeration(&self, own: &mut EnumDescriptorProto) {
        let numbers = own.value.iter().map(EnumValueDescriptorProto::number);
        let reserved = own.reserved_range.iter().map(EnumReservedRange::end);
        let number = numbers.chain(reserved).max().unwrap_or_default() + 1;
        own.value.push(EnumValueDescriptorProto {
            name: Some(format!("{}_{}", own.name(), self.0.to_uppercase())),
            number: Some(number),
            options: None,
        });
    }

    /// The word in the names of types and methods.
    fn camel(&self) -> String {
        self.0.replacen('g', "G", 1)
    }
}

fn has_method(service: &ServiceDescriptorProto, name: &str) -> bool {
    service.method.iter().any(|method| method.name() == name)
}

/// Adds methods of up to four kinds, with new messages.
fn methods(
    file: &mut FileDescriptorProto,
    service: &mut ServiceDescriptorProto,
    stem: &str,
    names: &[String],
) {
    let mut add = |suffix: &str| {
        let name = format!("{stem}{suffix}");
        let ty = format!(".{}.{name}", file.package());
        let mut message = DescriptorProto { name: Some(name), ..DescriptorProto::default() };
        message.field.push(field("id", 1, Type::String));
        file.message_type.push(message);
        ty
    };
    let (request, response) = (add("Request"), add("Response"));
    let kinds = [(false, false), (false, true), (true, false), (true, true)];
    for (name, (client, server)) in names.iter().zip(kinds) {
        service.method.push(MethodDescriptorProto {
            name: Some(name.clone()),
            input_type: Some(request.clone()),
            output_type: Some(response.clone()),
            client_streaming: client.then_some(true),
            server_streaming: server.then_some(true),
            ..MethodDescriptorProto::default()
        });
    }
}

fn field(name: &str, number: i32, ty: Type) -> FieldDescriptorProto {
    FieldDescriptorProto {
        json_name: Some(name.to_owned()),
        name: Some(name.to_owned()),
        number: Some(number),
        label: Some(Label::Optional.into()),
        r#type: Some(ty.into()),
        ..FieldDescriptorProto::default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use volt_codegen::{
        diff::Surface,
        text::{Comments, write},
    };

    use super::*;
    use crate::{
        codegen::{self, former::FormerNames},
        secrets::Secrets,
        versions,
    };

    #[test]
    fn the_invented_version_adds_and_breaks_nothing() {
        let root = xtask_tools::root().unwrap();
        let sources = versions::sources(root, &versions::current(root).unwrap()).unwrap();
        let old = sources.compile().unwrap();
        let mut new = old.clone();
        grow(&mut new);
        let new = write(&new, &Comments::default()).unwrap().compile().unwrap();
        let report = codegen::diff(root, &old, &new, &FormerNames::default()).unwrap();
        for surface in Surface::ALL {
            assert_eq!(report.breaking(surface), 0, "{}", report.to_text());
        }
        let added = |kind: &str| {
            let count = &report.counts[kind];
            (count.old, count.added)
        };
        let (messages, (_, fields)) = (added("messages"), added("fields"));
        assert!(fields > 2 * messages.0, "{fields} fields in {messages:?} messages");
        let undecided = Secrets::default().undecided(&new);
        let tokens =
            undecided.iter().filter(|name| name.ends_with("_token") && name.contains(".grown"));
        assert!(2 * tokens.count() > messages.0, "most messages have a field that looks secret");
        assert_eq!(added("values").1, added("enums").0);
        let (services, (_, methods)) = (added("services"), added("methods"));
        assert_eq!(services.1, 2);
        assert!(methods > 4 * services.0, "{methods}");
    }
}
