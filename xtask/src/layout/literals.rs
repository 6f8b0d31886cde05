//! Finds literals and patterns of generated messages that name all fields: they do not compile when a new version
//! of the API adds a field.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use anyhow::Context as _;
use syn::visit::{self, Visit};

use super::measure::SourceFile;

/// The crates that use the messages, and the names of their crate roots in paths.
const USERS: [&str; 3] = ["bench/", "volt-api/", "volt-embedded/"];
/// The modules of `volt-api` that have them.
const MODULES: [&str; 4] = ["api", "data", "v0_15", "volt"];

/// Returns one line for each literal or pattern without `..`. Those within macros are not seen.
pub(super) fn complete(root: &Path, files: &[SourceFile]) -> anyhow::Result<Vec<String>> {
    let read = |file: &SourceFile| {
        fs::read_to_string(root.join(&file.path)).with_context(|| file.path.display().to_string())
    };
    let mut messages = BTreeSet::new();
    for file in files.iter().filter(|file| file.is_generated && file.path.starts_with("volt-api")) {
        let text = read(file)?;
        let names = text.split("pub struct ").skip(1).filter_map(|rest| rest.split_once(" {"));
        messages.extend(names.map(|(name, _)| name.to_owned()));
    }
    let mut faults = Vec::new();
    for file in files.iter().filter(|file| !file.is_generated) {
        if USERS.iter().any(|user| file.path.starts_with(user)) {
            let found = complete_in(&read(file)?, &messages);
            faults.extend(found.into_iter().map(|name| {
                let path = file.path.display();
                format!("{path}: `{name} {{ … }}` names all fields; end it with `..{name}::default()`, or `..`")
            }));
        }
    }
    Ok(faults)
}

/// The names of the messages in a file's literals and patterns without `..`.
fn complete_in(text: &str, messages: &BTreeSet<String>) -> Vec<String> {
    // A test's input may be invalid Rust.
    let Ok(file) = syn::parse_file(text) else { return Vec::new() };
    let mut finder = Finder { messages, imported: BTreeMap::new(), found: Vec::new() };
    // Imports first: a file may use a name above the import.
    Imports(&mut finder.imported).visit_file(&file);
    finder.visit_file(&file);
    finder.found
}

/// The names that come from the API's modules, with their own names there.
struct Imports<'a>(&'a mut BTreeMap<String, String>);

impl<'ast> Visit<'ast> for Imports<'_> {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let mut path = Vec::new();
        self.tree(&item.tree, &mut path);
    }
}

impl Imports<'_> {
    fn tree(&mut self, tree: &syn::UseTree, path: &mut Vec<String>) {
        let mut add = |path: &[String], name: &syn::Ident, own: &syn::Ident| {
            let own = if own == "self" { None } else { Some(own.to_string()) };
            let full: Vec<String> = path.iter().cloned().chain(own).collect();
            if let Some(own) = full.last().filter(|_| is_api(&full)) {
                let name = if name == "self" { own.clone() } else { name.to_string() };
                self.0.insert(name, own.clone());
            }
        };
        match tree {
            syn::UseTree::Path(part) => {
                path.push(part.ident.to_string());
                self.tree(&part.tree, path);
                path.pop();
            }
            syn::UseTree::Name(name) => add(path, &name.ident, &name.ident),
            syn::UseTree::Rename(name) => add(path, &name.rename, &name.ident),
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.tree(tree, path);
                }
            }
            syn::UseTree::Glob(_) => {}
        }
    }
}

fn is_api(path: &[String]) -> bool {
    match path {
        [root, module, ..] if root == "volt_api" || root == "crate" => {
            MODULES.contains(&module.as_str())
        }
        _ => false,
    }
}

struct Finder<'a> {
    messages: &'a BTreeSet<String>,
    imported: BTreeMap<String, String>,
    found: Vec<String>,
}

impl Finder<'_> {
    fn check(&mut self, path: &syn::Path, has_rest: bool) {
        let parts: Vec<_> = path.segments.iter().map(|part| part.ident.to_string()).collect();
        let own = match parts.as_slice() {
            [name] => self.imported.get(name).cloned(),
            // A module that was imported, such as `volt::Resource`, or the whole path.
            [first, .., name] if self.imported.contains_key(first) => Some(name.clone()),
            [.., name] if is_api(&parts[..parts.len() - 1]) => Some(name.clone()),
            _ => None,
        };
        if let Some(own) = own.filter(|own| !has_rest && self.messages.contains(own)) {
            self.found.push(own);
        }
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_expr_struct(&mut self, literal: &'ast syn::ExprStruct) {
        self.check(&literal.path, literal.dot2_token.is_some());
        visit::visit_expr_struct(self, literal);
    }

    fn visit_pat_struct(&mut self, pattern: &'ast syn::PatStruct) {
        self.check(&pattern.path, pattern.rest.is_some());
        visit::visit_pat_struct(self, pattern);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_patterns_of_messages_need_a_rest() {
        let messages = BTreeSet::from(["Identity".to_owned(), "Resource".to_owned()]);
        let text = "
            use volt_api::{volt::{self, Identity, Resource as Row}, Client};
            struct Own { id: u8 }
            fn f() {
                let a = Identity { resource: None, alias: vec![] };
                let b = Identity { alias: vec![], ..Default::default() };
                let c = Own { id: 1 };
                let Row { id } = r();
                let Row { id, .. } = r();
                let d = volt::Resource { id: a };
                let e = volt_api::volt::Identity { alias: [volt::Resource { id: 1 }], ..a };
                let f = other::Identity { alias: b };
            }
        ";
        let found = complete_in(text, &messages);
        assert_eq!(found, ["Identity", "Resource", "Resource", "Resource"]);
        let own = "struct Identity { a: u8 } fn f() { let a = Identity { a: 1 }; }";
        assert!(complete_in(own, &messages).is_empty());
    }
}
