//! Builds the tree of modules, which assigns code to files.
//!
//! A package is a module. Its code is in private modules below: one for each service, with the
//! messages that only it needs, and one for each set of messages that several services or no
//! service need. The package's module re-exports them. One `#[cfg]` is therefore enough for a
//! service, and files stay small.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use syn::Item;

use super::{
    accessors, any,
    code::{Code, RT},
    former, parallel,
    paths::Paths,
    reexports, service,
    structs::{Structs, Texts},
    tables,
};
use crate::{
    Error, Options, bundled,
    docs::Docs,
    model::{Gate, Message, Model, Package, Service},
    names,
};

/// A module of the output.
#[derive(Default)]
pub(super) struct Node {
    pub(super) docs: Docs,
    /// The features of which one must be enabled.
    pub(super) features: BTreeSet<String>,
    pub(super) public: bool,
    /// Set if all public items of the module are re-exported.
    pub(super) exported: bool,
    /// Set if the module's file is the `mod.rs` of a directory.
    pub(super) directory: bool,
    pub(super) children: BTreeMap<String, Self>,
    pub(super) code: String,
}

/// The module for the accessors.
const ACCESSORS: &str = "accessors";
/// The module for the generated client.
const CLIENT: &str = "client";

pub(super) fn tree(model: &Model, texts: &Texts, options: &Options) -> Result<Node, Error> {
    let mut root = Node { directory: true, ..Node::default() };
    let contents =
        parallel::map(&model.packages, options.parallel && texts.are_long(), |package| {
            contents(package, model, texts, options)
        });
    for (package, contents) in model.packages.iter().zip(contents) {
        let Contents { children, reexports } = contents?;
        let node = root.package(package);
        node.children.extend(children);
        node.code.push_str(&reexports);
    }
    if model.any_types {
        let node = Node { code: any::code(model, options), ..Node::default() };
        root.children.insert(any::MODULE.to_owned(), node);
    }
    if let Some(holder) = &options.accessors {
        let mut code = Code::default();
        code.items(&accessors::items(model, holder, &[ACCESSORS], options.examples.as_deref()))?;
        let node = Node { code: code.into_text(), ..Node::default() };
        let mut taken = root.children.keys().map(|name| names::bare(name).to_owned()).collect();
        root.children.insert(fresh(&mut taken, ACCESSORS), node);
    }
    if options.shares_volt_api {
        let (rt, version) = (&options.runtime, bundled::VERSION);
        let arguments = format!("::volt_api::API_VERSION, {version:?}");
        // Writing to a `String` cannot fail.
        let _ = writeln!(root.code, "\nconst _: () =\n    {rt}::same_volt_api({arguments});");
    }
    if options.client {
        let mut code = Code::default();
        code.text(&format!("{RT}::client! {{ {} }}\n", accessors::CLIENT));
        code.items(&accessors::items(model, accessors::CLIENT, &[CLIENT], None))?;
        let code = format!("use {} as {RT};\n{}", options.runtime, code.into_text());
        let node = Node { code, exported: true, ..Node::default() };
        let mut taken = root.children.keys().map(|name| names::bare(name).to_owned()).collect();
        root.children.insert(fresh(&mut taken, CLIENT), node);
    }
    Ok(root)
}

/// The items of one module: messages with the same gate, and the service that needs them.
#[derive(Default)]
struct Group<'a> {
    service: Option<&'a Service>,
    messages: Parts,
    tables: Parts,
}

impl Group<'_> {
    /// Adds a message or an enum, with its table and its former name.
    fn add(&mut self, items: Vec<Item>, former: Option<Item>, table: String) {
        let mut code = Code::default();
        code.add(items);
        code.add(former.into_iter().collect());
        self.messages.add(code.into_text());
        self.tables.add(table);
    }
}

/// The length of a file of messages after which the next one begins, in lines.
const LONG: usize = 2_000;

/// A text in parts that are not too long, one for each file.
#[derive(Default)]
struct Parts {
    texts: Vec<String>,
    /// The length of the last text.
    lines: usize,
}

impl Parts {
    fn add(&mut self, text: String) {
        let lines = text.lines().count();
        match self.texts.last_mut() {
            Some(last) if self.lines + lines <= LONG => {
                last.push_str(&text);
                self.lines += lines;
            }
            _ => {
                self.texts.push(text);
                self.lines = lines;
            }
        }
    }
}

impl Node {
    /// The module of a package.
    fn package(&mut self, package: &Package) -> &mut Self {
        let node = package.module.0.iter().fold(self, |node, name| {
            let child = node.children.entry(name.clone()).or_default();
            child.directory = true;
            child.public = true;
            child
        });
        node.docs = package.docs.or(&format!("The package `{}`.", package.name));
        node
    }
}

/// The module of a package.
struct Contents {
    /// The modules with its code, by name.
    children: Vec<(String, Node)>,
    /// The types that exist elsewhere.
    reexports: String,
}

fn contents(
    package: &Package,
    model: &Model,
    texts: &Texts,
    options: &Options,
) -> Result<Contents, Error> {
    let paths = Paths::new(package, model);
    let mut structs = Structs::new(texts, package, &paths)?;
    let mut groups: BTreeMap<Gate, Group<'_>> = BTreeMap::new();
    for message in package.messages.iter().filter(|message| message.reexport.is_none()) {
        let mut table = String::new();
        tables::message(&mut table, message, &paths);
        let former = former::alias(package, &message.ident, message.former.as_deref());
        let group = groups.entry(shared(&message.gate, options)).or_default();
        group.add(structs.message(message, &paths), former, table);
    }
    for item in package.enums.iter().filter(|item| item.reexport.is_none()) {
        let mut table = String::new();
        tables::enumeration(&mut table, item, &paths);
        let former = former::alias(package, &item.ident, item.former.as_deref());
        let group = groups.entry(shared(&item.gate, options)).or_default();
        group.add(structs.enumeration(item, &paths), former, table);
    }
    for service in &package.services {
        let gate = Gate { services: [service.name.clone()].into(), ..Gate::default() };
        groups.entry(gate).or_default().service = Some(service);
    }

    let mut taken: BTreeSet<String> = package
        .messages
        .iter()
        .filter(|message| message.has_module())
        .map(Message::module)
        .chain(model.modules_in(&package.module))
        .map(|name| names::bare(&name).to_owned())
        .collect();
    let inner = taken.clone();
    let mut children = Vec::new();
    for (gate, group) in groups {
        let name = fresh(&mut taken, &group_name(&gate, model));
        let mut child = Node {
            features: model.features(&gate),
            directory: true,
            exported: true,
            ..Node::default()
        };
        if let Some(service) = group.service {
            let code = service::code(service, &paths, options)?;
            child.code = format!("{}{}", scope(1, options), code.into_text());
        }
        // Their names are numbered if there are several.
        let mut inner = inner.clone();
        for text in group.messages.texts {
            let code = format!("{}{text}", scope(2, options));
            let messages = Node { code, exported: true, ..Node::default() };
            child.children.insert(fresh(&mut inner, "messages"), messages);
        }
        for text in group.tables.texts {
            let code = format!("{}\n{}\n", scope(2, options), text.trim_end());
            let tables = Node { code, ..Node::default() };
            child.children.insert(fresh(&mut inner, "tables"), tables);
        }
        children.push((name, child));
    }
    Ok(Contents { children, reexports: reexports::code(package) })
}

/// The imports for code `depth` modules below the package's module.
fn scope(depth: usize, options: &Options) -> String {
    let package = vec!["super"; depth].join("::");
    format!("use {package}::*;\nuse {} as {RT};\n", options.runtime)
}

/// The gate that messages are grouped by. Sets of services have separate modules only if services
/// can be compiled individually.
fn shared(gate: &Gate, options: &Options) -> Gate {
    match gate.services.len() {
        _ if options.features => gate.clone(),
        1 => Gate { services: gate.services.clone(), ..Gate::default() },
        _ => Gate::default(),
    }
}

/// The name of a group's module: that of its service, or of the services and features that share it.
fn group_name(gate: &Gate, model: &Model) -> String {
    let services = model.services().filter(|service| gate.services.contains(&service.name));
    let services = services.map(|service| match service.nickname.as_str() {
        // A name may be empty without its suffix `API`.
        "_" => names::snake(&service.ident),
        nickname => nickname.to_owned(),
    });
    let features = gate.features.iter().map(|feature| names::snake(feature));
    let mut names: Vec<String> = services.chain(features).collect();
    names.sort();
    match names.as_slice() {
        [] => "shared".to_owned(),
        [name] => name.clone(),
        [first, second] => format!("{}_and_{}", names::bare(first), names::bare(second)),
        more => format!("shared_by_{}", more.len()),
    }
}

/// A name for a private module that no other item has.
fn fresh(taken: &mut BTreeSet<String>, wanted: &str) -> String {
    let bare = names::bare(wanted);
    // `mod.rs` is the file of the parent module.
    let is_free = |name: &str| name != "mod" && !taken.contains(name);
    let numbered = (2..).map(|number| format!("{bare}_{number}"));
    let name =
        [wanted.to_owned()].into_iter().chain(numbered).find(|name| is_free(names::bare(name)));
    let name = name.unwrap_or_default();
    taken.insert(names::bare(&name).to_owned());
    name
}
