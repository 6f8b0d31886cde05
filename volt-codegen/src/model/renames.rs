//! Chooses other names for elements whose names differ in protobuf and collide in Rust.
//!
//! In each scope, enums come first, then messages, services, oneofs and fields, each in the order of
//! files and declarations. An element whose Rust name is taken is numbered `2`, `3` and so on.
//! [`Options::rename`](crate::Options::rename) takes precedence.

use std::collections::{BTreeMap, HashMap, HashSet};

use prost_types::{
    DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet,
    ServiceDescriptorProto,
};

use super::{
    accessors::Accessors,
    link::is_map,
    packages::{is_defined_elsewhere, join, module},
};
use crate::{Options, names};

/// The package that prost-build sees where a file has none.
const NO_PACKAGE: &str = "volt_no_package";

/// The names from which Rust names are derived, by the full names of elements, where they differ
/// from the element's own name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Renames {
    names: HashMap<String, String>,
    /// The elements that were numbered.
    numbered: HashSet<String>,
    /// All elements, to detect options that do not rename any element.
    elements: HashSet<String>,
}

/// The Rust names of one scope, with a prefix for each namespace.
type Taken = HashSet<String>;

/// The modules directly inside each module.
type Inside = HashMap<Vec<String>, Taken>;

fn inside(modules: impl Iterator<Item = Vec<String>>) -> Inside {
    let mut inside = Inside::new();
    for mut module in modules {
        while let Some(name) = module.pop() {
            inside.entry(module.clone()).or_default().insert(names::bare(&name).to_owned());
        }
    }
    inside
}

impl Renames {
    pub(crate) fn new(set: &FileDescriptorSet, options: &Options) -> Self {
        let mut renames = Self::default();
        renames.names.extend(options.renames.clone());
        let mut files: Vec<&FileDescriptorProto> = set.file.iter().collect();
        files.sort_by_key(|file| file.name());
        let mut packages: BTreeMap<&str, Vec<&FileDescriptorProto>> = BTreeMap::new();
        for file in files {
            packages.entry(file.package()).or_default().push(file);
        }
        let mut modules = Taken::new();
        for package in packages.keys().filter(|package| !package.is_empty()) {
            renames.place(package, package, &mut modules, |name| {
                vec![module(name, options).0.join("::")]
            });
        }
        let modules = packages.keys().map(|name| module(renames.of(name, name), options).0);
        let inside = inside(modules);
        for (package, files) in &packages {
            renames.walk(package, files, &inside, options);
        }
        renames
    }

    /// The name from which the Rust name of an element is derived.
    pub(crate) fn of<'a>(&'a self, full: &str, own: &'a str) -> &'a str {
        self.names.get(full).map_or(own, String::as_str)
    }

    /// The package that prost-build sees for a package.
    pub(crate) fn package<'a>(&'a self, package: &'a str) -> &'a str {
        if package.is_empty() { NO_PACKAGE } else { self.of(package, package) }
    }

    /// Returns whether an element was numbered.
    pub(crate) fn is_numbered(&self, full: &str) -> bool {
        self.numbered.contains(full)
    }

    /// Returns whether the descriptors have an element with this full name.
    pub(crate) fn has(&self, full: &str) -> bool {
        self.elements.contains(full)
    }

    /// Finds a name for an element whose Rust names are free. `uses` returns the Rust names derived
    /// from a name.
    fn place(
        &mut self,
        full: &str,
        own: &str,
        taken: &mut Taken,
        uses: impl Fn(&str) -> Vec<String>,
    ) {
        self.elements.insert(full.to_owned());
        let chosen = self.names.get(full).cloned();
        let numbered = (2..).map(|number| format!("{own}{number}"));
        let free = |name: &String| !uses(name).iter().any(|used| taken.contains(used));
        let name = match chosen {
            // Names that the options set are kept. A collision is an error.
            Some(name) => name,
            None => [own.to_owned()].into_iter().chain(numbered).find(free).unwrap_or_default(),
        };
        taken.extend(uses(&name));
        if name != own && !self.names.contains_key(full) {
            self.numbered.insert(full.to_owned());
            self.names.insert(full.to_owned(), name);
        }
    }

    /// The names that are taken before those of a package's items: its inner packages, and names
    /// set by options.
    fn reserved(
        &self,
        package: &str,
        files: &[&FileDescriptorProto],
        inside: &Inside,
        options: &Options,
    ) -> Taken {
        let own = module(self.of(package, package), options).0;
        let mut taken: Taken = inside.get(&own).cloned().unwrap_or_default();
        for file in files {
            let messages = file.message_type.iter().map(DescriptorProto::name);
            let enums = file.enum_type.iter().map(EnumDescriptorProto::name);
            let chosen =
                messages.chain(enums).filter_map(|name| self.names.get(&join(package, name)));
            taken.extend(chosen.map(|name| names::upper_camel(name)));
        }
        taken
    }

    fn service(
        &mut self,
        package: &str,
        service: &ServiceDescriptorProto,
        taken: &mut Taken,
        options: &Options,
    ) {
        let full = join(package, service.name());
        self.place(&full, service.name(), taken, |name| {
            let ident = names::upper_camel(name);
            let stem = ident.trim_end_matches('_');
            vec![format!("{stem}Client"), format!("{stem}Server"), ident]
        });
        // This method creates the client.
        let mut taken = Taken::from(["new".to_owned()]);
        taken.extend(options.taken.get(&full).into_iter().flatten().cloned());
        for method in &service.method {
            self.place(&join(&full, method.name()), method.name(), &mut taken, |name| {
                vec![names::bare(&names::snake(name)).to_owned()]
            });
        }
    }

    fn walk(
        &mut self,
        package: &str,
        files: &[&FileDescriptorProto],
        inside: &Inside,
        options: &Options,
    ) {
        let mut taken = self.reserved(package, files, inside, options);
        let local = |name: &str| !is_defined_elsewhere(&join(package, name), options);
        for item in files.iter().flat_map(|file| &file.enum_type) {
            if local(item.name()) {
                self.enumeration(package, item, &mut taken);
            }
        }
        for file in files {
            let proto3 = file.syntax() == "proto3";
            for message in file.message_type.iter().filter(|message| local(message.name())) {
                self.message(package, message, proto3, &mut taken);
            }
        }
        for service in files.iter().flat_map(|file| &file.service) {
            self.service(package, service, &mut taken, options);
        }
    }

    fn enumeration(&mut self, prefix: &str, item: &EnumDescriptorProto, taken: &mut Taken) {
        let full = join(prefix, item.name());
        self.place(&full, item.name(), taken, |name| vec![names::upper_camel(name)]);
        let ident = names::upper_camel(self.of(&full, item.name()));
        let mut taken = Taken::new();
        let mut numbers = HashSet::new();
        for value in &item.value {
            // An alias has no variant.
            if numbers.insert(value.number()) {
                self.place(&join(&full, value.name()), value.name(), &mut taken, |name| {
                    vec![names::bare(&names::variant(&ident, name)).to_owned()]
                });
            }
        }
    }

    fn message(
        &mut self,
        prefix: &str,
        message: &DescriptorProto,
        proto3: bool,
        taken: &mut Taken,
    ) {
        let full = join(prefix, message.name());
        let nested = || message.nested_type.iter().filter(|nested| !is_map(nested));
        let oneofs: Vec<_> = message
            .oneof_decl
            .iter()
            .enumerate()
            .filter(|(index, _)| has_members(message, *index))
            .collect();
        let has_module =
            nested().next().is_some() || !message.enum_type.is_empty() || !oneofs.is_empty();
        self.place(&full, message.name(), taken, |name| {
            let module = has_module.then(|| names::bare(&names::snake(name)).to_owned());
            [names::upper_camel(name)].into_iter().chain(module).collect()
        });

        let mut inside = Taken::new();
        for item in &message.enum_type {
            self.enumeration(&full, item, &mut inside);
        }
        for nested in nested() {
            self.message(&full, nested, proto3, &mut inside);
        }
        // Types of oneofs get the suffix `OneOf` beside a type with their name.
        let types = inside.clone();
        let mut taken: Taken = inside.iter().map(|name| format!("type {name}")).collect();
        for (_, oneof) in &oneofs {
            self.place(&join(&full, oneof.name()), oneof.name(), &mut taken, |name| {
                let ident = names::upper_camel(name);
                let ident = if types.contains(&ident) { format!("{ident}OneOf") } else { ident };
                let field = names::snake(name);
                vec![format!("type {ident}"), format!("field {}", names::bare(&field))]
            });
        }
        for field in &message.field {
            let in_oneof = field.oneof_index.filter(|_| !field.proto3_optional());
            let accessors = Accessors::of(message, field, proto3);
            self.place(&join(&full, field.name()), field.name(), &mut taken, |name| {
                let ident = names::snake(name);
                let ident = names::bare(&ident);
                let place = match in_oneof {
                    Some(index) => format!("variant {index} {}", names::upper_camel(name)),
                    None => format!("field {ident}"),
                };
                let setter = format!("with_{}", names::snake_rest(name));
                let methods = accessors.methods(ident).into_iter().chain([setter]);
                methods.map(|method| format!("method {method}")).chain([place]).collect()
            });
        }
    }
}

/// Returns whether a oneof has fields, and is not that of an `optional` field.
fn has_members(message: &DescriptorProto, index: usize) -> bool {
    message
        .field
        .iter()
        .any(|field| !field.proto3_optional() && field.oneof_index == i32::try_from(index).ok())
}
