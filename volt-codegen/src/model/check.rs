//! Checks for names that differ in protobuf and collide in Rust.

use std::collections::{BTreeMap, btree_map::Entry};

use super::{Enum, Field, FieldKind, Label, Message, Model, Module, Package, Scalar, Service};
use crate::{
    Options, Server,
    error::{Place, Problems},
    names,
};

/// Reports every collision.
pub(super) fn model(model: &Model, options: &Options, problems: &mut Problems) {
    let mut check = Check { problems, options };
    let mut modules = Names::new("a Rust module");
    for package in &model.packages {
        check.package(package, model, &mut modules);
    }
    check.services(model);
    check.options(model);
}

struct Check<'a> {
    problems: &'a mut Problems,
    options: &'a Options,
}

/// The names in one Rust namespace, with their owners.
struct Names<'a> {
    /// The kind of the names, such as "a field".
    what: &'a str,
    taken: BTreeMap<String, (String, Place)>,
}

impl<'a> Names<'a> {
    fn new(what: &'a str) -> Self {
        Self { what, taken: BTreeMap::new() }
    }

    fn add(&mut self, problems: &mut Problems, name: &str, element: String, place: &Place) {
        match self.taken.entry(names::bare(name).to_owned()) {
            Entry::Vacant(entry) => {
                entry.insert((element, place.clone()));
            }
            Entry::Occupied(entry) => {
                let (first, first_place) = entry.get();
                let what = self.what;
                problems.add(
                    place,
                    format!(
                        "{element} makes {what} named `{name}`, as does {first} at {first_place}"
                    ),
                    "rename one of the two; case and underscores alone make no difference in Rust",
                );
            }
        }
    }
}

impl Check<'_> {
    fn package<'p>(&mut self, package: &'p Package, model: &Model, modules: &mut Names<'p>) {
        let element = format!("the package `{}`", package.name);
        modules.add(self.problems, &package.module.0.join("::"), element, &package.place);
        for (part, ident) in package.name.split('.').zip(&package.module.0) {
            let element = format!("`{part}` in the package `{}`", package.name);
            self.named(ident, &element, &package.place);
        }

        let mut items = Names::new("an item");
        for inner in inner_packages(&package.module, model) {
            let element = format!("the package `{}`", inner.name);
            if let Some(name) = inner.module.0.get(package.module.0.len()) {
                // Several packages may share their first modules.
                items.taken.insert(names::bare(name).to_owned(), (element, inner.place.clone()));
            }
        }
        for item in &package.enums {
            items.add(self.problems, &item.ident, format!("the enum `{}`", item.name), &item.place);
            self.enumeration(item);
        }
        for message in &package.messages {
            self.message(message, &mut items);
        }
        for service in &package.services {
            let element = format!("the service `{}`", service.name);
            for name in [service.client(), service.ident.clone(), service.server()] {
                items.add(self.problems, &name, element.clone(), &service.place);
            }
            self.service(service);
        }
    }

    fn message(&mut self, message: &Message, siblings: &mut Names<'_>) {
        let element = format!("the message `{}`", message.name);
        siblings.add(self.problems, &message.ident, element.clone(), &message.place);
        self.named(&message.ident, &element, &message.place);

        let mut items = Names::new("an item");
        for item in &message.enums {
            items.add(self.problems, &item.ident, format!("the enum `{}`", item.name), &item.place);
            self.enumeration(item);
        }
        for nested in &message.messages {
            self.message(nested, &mut items);
        }
        for oneof in &message.oneofs {
            let element = format!("the oneof `{}`", oneof.ty.name);
            items.add(self.problems, oneof.ty.ident(), element, &oneof.place);
        }
        if !items.taken.is_empty() {
            // They are in a module beside the struct.
            let module = message.module();
            siblings.add(self.problems, &module, element, &message.place);
        }
        self.fields(message);
        if message.is_status {
            self.status(message);
        }
    }

    fn fields(&mut self, message: &Message) {
        let mut fields = Names::new("a field");
        let mut variants: Vec<_> = message.oneofs.iter().map(|_| Names::new("a variant")).collect();
        let mut methods = Names::new("a method");
        let mut json = Names::new("a JSON member");
        for oneof in &message.oneofs {
            let element = format!("the oneof `{}`", oneof.ty.name);
            self.named(&oneof.ident, &element, &oneof.place);
            fields.add(self.problems, &oneof.ident, element, &oneof.place);
        }
        for field in &message.fields {
            let element = format!("the field `{}` of `{}`", field.name, message.name);
            let place = &field.place;
            self.named(&field.ident, &element, place);
            match &field.label {
                Label::Oneof { index, variant } => {
                    if let Some(variants) = variants.get_mut(*index) {
                        variants.add(self.problems, variant, element.clone(), place);
                    }
                }
                _ => fields.add(self.problems, &field.ident, element.clone(), place),
            }
            for method in accessors(field) {
                methods.add(self.problems, &method, element.clone(), place);
            }
            json.add(self.problems, &field.json_name, element, place);
        }
    }

    /// Names that consist of underscores have no equivalent in Rust.
    fn named(&mut self, ident: &str, element: &str, place: &Place) {
        let bare = names::bare(ident);
        if is_nameless(bare) {
            self.problems.add(
                place,
                format!("{element} has no letter or digit for a Rust name"),
                "rename it",
            );
        } else if !is_identifier(bare) {
            self.problems.add(
                place,
                format!("{element} has a character that protobuf does not allow in names"),
                "a name has letters from a to z, digits and underscores only",
            );
        }
    }

    fn enumeration(&mut self, item: &Enum) {
        self.named(&item.ident, &format!("the enum `{}`", item.name), &item.place);
        let mut variants = Names::new("a variant");
        for value in item.values.iter().filter(|value| !value.alias) {
            let element = format!("the value `{}` of `{}`", value.name, item.name);
            self.named(&value.ident, &element, &value.place);
            variants.add(self.problems, &value.ident, element, &value.place);
        }
    }

    /// The status message must have the fields of a status.
    fn status(&mut self, message: &Message) {
        let needed =
            [("code", Scalar::Int32), ("message", Scalar::String), ("description", Scalar::String)];
        for (name, scalar) in needed {
            let found = message.fields.iter().any(|field| {
                field.name == name
                    && field.kind == FieldKind::Scalar(scalar)
                    && field.label == Label::Singular
            });
            if !found {
                self.problems.add(
                    &message.place,
                    format!("`{}` is the status and has no field `{name}`", message.name),
                    "a status has `int32 code`, `string message` and `string description`",
                );
            }
        }
    }

    fn service(&mut self, service: &Service) {
        let accessor = self.options.accessors.as_ref().map(|_| &service.nickname);
        let idents = [Some(&service.ident), accessor].into_iter().flatten();
        // A feature may have dashes.
        let feature = service.feature.iter().filter(|feature| is_nameless(feature));
        if let Some(ident) = idents
            .chain(feature)
            .find(|ident| is_nameless(ident) || !is_identifier(names::bare(ident)))
        {
            self.named(ident, &format!("the service `{}`", service.name), &service.place);
        }
        let mut methods = Names::new("a method");
        let mut constants = Names::new("a constant");
        for method in &service.methods {
            let element = format!("the method `{}` of `{}`", method.name, service.name);
            self.named(&method.ident, &element, &method.place);
            if method.ident == "new" {
                self.problems.add(
                    &method.place,
                    format!(
                        "{element} would be `new` in Rust, the name of the client's constructor"
                    ),
                    "rename it, for example to `Create`",
                );
            }
            if method.constant.ends_with("_METHOD") {
                constants.add(self.problems, &method.constant, element.clone(), &method.place);
            }
            methods.add(self.problems, &method.ident, element, &method.place);
        }
    }

    /// Checks names that services share across packages.
    fn services(&mut self, model: &Model) {
        let mut features = Names::new("a Cargo feature");
        let mut accessors = Names::new("an accessor");
        for service in model.services() {
            let element = format!("the service `{}`", service.name);
            if self.options.accessors.is_some() {
                accessors.add(self.problems, &service.nickname, element.clone(), &service.place);
            }
            let Some(feature) = &service.feature else { continue };
            let server = match &self.options.server {
                Server::Feature(server) => server.as_str(),
                Server::Always | Server::Never => "server",
            };
            if [server, "default", "services"].contains(&feature.as_str()) {
                self.problems.add(
                    &service.place,
                    format!("{element} would have the Cargo feature `{feature}`, which is taken"),
                    "rename the service",
                );
            }
            features.add(self.problems, feature, element, &service.place);
        }
    }

    /// Only types with the same name can be re-exported, because the module of nested types has that name, too.
    fn reexports(&mut self, model: &Model) {
        let reexports = &self.options.reexports;
        let messages = model
            .packages
            .iter()
            .flat_map(|package| &package.messages)
            .map(|message| (&message.name, &message.ident, &message.place));
        let enums = model
            .packages
            .iter()
            .flat_map(|package| &package.enums)
            .map(|item| (&item.name, &item.ident, &item.place));
        for (name, ident, place) in messages.chain(enums) {
            let Some(path) = reexports.get(name) else { continue };
            if path.rsplit_once("::").is_none_or(|(_, last)| last != ident) {
                self.problems.add(
                    place,
                    format!("the options re-export `{name}` from `{path}`"),
                    &format!("the path has a module, and the type's own name: `{ident}`"),
                );
            }
        }
    }

    fn options(&mut self, model: &Model) {
        let options = self.options;
        self.reexports(model);
        let paths =
            options.extern_paths.values().chain(&options.accessors).chain([&options.runtime]);
        let Some(package) = model.packages.first() else { return };
        for (element, name) in &options.renames {
            let is_package = model.packages.iter().any(|package| package.name == *element);
            let letters = !is_nameless(name)
                && (is_package || !name.contains('.'))
                && name.split('.').all(is_identifier);
            if !letters || !model.renames.has(element) {
                self.problems.add(
                    &package.place,
                    format!("the options rename `{element}` to `{name}`"),
                    if letters {
                        "there is no generated element with that full name"
                    } else {
                        "a name has letters from a to z, digits and underscores only, and begins with \
                         a letter"
                    },
                );
            }
        }
        let paths = paths.chain(options.reexports.values());
        for path in paths.filter(|path| !names::is_path(path)) {
            self.problems.add(
                &package.place,
                format!("the options name `{path}`, which is not a Rust path"),
                "write it like `::volt_api::api`",
            );
        }
    }
}

/// Returns whether a name has only characters that protobuf allows in names. Others reach the generator
/// in options and in descriptors that no compiler has checked.
fn is_identifier(name: &str) -> bool {
    name.chars().all(|letter| letter == '_' || letter.is_ascii_alphanumeric())
        && !name.starts_with(|first: char| first.is_ascii_digit())
}

fn is_nameless(ident: &str) -> bool {
    matches!(ident, "" | "_")
}

/// The packages inside a module.
fn inner_packages<'a>(module: &'a Module, model: &'a Model) -> impl Iterator<Item = &'a Package> {
    model.packages.iter().filter(move |package| {
        package.module.0.len() > module.0.len() && package.module.0.starts_with(&module.0)
    })
}

/// The methods of a field: our setter, and those of prost.
fn accessors(field: &Field) -> Vec<String> {
    let mut methods = field.accessors.methods(names::bare(&field.ident));
    methods.push(field.setter.clone());
    methods
}
