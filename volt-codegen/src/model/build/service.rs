//! Builds services and methods.

use prost_types::{MethodDescriptorProto, MethodOptions, ServiceDescriptorProto, ServiceOptions};

use super::builder::{Builder, Scope, full_name};
use crate::{
    model::{Method, MethodKind, Service, packages::join, source_map::tag},
    names,
};

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
        let mut message = |name: &str| self.resolve(&full_name(name), &element, &place);
        let request = message(proto.input_type());
        let response = message(proto.output_type());
        let full = join(&scope.prefix, proto.name());
        let rust = self.renames.of(&full, proto.name());
        Some(Method {
            name: proto.name().to_owned(),
            bulk: self.options.bulk.contains(&format!("/{}/{}", scope.prefix, proto.name())),
            ident: names::snake(rust),
            constant: constant(rust),
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

/// The constant of a method. Clients have two further constants.
fn constant(method: &str) -> String {
    match names::shouty(method) {
        name if ["METHODS", "NAME"].contains(&name.as_str()) => name + "_METHOD",
        name => name,
    }
}

/// The Cargo feature of a service.
pub(super) fn feature(service: &str) -> String {
    names::kebab(stem(service))
}
