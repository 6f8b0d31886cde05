//! Builds the model from descriptors.

mod builder;
mod message;
mod service;

use std::collections::BTreeMap;

use prost_types::{FileDescriptorProto, FileDescriptorSet};

use self::builder::{Builder, Scope, full_name};
use super::{
    Gate, Model, Package, TypeRef, check,
    needs::Needs,
    recursion::Recursion,
    resolve::{Types, is_generated, join, module},
    source_map::{SourceMap, tag},
};
use crate::{
    Options,
    docs::Docs,
    error::{Error, Place, Problems},
};

impl Model {
    /// Builds the model. The descriptors must include all imports, and should include source
    /// information: without it there are no comments, and no lines in errors.
    ///
    /// # Errors
    ///
    /// Fails if something in the descriptors cannot be expressed in Rust. All problems are
    /// reported.
    pub fn new(set: &FileDescriptorSet, options: &Options) -> Result<Self, Error> {
        let types = Types::new(set, options);
        let mut files: Vec<_> =
            set.file.iter().filter(|file| is_generated(file, options)).collect();
        files.sort_by_key(|file| file.name());

        let services = || files.iter().flat_map(|file| &file.service);
        let methods = || services().flat_map(|service| &service.method);
        let named = files.iter().flat_map(|file| {
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
            module: module(file.package(), self.options),
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
                package.enums.push(message::enumeration(&scope, path, item, &gate));
            }
        }
        for (index, service) in file.service.iter().enumerate() {
            let path = scope.at(tag::FILE_SERVICE, index);
            package.services.push(self.service(&scope, path, service));
        }
    }

    /// The gate of a top-level type, unless it is defined elsewhere.
    fn gate_if_local(&self, scope: &Scope<'_>, name: &str) -> Option<Gate> {
        let full = join(&scope.prefix, name);
        self.types.get(&full)?.ty.is_local().then(|| self.needs.gate(&full))
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
}
