//! Builds the tree of modules, which assigns code to files.
//!
//! A package is a module. Its code is in private modules below: one for each service with the
//! messages that only it needs, and one for each set of messages that several services need, or
//! none. The package's module re-exports them. One `#[cfg]` is thus enough for a service, and files
//! stay small.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    accessors, any,
    code::{Code, RT},
    former, parallel,
    paths::Paths,
    service,
    structs::{Structs, Texts},
    tables,
};
use crate::{
    Error, Options,
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
    let children =
        parallel::map(&model.packages, options.parallel && texts.are_long(), |package| {
            children(package, model, texts, options)
        });
    for (package, children) in model.packages.iter().zip(children) {
        root.package(package).children.extend(children?);
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
    messages: Code,
    tables: String,
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

/// The modules with the code of a package, by name.
fn children(
    package: &Package,
    model: &Model,
    texts: &Texts,
    options: &Options,
) -> Result<Vec<(String, Node)>, Error> {
    let paths = Paths::new(package, model);
    let mut structs = Structs::new(texts, package, &paths)?;
    let mut groups: BTreeMap<Gate, Group<'_>> = BTreeMap::new();
    for message in &package.messages {
        let group = groups.entry(shared(&message.gate, options)).or_default();
        group.messages.add(structs.message(message, &paths));
        let former = former::alias(package, &message.ident, message.former.as_deref());
        group.messages.add(former.into_iter().collect());
        tables::message(&mut group.tables, message, &paths);
    }
    for item in &package.enums {
        let group = groups.entry(shared(&item.gate, options)).or_default();
        group.messages.add(structs.enumeration(item, &paths));
        let former = former::alias(package, &item.ident, item.former.as_deref());
        group.messages.add(former.into_iter().collect());
        tables::enumeration(&mut group.tables, item, &paths);
    }
    for service in &package.services {
        let gate = Gate([service.name.clone()].into());
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
    let inner = |name: &str| fresh(&mut taken.clone(), name);
    let (messages_name, tables_name) = (inner("messages"), inner("tables"));
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
        if !group.messages.is_empty() {
            let code = format!("{}{}", scope(2, options), group.messages.into_text());
            let messages = Node { code, exported: true, ..Node::default() };
            child.children.insert(messages_name.clone(), messages);
            let code = format!("{}\n{}", scope(2, options), group.tables.trim_end());
            let tables = Node { code: code + "\n", ..Node::default() };
            child.children.insert(tables_name.clone(), tables);
        }
        children.push((name, child));
    }
    Ok(children)
}

/// The imports for code `depth` modules below the package's module.
fn scope(depth: usize, options: &Options) -> String {
    let package = vec!["super"; depth].join("::");
    format!("use {package}::*;\nuse {} as {RT};\n", options.runtime)
}

/// The gate that messages are grouped by. Sets of services have separate modules only if services
/// are compiled one by one.
fn shared(gate: &Gate, options: &Options) -> Gate {
    if gate.0.len() == 1 || options.features { gate.clone() } else { Gate::default() }
}

/// The name of a group's module: that of its service, or of the services that share it.
fn group_name(gate: &Gate, model: &Model) -> String {
    let services = model.services().filter(|service| gate.0.contains(&service.name));
    let mut names: Vec<String> = services
        .map(|service| match service.nickname.as_str() {
            // A name may be empty without its suffix `API`.
            "_" => names::snake(&service.ident),
            nickname => nickname.to_owned(),
        })
        .collect();
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
