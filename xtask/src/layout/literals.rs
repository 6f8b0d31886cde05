//! Finds code that does not compile when a new version of the API adds a field, a variant of a oneof or a value of an
//! enum: literals and patterns of generated messages that name all fields, and matches that name all variants.
//!
//! The compiler demands a rest for the variants in other crates, where the enums are `#[non_exhaustive]`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use anyhow::Context as _;
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::visit::{self, Visit};

use super::measure::SourceFile;

/// The file that names the modules of `volt-api` with the messages.
const PACKAGES: &str = "volt-api/src/packages.rs";

/// The generated types.
struct Api {
    modules: BTreeSet<String>,
    messages: BTreeSet<String>,
    enums: BTreeSet<String>,
}

/// Returns one line for each fault.
pub(super) fn complete(root: &Path, files: &[SourceFile]) -> anyhow::Result<Vec<String>> {
    let read = |path: &Path| {
        fs::read_to_string(root.join(path)).with_context(|| path.display().to_string())
    };
    let mut api = Api {
        modules: modules(&read(Path::new(PACKAGES))?),
        messages: BTreeSet::new(),
        enums: BTreeSet::new(),
    };
    for file in files.iter().filter(|file| file.is_generated && file.path.starts_with("volt-api")) {
        let text = read(&file.path)?;
        let names = |what: &str| {
            let parts = text.split(what).skip(1).filter_map(|rest: &str| rest.split_once(" {"));
            parts.map(|(name, _)| name.to_owned()).collect::<Vec<_>>()
        };
        api.messages.extend(names("pub struct "));
        api.enums.extend(names("pub enum "));
    }
    let mut faults = Vec::new();
    for file in files.iter().filter(|file| !file.is_generated) {
        let found = complete_in(&read(&file.path)?, &api);
        faults.extend(found.into_iter().map(|fault| format!("{}: {fault}", file.path.display())));
    }
    Ok(faults)
}

/// The modules of `volt-api` in its list of packages and older versions.
fn modules(packages: &str) -> BTreeSet<String> {
    let words: Vec<_> =
        packages.split(|letter: char| !letter.is_alphanumeric() && letter != '_').collect();
    let named = words.windows(2).filter(|pair| ["as", "mod"].contains(&pair[0]));
    named.map(|pair| pair[1].to_owned()).collect()
}

/// The faults in the text of a file.
fn complete_in(text: &str, api: &Api) -> Vec<String> {
    // A test's input may be invalid Rust.
    let Ok(file) = syn::parse_file(text) else { return Vec::new() };
    let mut finder = Finder { api, imported: BTreeMap::new(), own: None, found: Vec::new() };
    // Imports first: a file may use a name above the import.
    let mut imports = Imports { api, names: BTreeMap::new(), others: BTreeSet::new() };
    imports.visit_file(&file);
    imports.names.retain(|name, _| !imports.others.contains(name));
    finder.imported = imports.names;
    finder.visit_file(&file);
    finder.found
}

struct Imports<'a> {
    api: &'a Api,
    /// The names that come from the API's modules, with their own names there.
    names: BTreeMap<String, String>,
    /// The names that come from elsewhere. A module of tests may import another item with the same name.
    others: BTreeSet<String>,
}

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
            let Some(own) = full.last() else { return };
            let name = if name == "self" { own.clone() } else { name.to_string() };
            if self.api.contains(&full) {
                self.names.insert(name, own.clone());
            } else {
                self.others.insert(name);
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

impl Api {
    /// Returns whether a path begins with one of the API's modules.
    fn contains(&self, path: &[String]) -> bool {
        match path {
            [root, module, ..] if root == "volt_api" || root == "crate" => {
                self.modules.contains(module)
            }
            _ => false,
        }
    }
}

struct Finder<'a> {
    api: &'a Api,
    imported: BTreeMap<String, String>,
    /// The message that is `Self`.
    own: Option<String>,
    found: Vec<String>,
}

impl Finder<'_> {
    /// The name of the generated item that a path leads to.
    fn resolve(&self, parts: &[String]) -> Option<String> {
        match parts {
            [name] if name == "Self" => self.own.clone(),
            [name] => self.imported.get(name).cloned(),
            // A module that was imported, such as `volt::Resource`, or the whole path.
            [first, .., name] if self.imported.contains_key(first) => Some(name.clone()),
            [modules @ .., name] if self.api.contains(modules) => Some(name.clone()),
            _ => None,
        }
    }

    fn literal(&mut self, parts: &[String], has_rest: bool) {
        let own = self.resolve(parts).filter(|own| self.api.messages.contains(own));
        if let Some(own) = own.filter(|_| !has_rest) {
            let fault = format!(
                "`{own} {{ … }}` names all fields; end it with `..{own}::default()`, or `..`"
            );
            self.found.push(fault);
        }
    }

    /// The generated enum of which a path is a variant.
    fn variant(&self, path: &syn::Path) -> Option<String> {
        let parts = names(path);
        let (_, ty) = parts.split_last()?;
        self.resolve(ty).filter(|own| self.api.enums.contains(own))
    }

    /// The message of an implementation.
    fn within(&mut self, ty: Option<Vec<String>>, visit: impl FnOnce(&mut Self)) {
        let own = ty.and_then(|parts| self.resolve(&parts));
        let outer = std::mem::replace(&mut self.own, own);
        visit(self);
        self.own = outer;
    }

    /// The literals in the input of a macro, which may be code.
    fn tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        for (at, token) in tokens.iter().enumerate() {
            let TokenTree::Group(group) = token else { continue };
            let (path, before) = path_before(&tokens[..at]);
            let visit = |finder: &mut Self| finder.tokens(group.stream());
            match before.as_str() {
                _ if group.delimiter() != Delimiter::Brace => visit(self),
                "for" | "impl" => self.within(Some(path), visit),
                "struct" | "enum" | "->" => visit(self),
                _ => {
                    if let Some(has_rest) = fields(group.stream()) {
                        self.literal(&path, has_rest);
                    }
                    visit(self);
                }
            }
        }
    }
}

/// The path at the end of some tokens, and the word or sign before it.
fn path_before(tokens: &[TokenTree]) -> (Vec<String>, String) {
    let sign = |at: Option<usize>, sign: char| {
        let token = at.and_then(|at| tokens.get(at));
        matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == sign)
    };
    let mut path = Vec::new();
    let mut at = tokens.len();
    while let Some(TokenTree::Ident(ident)) = at.checked_sub(1).and_then(|at| tokens.get(at)) {
        path.insert(0, ident.to_string());
        at -= 1;
        if !(sign(at.checked_sub(1), ':') && sign(at.checked_sub(2), ':')) {
            break;
        }
        at -= 2;
    }
    let before = match at.checked_sub(1).and_then(|at| tokens.get(at)) {
        _ if sign(at.checked_sub(1), '>') && sign(at.checked_sub(2), '-') => "->".to_owned(),
        Some(token) => token.to_string(),
        None => String::new(),
    };
    (path, before)
}

/// Returns whether the fields in braces end with `..`; `None` if they are not fields.
fn fields(tokens: TokenStream) -> Option<bool> {
    let signs = tokens.into_iter().map(|token| match token {
        TokenTree::Punct(punct) => punct.as_char(),
        TokenTree::Ident(_) => 'a',
        TokenTree::Group(_) | TokenTree::Literal(_) => '0',
    });
    let text: String = signs.collect();
    let starts = text.is_empty()
        || text == "a"
        || text.starts_with("a,")
        || text.starts_with("..")
        || (text.starts_with("a:") && !text.starts_with("a::"));
    starts.then(|| text.starts_with("..") || text.contains(",.."))
}

fn names(path: &syn::Path) -> Vec<String> {
    path.segments.iter().map(|part| part.ident.to_string()).collect()
}

/// The parts of a pattern that matter.
struct Pattern<'a, 'b> {
    finder: &'b Finder<'a>,
    /// The generated enum of which it names a variant.
    variant: Option<String>,
    /// Set if it matches anything at some place, apart from errors.
    any: bool,
}

impl<'a, 'b> Pattern<'a, 'b> {
    fn new(finder: &'b Finder<'a>, pattern: &syn::Pat) -> Self {
        let mut own = Self { finder, variant: None, any: false };
        own.visit_pat(pattern);
        own
    }
}

impl<'ast> Visit<'ast> for Pattern<'_, '_> {
    fn visit_pat_wild(&mut self, _: &'ast syn::PatWild) {
        self.any = true;
    }

    fn visit_pat_ident(&mut self, pattern: &'ast syn::PatIdent) {
        // Variants and constants begin with upper case.
        let is_name = pattern
            .ident
            .to_string()
            .starts_with(|first: char| first.is_lowercase() || first == '_');
        self.any |= is_name && pattern.subpat.is_none();
        visit::visit_pat_ident(self, pattern);
    }

    fn visit_pat_tuple_struct(&mut self, pattern: &'ast syn::PatTupleStruct) {
        match self.finder.variant(&pattern.path) {
            Some(own) => self.variant = Some(own),
            None if pattern.path.is_ident("Err") => {}
            None => visit::visit_pat_tuple_struct(self, pattern),
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if let Some(own) = self.finder.variant(path) {
            self.variant = Some(own);
        }
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let ty = match &*item.self_ty {
            syn::Type::Path(ty) => Some(names(&ty.path)),
            _ => None,
        };
        self.within(ty, |finder| visit::visit_item_impl(finder, item));
    }

    fn visit_expr_struct(&mut self, literal: &'ast syn::ExprStruct) {
        self.literal(&names(&literal.path), literal.dot2_token.is_some());
        visit::visit_expr_struct(self, literal);
    }

    fn visit_pat_struct(&mut self, pattern: &'ast syn::PatStruct) {
        self.literal(&names(&pattern.path), pattern.rest.is_some());
        visit::visit_pat_struct(self, pattern);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.tokens(call.tokens.clone());
    }

    fn visit_expr_match(&mut self, item: &'ast syn::ExprMatch) {
        let (mut variant, mut has_rest) = (None, false);
        for arm in &item.arms {
            let pattern = Pattern::new(self, &arm.pat);
            has_rest |= pattern.variant.is_none() && pattern.any && arm.guard.is_none();
            variant = variant.or(pattern.variant);
        }
        if let Some(own) = variant.filter(|_| !has_rest) {
            self.found.push(format!("a `match` names all variants of `{own}`; end it with `_`"));
        }
        visit::visit_expr_match(self, item);
    }

    fn visit_local(&mut self, local: &'ast syn::Local) {
        let has_else = local.init.as_ref().is_some_and(|init| init.diverge.is_some());
        if let Some(own) = Pattern::new(self, &local.pat).variant.filter(|_| !has_else) {
            self.found.push(format!("a `let` names the only variant of `{own}`; add an `else`"));
        }
        visit::visit_local(self, local);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api() -> Api {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Api {
            modules: modules(
                "pub mod api { } pub use g::{ data::v1 as data, volt::v1 as volt, }; pub mod v0_15;",
            ),
            messages: set(&["Identity", "Resource"]),
            enums: set(&["Mode", "Payload"]),
        }
    }

    fn found(text: &str) -> Vec<String> {
        complete_in(text, &api())
    }

    #[test]
    fn the_modules_are_those_of_the_list() {
        let found: Vec<_> = api().modules.into_iter().collect();
        assert_eq!(found, ["api", "data", "v0_15", "volt"]);
    }

    #[test]
    fn literals_and_patterns_of_messages_need_a_rest() {
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
            impl From<u8> for Row { fn from(id: u8) -> Self { Self { id } } }
        ";
        let names = found(text)
            .into_iter()
            .map(|fault| fault.split(' ').next().unwrap_or_default().to_owned());
        let names: Vec<_> = names.collect();
        assert_eq!(names, ["`Identity", "`Resource", "`Resource", "`Resource", "`Resource"]);
        let own = "struct Identity { a: u8 } fn f() { let a = Identity { a: 1 }; }";
        assert!(found(own).is_empty());
    }

    #[test]
    fn literals_within_macros_need_a_rest() {
        let text = "
            use crate::volt::{Identity, Resource};
            macro_rules! from { ($ty:ty) => {
                impl From<$ty> for Identity { fn from(id: $ty) -> Self { Self { id } } }
                fn new() -> Resource { Resource::default() }
            } }
            fn f() {
                assert_eq!(a, Resource { id: 1, name: (1..2) }, \"{}\", Own { id });
                let b = vec![Resource { id: 1, ..Resource::default() }, Resource { ..c }];
                assert!(matches!(d, Resource { id, .. } if match id { 1 => true, _ => false }));
            }
        ";
        assert_eq!(found(text).len(), 2, "{:?}", found(text));
    }

    #[test]
    fn matches_of_generated_enums_need_a_rest() {
        let uses = "use crate::volt::{Mode, request::Payload};";
        for (code, faults) in [
            ("match m { Mode::A => 1, Mode::B | Mode::C => 2 }", 1),
            ("match m { Mode::A => 1, _ => 2 }", 0),
            ("match m { Mode::A => 1, other => 2 }", 0),
            ("match m { Mode::A => 1, other if other == n => 2, Mode::B => 3 }", 1),
            ("match p { Some(Payload::A(a)) => 1, Some(Payload::B(_)) => 2, None => 3 }", 1),
            ("match p { Some(Payload::A(a)) => 1, None | Some(_) => 2 }", 0),
            ("match p { Ok(Some(Payload::A(a))) => 1, Ok(None) => 2, Err(error) => 3 }", 1),
            ("match o { Other::A(a) => 1, Other::B => 2 }", 0),
            ("{ let Payload::A(a) = p; }", 1),
            ("{ let Payload::A(a) = p else { return }; if let Payload::A(a) = p {} }", 0),
        ] {
            let found = found(&format!("{uses} fn f() {{ {code} }}"));
            assert_eq!(found.len(), faults, "{code}: {found:?}");
        }
    }
}
