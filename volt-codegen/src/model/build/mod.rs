//! Builds the model from descriptors.

mod builder;
mod message;
mod service;

use std::collections::BTreeMap;

use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet};

use self::builder::{Builder, Scope, full_name};
use super::{
    FieldKind, Gate, Message, Method, Model, Package, Renames, TypeRef, check, link,
    needs::Needs,
    nicknames,
    packages::{join, module, serves},
    recursion::Recursion,
    resolve::Types,
    source_map::{SourceMap, tag},
};
use crate::{
    Options,
    docs::Docs,
    error::{Error, Place, Problem, Problems},
    names,
};

impl Model {
    /// Builds the model. The descriptors must include all imports, and should include source
    /// information: without it there are no comments, and no lines in errors.
    ///
    /// # Errors
    ///
    /// Fails if something in the descriptors cannot be expressed in Rust. All problems are
    /// reported.
    pub(crate) fn new(set: &FileDescriptorSet, options: &Options) -> Result<Self, Error> {
        link::check(set, options)?;
        let renames = Renames::new(set, options);
        let types = Types::new(set, options, &renames);
        let mut files: Vec<_> = set.file.iter().collect();
        files.sort_by_key(|file| file.name());

        let generated = || files.iter().filter(move |file| serves(file, options));
        let methods =
            || generated().flat_map(|file| &file.service).flat_map(|service| &service.method);
        let named = generated().flat_map(|file| {
            file.service.iter().map(|service| (join(file.package(), service.name()), service))
        });
        let roots = named.map(|(name, service)| {
            let methods = service.method.iter();
            let used = methods.flat_map(|method| [method.input_type(), method.output_type()]);
            (name, used.map(full_name).collect())
        });
        let mut builder = Builder {
            options,
            needs: Needs::new(set, &types, roots),
            types: &types,
            renames: &renames,
            proto2: false,
            recursion: Recursion::new(set),
            responses: methods().map(|method| full_name(method.output_type())).collect(),
            problems: Problems::default(),
        };
        let mut packages = BTreeMap::new();
        for file in files {
            builder.file(&mut packages, file);
        }
        let mut packages: Vec<Package> = packages.into_values().collect();
        nicknames::distinguish(&mut packages, options);
        let mut all = types.all();
        for package in &packages {
            all.extend(package.services.iter().map(|service| {
                let name = service.name.clone();
                // The client: the trait may not be generated.
                (name.clone(), TypeRef::local_type(name, package.module.clone(), service.client()))
            }));
        }
        let mut problems = builder.problems;
        let modules = packages.iter().map(|package| {
            let path: Vec<String> = package.prost.split('.').map(names::snake).collect();
            (path.join("::"), package.module.clone())
        });
        let modules = modules.collect();
        let any = any_uses(&packages);
        let any_types = options.any_types && any.iter().any(|any| any.is_field);
        let warnings = any.iter().filter(|any| !(any.is_field && any_types)).map(Any::warning);
        let warnings = warnings.collect();
        let externs = types.externs();
        let model = Self { packages, externs, types: all, modules, renames, any_types, warnings };
        check::model(&model, options, &mut problems);
        problems.into_result(model)
    }
}

/// A use of `google.protobuf.Any`.
struct Any {
    place: Place,
    element: String,
    /// Set if it is the type of a field; else it is that of a request or response.
    is_field: bool,
}

impl Any {
    /// The warning for a place where only some types have JSON.
    fn warning(&self) -> Problem {
        let element = &self.element;
        Problem {
            place: Some(self.place.clone()),
            message: format!(
                "{element} is a `google.protobuf.Any`: in JSON it can contain only types of protobuf, and \
                 those that the program registers"
            ),
            help: Some(if self.is_field {
                "the option `any_types` generates a list of all messages".to_owned()
            } else {
                "call `json::register` for each message, or use a message with a field".to_owned()
            }),
        }
    }
}

/// The uses of `google.protobuf.Any`, the first one in each message.
fn any_uses(packages: &[Package]) -> Vec<Any> {
    let mut uses = Vec::new();
    for package in packages {
        for message in package.messages.iter().flat_map(Message::with_nested) {
            let field = message.fields.iter().find(|field| match &field.kind {
                FieldKind::Map(_, held) => held.is_any(),
                kind => kind.is_any(),
            });
            uses.extend(field.map(|field| Any {
                place: field.place.clone(),
                element: format!("the field `{}` of `{}`", field.name, message.name),
                is_field: true,
            }));
        }
        for service in &package.services {
            let method = |method: &&Method| method.request.is_any() || method.response.is_any();
            uses.extend(service.methods.iter().filter(method).map(|method| Any {
                place: method.place.clone(),
                element: format!("a message of the method `{}` of `{}`", method.name, service.name),
                is_field: false,
            }));
        }
    }
    uses
}

impl Builder<'_> {
    fn file(&mut self, packages: &mut BTreeMap<String, Package>, file: &FileDescriptorProto) {
        let source = SourceMap::new(file);
        let types = file.message_type.iter().map(DescriptorProto::name);
        let mut types = types.chain(file.enum_type.iter().map(EnumDescriptorProto::name));
        let is_local = |name: &str| {
            self.types.get(&join(file.package(), name)).is_some_and(|found| found.ty.is_local())
        };
        let services = if serves(file, self.options) { file.service.as_slice() } else { &[] };
        if services.is_empty() && !types.any(is_local) {
            return;
        }
        self.proto2 = match file.syntax() {
            "proto3" => false,
            "" | "proto2" => true,
            other => {
                self.problems.add(
                    &source.place(&[tag::SYNTAX]),
                    format!("the syntax `{other}` is not supported"),
                    "proto2 and proto3 are; `descriptor_set` reads files with an edition",
                );
                return;
            }
        };
        let scope = Scope {
            source: &source,
            path: Vec::new(),
            prefix: file.package().to_owned(),
            module: module(self.renames.of(file.package(), file.package()), self.options),
        };
        let package = packages.entry(file.package().to_owned()).or_insert_with(|| Package {
            name: file.package().to_owned(),
            prost: self.renames.package(file.package()).to_owned(),
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
        for (index, service) in services.iter().enumerate() {
            let path = scope.at(tag::FILE_SERVICE, index);
            package.services.push(self.service(&scope, path, service));
        }
    }

    /// The gate of a top-level type, unless it is defined elsewhere.
    fn gate_if_local(&self, scope: &Scope<'_>, name: &str) -> Option<Gate> {
        let full = join(&scope.prefix, name);
        self.types.get(&full)?.ty.is_local().then(|| self.needs.gate(&full, self.options))
    }

    fn resolve(&mut self, name: &str, element: &str, place: &Place) -> Option<TypeRef> {
        let found = self.types.get(name).map(|found| found.ty.clone());
        if found.is_none() {
            self.problems.add(
                place,
                format!("{element} has the type `{name}`, which is not in the descriptors"),
                "pass the descriptors of all imported files too",
            );
        }
        found
    }
}
