//! Builds services and methods.

use prost_types::{MethodDescriptorProto, MethodOptions, ServiceDescriptorProto, ServiceOptions};

use super::builder::{Builder, Scope, full_name};
use crate::{
    model::{
        Method, MethodKind, Service,
        resolve::{is_well_known, join},
        source_map::tag,
    },
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
        Service {
            ident: names::upper_camel(proto.name()),
            nickname: names::snake(stem(proto.name())),
            feature: self.options.features.then(|| feature(proto.name())),
            methods,
            docs: source.docs(&scope.path),
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
        let path_on_wire = format!("/{}/{}", scope.prefix, proto.name());
        Some(Method {
            name: proto.name().to_owned(),
            bulk: self.options.bulk.contains(&path_on_wire),
            path: path_on_wire,
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
