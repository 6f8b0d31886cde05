//! Builds services and methods.

use prost_types::{MethodDescriptorProto, MethodOptions, ServiceDescriptorProto, ServiceOptions};

use super::builder::{Builder, Scope, full_name};
use crate::{
    model::{
        Method, MethodKind, Service,
        packages::{is_well_known, join},
        source_map::tag,
    },
    names,
};

/// The types of `google.protobuf` that the runtime supports as requests and responses.
const WHOLE: [&str; 21] = [
    "Any",
    "Api",
    "BoolValue",
    "BytesValue",
    "DoubleValue",
    "Duration",
    "Empty",
    "FieldMask",
    "FileDescriptorProto",
    "FileDescriptorSet",
    "FloatValue",
    "Int32Value",
    "Int64Value",
    "ListValue",
    "StringValue",
    "Struct",
    "Timestamp",
    "Type",
    "UInt32Value",
    "UInt64Value",
    "Value",
];

impl Builder<'_> {
    pub(super) fn service(
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
        let rust = self.renames.of(&name, proto.name());
        Service {
            ident: names::upper_camel(rust),
            nickname: names::snake(stem(rust)),
            feature: self.options.features.then(|| feature(rust)),
            methods,
            docs: self.docs(source, &scope.path, &name),
            place: source.place(&scope.path),
            deprecated: proto.options.as_ref().is_some_and(ServiceOptions::deprecated),
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
            if is_well_known(&name) && !WHOLE.contains(&&name["google.protobuf.".len()..]) {
                self.problems.add(
                    &place,
                    format!("{element} has `{name}` as its {role}, which is not supported"),
                    "declare a message of your own for it",
                );
                return None;
            }
            Some(found)
        };
        let request = message(proto.input_type(), "request");
        let response = message(proto.output_type(), "response");
        let full = join(&scope.prefix, proto.name());
        let rust = self.renames.of(&full, proto.name());
        Some(Method {
            name: proto.name().to_owned(),
            bulk: self.options.bulk.contains(&format!("/{}/{}", scope.prefix, proto.name())),
            ident: names::snake(rust),
            constant: names::shouty(rust),
            kind: match (proto.client_streaming(), proto.server_streaming()) {
                (false, false) => MethodKind::Unary,
                (false, true) => MethodKind::ServerStreaming,
                (true, false) => MethodKind::ClientStreaming,
                (true, true) => MethodKind::Bidi,
            },
            request: request?,
            response: response?,
            docs: self.docs(scope.source, path, &full),
            place,
            deprecated: proto.options.as_ref().is_some_and(MethodOptions::deprecated),
        })
    }
}

/// The name of a service without the usual suffix `API`.
fn stem(service: &str) -> &str {
    let stem = service.strip_suffix("API").or_else(|| service.strip_suffix("Api"));
    stem.filter(|stem| !stem.is_empty()).unwrap_or(service)
}

/// The Cargo feature of a service.
pub(super) fn feature(service: &str) -> String {
    names::kebab(stem(service))
}
